"""What the training stages read: the cleaned wiki, Baike articles, medical texts, instruction rows.

The idea: every source is an iterator over documents, so a corpus larger than memory is no different from a small one.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from . import artifacts, wiki_cleaning
from .errors import CourseError
from .profiles import Profile

HELD_OUT_EVERY = 50  # one document, or conversation, in fifty is kept for validation


def read_jsonl(path: Path, every: int = 1) -> Iterator[dict]:
    """Rows of a JSON Lines file, all or a sample of one line in ``every``.

    Raises CourseError with file and line for a line that is not a JSON object.
    """
    if not path.is_file():
        raise CourseError(f"{artifacts.shown(path)} is missing: the profile names it as data to read")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number % every or not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("not an object")
            except ValueError as error:  # bad JSON, or bytes that are not UTF-8
                where = f"{artifacts.shown(path)}:{number}"
                raise CourseError(f"{where}: not a JSON object: mend or remove the line ({error})") from None
            yield row


def baike_text(row: dict) -> str:
    """A Baike article as one text: title, summary, sections."""
    parts = [row.get("title"), row.get("summary")]
    for section in row.get("sections") or []:
        parts += [section.get("title"), section.get("content")]
    return "\n".join(part.strip() for part in parts if part and part.strip())


def read_corpus(profile: Profile, name: str, every: int = 1) -> Iterator[str]:
    """Documents of the corpus ``wiki``, ``baike`` or ``medical`` as plain text, up to the profile's limit.

    With ``every`` a sample: one document in so many, from all over the corpus.
    """
    files = wiki_cleaning.shards(profile.require("wiki_cleaning")) if name == "wiki" else sources(profile, name)
    to_text = baike_text if name == "baike" else lambda row: row.get("text") or ""
    texts = (to_text(row) for path in files for row in read_jsonl(path, every))
    return islice(filter(None, texts), profile.max_documents and profile.max_documents // every)


def sources(profile: Profile, name: str) -> list[Path]:
    """Files and folders that a corpus is read from."""
    return {"wiki": [profile.dir("wiki_cleaning")], "baike": [*profile.baike], "medical": [*profile.medical]}[name]


def count_documents(profile: Profile, name: str) -> int:
    """Number of documents of a corpus, without parsing it: lines of its files."""
    files = [file for path in sources(profile, name) for file in ([path] if path.is_file() else path.glob("*.jsonl"))]
    lines = 0
    for path in files:
        with path.open("rb") as file:
            lines += sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))  # noqa: B023
    return min(lines, profile.max_documents or lines)
