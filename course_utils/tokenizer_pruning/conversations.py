"""Conversations as token ids: what the template writes acts, what people write is text.

In come a tokenizer with a chat template and conversations, lists of ``{"role", "content"}``; out come the ids of each,
and which of them the assistant says.

The one idea: a user may write ``</s>`` or ``<|assistant|>``, and the template writes the same characters where a turn
ends or begins. So each mark in a content gets a character inside that Unicode gives to nobody; the marks that are whole
after rendering are the template's, and the text between them is tokenized with no mark taken for what it names.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import CourseError
from .fast_tokenizers import plain_ids

# Code points that Unicode sets aside for programs and never gives to a character.
INSIDE, SPOKEN = "\ufdd0", "\ufdd1"  # stands in a mark that is text; before what the assistant says
FOREIGN = re.compile("[\ud800-\udfff\ufdd0\ufdd1]")  # half a character, or one of those two


@dataclass(frozen=True)
class Chat:
    """The ids of a conversation, and for each whether the assistant says it (its end mark too)."""

    ids: list[int]
    spoken: list[bool]


def as_text(content: str, marks: Iterable[str]) -> str:
    """A content in which no mark of the tokenizer stands whole. Half a character becomes U+FFFD."""
    content = FOREIGN.sub("\ufffd", content)
    for mark in marks:
        content = content.replace(mark, mark[0] + INSIDE + mark[1:])
    return content


def encode_chats(tokenizer, chats: Sequence[list[dict]], *, reply: bool = False) -> list[Chat]:
    """The ids of conversations in the tokenizer's chat template; with ``reply`` they end where the assistant answers.
    An answer is cut from what stands before it, as it will be when it is generated, and tokenized by itself.
    Raises CourseError where there is no template, or it refuses the turns."""
    marks = {token.content: i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    cut = re.compile(f"({'|'.join(map(re.escape, sorted(marks, key=len, reverse=True)))}|{SPOKEN})")
    rendered, acting = [], {SPOKEN, *marks}
    for chat in chats:
        turns = [{**turn, "content": as_text(turn["content"], marks)} for turn in chat]
        turns = [{**t, "content": SPOKEN + t["content"]} if t["role"] == "assistant" else t for t in turns]
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=reply)
        except Exception as error:  # jinja2's, or whatever a template's own lines raise
            why = error if tokenizer.chat_template else "there is none (course evaluate asks as a base model then)"
            raise CourseError(f"the chat template does not take these turns: {why}") from error
        rendered.append(cut.split(text))
    texts = sorted({part.replace(INSIDE, "") for parts in rendered for part in parts if part not in acting})
    found = dict(zip(texts, plain_ids(tokenizer, texts), strict=True))
    return [_joined(parts, marks, found) for parts in rendered]


def _joined(parts: list[str], marks: dict[str, int], found: dict[str, list[int]]) -> Chat:
    chat, speaking = Chat([], []), False
    for part in parts:
        if part == SPOKEN:
            speaking = True
            continue
        ids = [marks[part]] if part in marks else found[part.replace(INSIDE, "")]
        chat.ids.extend(ids)
        chat.spoken.extend([speaking] * len(ids))
        speaking = speaking and part not in marks  # the mark that ends it is said too
    return chat
