"""Read the files of a corpus, row by row: what a row holds, or why it cannot be used, and on which line it stands.

In come JSON Lines or JSON arrays (plain or ``.gz``, with or without a byte order mark), folders of JSON Lines, plain
text, from disk or from the Hugging Face Hub; out come rows, one at a time. ``loading`` makes a `datasets.Dataset` of
them.

The one idea: a bad row is a value like any other (``Unusable``), and who reads decides: ``read_jsonl`` ends there, with
file and line; ``loading.load_rows`` counts it and goes on.
"""

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from .. import artifacts
from ..errors import CourseError
from . import downloading

BLOCK = 2**20  # characters of a JSON array read at a time
LONGEST_ELEMENT = 2**26  # characters; where an element of an array has no end by then, it is broken
BOM = b"\xef\xbb\xbf"
GAP = re.compile(r"[\s,]*")  # between the elements of an array
LONE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can write and UTF-8 cannot

# -> what a row is read as, a dictionary of texts. Given the row and its place, "file:line". Raises Unusable.
Reader = Callable[[dict, str], dict[str, str]]
Source = Path | str  # a file, a folder of JSON Lines, or a file of the Hub as hf://datasets/OWNER/NAME/FILE


class Unusable(Exception):
    """A row that cannot be used; the message says why."""


@dataclass(frozen=True)
class Span:
    """Some lines of a file; ``end`` None: to its end."""

    path: Path
    first_line: int = 1
    start: int = 0
    end: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return (self.path.stat().st_size if self.end is None else self.end) - self.start


def files(sources: Sequence[Source]) -> list[Path]:
    """The files of sources: themselves, the ``.jsonl`` of folders, what the Hub has. Raises CourseError for none."""
    found = []
    for source in sources:
        path = Path(source)
        if "hf:/" in str(source):  # a Path has one slash, and a profile puts its root before it
            if not (match := re.search(r"\bhf:/+(datasets/[^/]+/[^/]+)/(.+)", str(source))):
                raise CourseError(f"{source} is no file of the Hub: write hf://datasets/OWNER/NAME/FILE")
            path = downloading.fetch_from_hub(*match.groups())
        if not (inside := sorted(path.glob("*.jsonl")) if path.is_dir() else [path] * path.is_file()):
            raise CourseError(f"{artifacts.shown(path)} is missing: name a file with rows, or a folder of .jsonl files")
        found += inside
    return found


def spans(path: Path, size: int) -> Iterator[Span]:
    """A file cut at line ends, ``size`` bytes or more at a time; whole, where it must be read from its start."""
    if path.suffix == ".gz" or _is_array(path):
        yield Span(path)
        return
    with path.open("rb") as file:
        start, line = 0, 1
        while block := file.read(size):
            block += file.readline()
            yield Span(path, line, start, start + len(block))
            start, line = start + len(block), line + block.count(b"\n")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb", buffering=BLOCK) as file:
            yield file
    except (gzip.BadGzipFile, EOFError, gzip.zlib.error) as error:
        raise CourseError(f"{artifacts.shown(path)} is damaged or cut off ({error}): fetch it again") from None


def _is_array(path: Path) -> bool:
    if ".json" not in path.suffixes:  # .jsonl are lines
        return False
    with _opened(path) as file:
        return file.read(4096).removeprefix(BOM).lstrip().startswith(b"[")


def objects(span: Span) -> Iterator[tuple[dict | Unusable, str]]:
    """-> (row, place as file:line) of what stands in a span; a plain text's line as ``{"text": …}``, what is no row as
    the ``Unusable`` that says so."""
    name = artifacts.shown(span.path)  # once: it asks the file system
    found = _elements(span.path) if _is_array(span.path) else _lines(span)
    return ((row, f"{name}:{line}") for line, row in found)


def _lines(span: Span) -> Iterator[tuple[int, dict | Unusable]]:
    is_json, at = {".json", ".jsonl"} & set(span.path.suffixes), span.start
    with _opened(span.path) as file:
        file.seek(at)
        for number, line in enumerate(file, span.first_line):
            if span.end is not None and at >= span.end:
                return
            at += len(line)
            line = line.removeprefix(BOM) if number == 1 else line
            if line.strip() or not is_json:
                yield number, _parsed(line, is_json)


