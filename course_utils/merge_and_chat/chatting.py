"""A conversation with memory: what was said stays in the prompt as long as there is place for it.

A model reads as many tokens as it has positions. When the turns and an answer no longer fit, the oldest question and
its answer are left out, never the system turn (a sliding window).
"""

import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import CourseError
from ..training.full_vs_lora_sft import conversation
from .generation import prompt_ids, stream_answer, streamed, system_turn

ANSWER_SHARE = 4  # a quarter of the positions is kept free for an answer, if it may be so long


class Conversation:
    """What was said so far. ``forgotten`` counts the questions that no longer fit."""

    def __init__(self, model, tokenizer, *, system: str = "", **settings):
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.turns, self.forgotten = system_turn(system), 0

    @property
    def system(self) -> str:
        return self.turns[0]["content"] if self.turns and self.turns[0]["role"] == "system" else ""

    def reset(self, system: str | None = None) -> None:
        """Begin anew, under the same system turn or another."""
        self.turns, self.forgotten = system_turn(self.system if system is None else system), 0

    def ask(self, question: str) -> Iterator[str]:
        """The answer, piece by piece. It is remembered as far as it was heard. Raises CourseError for a question that
        is too long by itself; it is not remembered."""
        head, turns = system_turn(self.system), conversation(question, history=self.turns)
        sampling = streamed(self.model, **self.settings)
        positions = self.model.config.max_position_embeddings
        free = min(sampling.max_new_tokens, positions // ANSWER_SHARE)
        forgotten = 0
        while len(turns) > len(head) + 1 and len(self._ids(turns)) + free > positions:
            turns = head + turns[len(head) + 2 :]
            forgotten += 1
        said = []
        try:
            for piece in stream_answer(self.model, self.tokenizer, turns, **self.settings):
                said.append(piece)
                yield piece
        finally:
            if text := "".join(said).strip():
                self.turns = [*turns, {"role": "assistant", "content": text}]
                self.forgotten += forgotten

    def _ids(self, turns: list[dict]) -> list[int]:
        return prompt_ids(self.tokenizer, [turns], chat=True)[0]

    def save(self, path: Path) -> None:
        """Add the conversation to a file of JSON Lines, as a row that fine-tuning reads. Raises CourseError where
        nothing was said, or the file cannot be written."""
        if not any(turn["role"] == "assistant" for turn in self.turns):
            raise CourseError("nothing was said yet: there is nothing to save")
        try:
            with path.open("ab+") as file:
                file.seek(max(0, file.tell() - 1))  # the last line of another program's file may have no end
                gap, row = "\n" * (file.read() not in (b"", b"\n")), {"messages": self.turns}
                file.write(f"{gap}{json.dumps(row, ensure_ascii=False)}\n".encode("utf-8", "replace"))
        except (OSError, ValueError) as error:  # the latter for a name that no file can have
            raise CourseError(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from error
