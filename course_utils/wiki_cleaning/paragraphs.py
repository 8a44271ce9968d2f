"""What is left of a page when its markup is rendered, as paragraphs.

In comes text in which headings and list marks still stand and *holes* mark where something was dropped; out go its
paragraphs. Sections that only point elsewhere go with all they hold. Brackets and commas are tidied at the holes and
nowhere else: an empty （） that a template left goes, ``main()`` and a poet's ……，， stay as they were written.
"""

import re
from functools import lru_cache

from .language_conversion import to_simplified
from .tables import ZHWIKI

HOLE = "\ufdd7"  # where something was dropped

DROPPED_SECTIONS = frozenset(ZHWIKI["dropped_sections"])
SECTION_AND = re.compile(r"\s*(?:与|和|及其|及|以及|、|/|／|，|,|&|＆|\s)\s*")
HEADING = re.compile(rf"\n(={{1,6}})[ \t]*([^\n]+?)[ \t]*\1[ \t{HOLE}]*(?=\n|\Z)")
HEADING_MARKUP = re.compile(rf"-\{{(?:[^{{}}|]*\||zh:)?|\}}-|\{{\{{[^{{}}]*\}}\}}|''+|[{HOLE}=:：]")
WORD = re.compile(r"\w")


def without_pointers(text: str) -> str:
    """Sections of references and links away, before anything in them costs time."""
    kept, position, dropping_level = [], 0, 0
    for match in HEADING.finditer(text):
        level = len(match[1])
        if dropping_level and level > dropping_level:
            continue
        if not dropping_level:
            kept.append(text[position : match.start()])
        position = match.start()
        dropping_level = level if is_dropped(match[2]) else 0
    if not dropping_level:
        kept.append(text[position:])
    return "".join(kept)


@lru_cache(maxsize=10_000)
def is_dropped(heading: str) -> bool:
    """Whether a section holds pointers and no prose, by its heading."""
    parts = SECTION_AND.split(to_simplified()(HEADING_MARKUP.sub("", heading)).strip())
    return any(parts) and all(part in DROPPED_SECTIONS for part in parts if part)


OPENING, CLOSING = "（(《“「『【[〔〈‘", "）)》”」』】]〕〉’"
PAIRS = dict(zip(OPENING, CLOSING, strict=True))
SEPARATORS = "，、；：,;:·/／ "
SEPARATORS_AND_STOP = SEPARATORS + "。"
ENDS, STARTS = frozenset(OPENING + " "), frozenset(CLOSING)  # what a hole beside it may leave in the wrong


def tidy(text: str) -> str:
    """Close the holes: empty brackets go, and so do commas that have lost what they separated."""
    left, *others = text.split(HOLE)
    done = [left]
    for right in others:
        if left and right:
            end, start = left[-1], right[0]
            if end in ENDS or start in STARTS or (end in SEPARATORS and start in SEPARATORS_AND_STOP):
                left, right = _close(left, right)
                done[-1] = left
        if right:
            done.append(right)
            left = right
        while not left and len(done) > 1:
            done.pop()
            left = done[-1]
    return "".join(done)


def _close(left: str, right: str) -> tuple[str, str]:
    before, after = left.rstrip(SEPARATORS), right.lstrip(SEPARATORS)
    if before and before[-1] in PAIRS:  # the first thing in brackets is gone
        if after and after[0] == PAIRS[before[-1]]:
            return before[:-1].rstrip(" "), after[1:]
        return before, after
    if after and after[0] in CLOSING:  # the last thing in brackets is gone
        return before, after
    if left.endswith("/") and right.startswith("/"):  # /{{IPA|…}}/
        return left[:-1], right[1:]
    tail, head = left[len(before) :].strip(" "), right[: len(right) - len(after)].strip(" ")
    if after.startswith("。") and (tail or head):
        return before, after
    if tail and head:
        return left.rstrip(" "), after
    if head and left[-1] == " ":
        return left.rstrip(" "), right.lstrip(" ")
    return left, right.lstrip(" ") if left[-1] == " " else right


LINE_MARKS = frozenset("=*#:;|!-")
JOINING = frozenset("，。、；：）」』”》！？")  # no line begins with these
SENTENCE_ENDS = frozenset("。！？：；…”」』）.!?:;)")


def paragraphs(text: str, headings: bool, broken_table: bool) -> list[str]:
    """Paragraphs. A heading with nothing below it is left out. Lines of prose without a blank line between them are one
    paragraph, as MediaWiki shows them, unless the first one ends its sentence: then its writer meant two."""
    lines: list[str] = []
    pending: list[tuple[int, str]] = []  # headings not yet followed by prose
    open_paragraph = False
    for written in text.split("\n"):
        line = written.strip()
        if not line:
            open_paragraph = False
            continue
        start = line[0]
        plain = start not in LINE_MARKS and written[0] != " "
        if start in LINE_MARKS:
            if start == "=" and line[-1] == "=":
                title = line.strip("=")
                level = (len(line) - len(title)) // 2
                pending = [entry for entry in pending if entry[0] < level]
                pending.append((level, title.strip()))
                open_paragraph = False
                continue
            if start in "*#:;":
                line = line.lstrip("*#:; ")
                if start == ";":
                    line = line.replace(":", "\n", 1)
            elif start == "|" or (broken_table and start == "!") or line.startswith("----"):
                continue
        if broken_table and "||" in line:
            continue
        if start in JOINING and lines and not pending:
            lines[-1] += line
            continue
        if not WORD.search(line):
            continue
        if pending:
            if headings:
                lines += (title for _, title in pending if title)
            pending = []
        if plain and open_paragraph and lines[-1][-1] not in SENTENCE_ENDS:
            lines[-1] += (" " if lines[-1][-1].isascii() and start.isascii() else "") + line
        else:
            lines.append(line)
        open_paragraph = plain
    return lines