def _parsed(line: bytes, is_json: bool) -> dict | Unusable:
    kind = "a JSON object" if is_json else "UTF-8 text"
    try:
        text = line.decode()
        return _checked(json.loads(text.strip())) if is_json else {"text": text}
    except UnicodeDecodeError:
        return Unusable(f"not {kind} (bytes that are not UTF-8)")
    except (ValueError, RecursionError) as error:
        return Unusable(f"not {kind} ({str(getattr(error, 'msg', error)).removesuffix(' at')})")


def _checked(row: object) -> dict | Unusable:
    return row if isinstance(row, dict) else Unusable(f"not a JSON object (it is {type(row).__name__})")


def _elements(path: Path) -> Iterator[tuple[int, dict | Unusable]]:
    """The elements of a JSON array, read block by block. Raises CourseError where the array itself is broken: what
    follows cannot be told from what is broken."""
    decode, line, ended, problem = json.JSONDecoder().raw_decode, 1, False, "not a JSON array"
    try:
        with _opened(path) as binary, io.TextIOWrapper(binary, "utf-8-sig") as file:
            buffer = file.read(BLOCK)
            start, counted = buffer.index("[") + 1, 0
            while True:
                start = GAP.match(buffer, start).end()
                line, counted = line + buffer.count("\n", counted, start), start
                try:
                    value, end = decode(buffer, start)
                except (ValueError, RecursionError):
                    end = len(buffer)
                if end < len(buffer):
                    yield line, _checked(value)
                    start = end
                elif ended or len(buffer) - start > LONGEST_ELEMENT:
                    break
                else:  # half an element, or a number that may go on
                    more = file.read(max(BLOCK, len(buffer) - start))
                    buffer, start, counted, ended = buffer[start:] + more, 0, 0, not more
        if buffer[start:].strip() == "]":
            return
    except UnicodeDecodeError:
        problem = "bytes that are not UTF-8"
    raise CourseError(f"{artifacts.shown(path)}:{line}: {problem} from here on: mend it or fetch it again")


def usable(row: dict | Unusable, read: Reader, place: str) -> dict:
    """What a row is read as. Raises Unusable where it cannot be."""
    if isinstance(row, Unusable):
        raise row
    found = read(row, place)
    return {key: LONE.sub("\ufffd", text) if isinstance(text, str) else text for key, text in found.items()}


def read_as(path: Path, read: Reader) -> Iterator[dict]:
    """What each row of a file is read as, all of them right. Raises CourseError with file and line for one that is not;
    ``loading.load_rows`` is for files that may hold some."""
    for row, place in chain.from_iterable(objects(Span(file)) for file in files([path])):
        try:
            yield usable(row, read, place)
        except Unusable as problem:
            raise CourseError(f"{place}: {problem}: mend or remove the line") from None


def read_jsonl(path: Path) -> Iterator[dict]:
    """The rows of a file of JSON. Raises CourseError with file and line for what is no JSON object."""
    return read_as(path, lambda row, place: row)


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a file: ``text`` of each row of JSON, or each line of any other file, with its line end. Raises
    CourseError with file and line for what cannot be read."""
    return (row["text"] for row in read_as(path, plain_text))


def document(row: dict, place: str) -> dict[str, str]:
    """A document of any corpus: ``id``, ``title`` and ``text``, which of a Baike article is all that it tells."""
    try:
        text = string(row, "text") if "text" in row else baike_text(row)
        title = string(row, "title")
    except Unusable as problem:
        raise Unusable(f"not a document ({problem})") from None
    return {"id": str(row.get("id") or place.rpartition("/")[2]), "title": title, "text": text}


def plain_text(row: dict, place: str) -> dict[str, str]:
    """The ``text`` of a row alone."""
    if not isinstance(row.get("text"), str):
        raise Unusable('not a JSON object with "text"')
    return {"text": row["text"]}


def document_text(row: dict) -> str:
    """A document of any corpus as one text."""
    return document(row, "")["text"]


def baike_text(row: dict) -> str:
    """A Baike article as one text: title, summary, sections. Raises Unusable where something else stands there."""
    parts = [string(row, "title"), string(row, "summary")]
    sections = row.get("sections") or []
    if not isinstance(sections, list) or not all(isinstance(section, dict) for section in sections):
        raise Unusable("`sections` is no list of objects")
    for section in sections:
        parts += [string(section, "title"), string(section, "content")]
    return "\n".join(part.strip() for part in parts if part.strip())


def string(row: dict, key: str) -> str:
    """A text of a row, or "" where it is missing or null. Raises Unusable for what is no text."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"`{key}` is {type(value).__name__}, not text")
    return value or ""
