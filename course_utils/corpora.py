"""What the stages read: rows of files, Baike articles as text, and the corpora as deduplication leaves them.

The idea: every source is an iterator over documents, so a corpus larger than memory is no different from a small one.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from . import artifacts
from .errors import CourseError
from .profiles import Profile

HELD_OUT_EVERY = 50  # one document, or conversation, in fifty is kept for validation


def read_jsonl(path: Path, every: int = 1) -> Iterator[dict]:
    """Rows of a JSON Lines file, all or a sample of one line in ``every``.

    Raises CourseError with file and line for a line that is not a JSON object.
    """
    if not path.is_file():
        raise CourseError(f"{artifacts.shown(path)} is missing: the profile names it as data to read")
    name = artifacts.shown(path)  # once: it asks the file system
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number % every or not line.strip():
                continue
            yield parse_row(line, name, number)


def parse_row(line: bytes, name: str, number: int) -> dict:
    """The row in line ``number`` of the file shown as ``name``. Raises CourseError for one that is not an object."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("not an object")
    except ValueError as error:  # bad JSON, or bytes that are not UTF-8
        raise CourseError(f"{name}:{number}: not a JSON object: mend or remove the line ({error})") from None
    return row


def read_texts(path: Path, first: int = 0, end: int | None = None) -> Iterator[str]:
    """The texts of a file: ``text`` of each row of a ``.jsonl``, or each line of any other, with its line end.

    With ``first`` and ``end`` those of the lines that start in this range of bytes; ``first`` is where a line starts.
    Raises CourseError with file and line for what cannot be read.
    """
    jsonl = path.suffix == ".jsonl"
    if not path.is_file():
        raise CourseError(f"{artifacts.shown(path)} is missing: name a .jsonl or text file")
    with path.open("rb", buffering=2**20) as file:
        file.seek(first)
        for line in file:
            if end is not None and first >= end:
                return
            if not jsonl or line.strip():
                yield _text(line, jsonl, path, first)
            first += len(line)


def _text(line: bytes, jsonl: bool, path: Path, start: int) -> str:
    try:
        text = json.loads(line)["text"] if jsonl else line.decode()
        if not isinstance(text, str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        kind = 'a JSON object with "text"' if jsonl else "UTF-8 text"
        place = f"{artifacts.shown(path)}:{_lines_before(path, start) + 1}"
        raise CourseError(f"{place}: not {kind}: mend or remove the line") from None
    return text


def _lines_before(path: Path, byte: int) -> int:
    with path.open("rb") as file:
        blocks = (file.read(min(2**20, byte - start)) for start in range(0, byte, 2**20))
        return sum(block.count(b"\n") for block in blocks)


def document_text(row: dict) -> str:
    """A document of any corpus as one text: its ``text``, or what a Baike article tells."""
    return row["text"] or "" if "text" in row else baike_text(row)


def baike_text(row: dict) -> str:
    """A Baike article as one text: title, summary, sections."""
    parts = [row.get("title"), row.get("summary")]
    for section in row.get("sections") or []:
        parts += [section.get("title"), section.get("content")]
    return "\n".join(part.strip() for part in parts if part and part.strip())


def source_paths(profile: Profile) -> dict[str, list[Path]]:
    """Files and folders that each corpus is made of, in order of precedence: the cleaned wiki, Baike, medicine."""
    wiki = profile.require("wiki_cleaning")
    return {"wiki": [wiki], "baike": [*profile.baike], "medical": [*profile.medical]}


def corpus_file(profile: Profile, name: str) -> Path:
    """Where the deduplicated documents of the corpus ``wiki``, ``baike`` or ``medical`` lie."""
    return profile.dir("deduplication") / f"{name}.jsonl"


def read_corpus(profile: Profile, name: str, every: int = 1) -> Iterator[str]:
    """Documents of the corpus ``wiki``, ``baike`` or ``medical`` as plain text.

    With ``every`` a sample: one document in so many, from all over the corpus.
    """
    profile.require("deduplication")
    return (row["text"] for row in read_jsonl(corpus_file(profile, name), every))


def count_documents(profile: Profile, name: str) -> int:
    """Number of documents of a corpus, without parsing it: lines of its file."""
    with corpus_file(profile, name).open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
