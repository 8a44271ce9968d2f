"""Read MediaWiki dumps of any size in constant memory, and keep what a damaged one still holds.

In come ``pages-articles`` XML dumps, plain, .gz or .bz2 (also multistream); out come batches of whole pages as bytes,
cheap to hand to a worker process, which parses them. The one idea: a dump is written by one program, one ``<page>``
after another, so the end of a page can be found without parsing; the XML parser then sees one page at a time, and a
broken page costs itself. Where a batch ends depends on nothing but where it began: a run that is resumed at a batch
cuts the rest just as the first run would have.
"""

import bz2
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from .. import artifacts
from ..errors import CourseError

BATCH_BYTES = 2**20  # of XML: some hundred pages, a tenth of a second of cleaning
CAREFUL_BYTES = 4096  # how finely a damaged file is read on its last stretch
PARALLEL_FROM = 3  # workers; fewer leave no core idle that could decompress
DAMAGE = (EOFError, OSError, zlib.error, RuntimeError, ValueError)  # RuntimeError: indexed_bzip2's word for it
PAGE_END, DUMP_END = b"</page>", b"</mediawiki>"


@dataclass(frozen=True)
class Batch:
    """Whole pages of a dump, end to end."""

    dump: int  # index of the file among the inputs
    start: int  # where it begins and ends in the file's decompressed text, in bytes
    end: int
    xml: bytes
    read: int = 0  # bytes of the file itself read so far
    damage: str = ""  # of the last batch of a dump: why there is no more


@dataclass(frozen=True)
class WikiPage:
    title: str
    id: str
    namespace: str  # its number as text; "0" for articles
    redirect: bool
    wikitext: str


def check(dump: Path) -> None:
    """Raises CourseError when a file is missing, cannot be decompressed, or is no MediaWiki dump."""
    try:
        with _open(dump)[0] as file:
            head = file.read(4096).decode("utf-8", errors="ignore")
    except DAMAGE as error:
        where = f"{artifacts.shown(dump)} is damaged or cut off at byte 0 of its text, before its first page"
        raise CourseError(f"{where} ({error}): download it again") from None
    if not re.match(r"(\ufeff)?\s*(<\?xml[^>]*>\s*)?<mediawiki", head):
        wrong = "byte 0: not a MediaWiki XML dump: it should start with <mediawiki …>"
        raise CourseError(f"{artifacts.shown(dump)}: {wrong}")


def read_batches(dumps: Sequence[Path], dump: int = 0, start: int = 0, *, workers: int = 1) -> Iterator[Batch]:
    """Batches of all dumps in order, from byte ``start`` of the text of ``dumps[dump]`` on.

    With three workers or more bzip2 is decompressed by several threads (indexed_bzip2), so that it can keep up.
    A damaged or cut off dump gives all whole pages before the damage; its last batch says where it is.
    """
    for index in range(dump, len(dumps)):
        yield from _batches(dumps[index], index, start, workers)
        start = 0


def _batches(path: Path, index: int, start: int, workers: int) -> Iterator[Batch]:
    buffer, position, wanted, damage, ended = b"", start, BATCH_BYTES, "", False
    file, told = _open(path, workers)
    with file:
        file.seek(start)
        while not ended:
            try:
                block = file.read(wanted - len(buffer))
            except DAMAGE as error:
                block, damage = _last_words(path, position + len(buffer)), str(error)
            ended = bool(damage) or len(buffer) + len(block) < wanted
            buffer += block
            end = buffer.rfind(PAGE_END) + len(PAGE_END) if PAGE_END in buffer else 0
            if not end and not ended:
                wanted += BATCH_BYTES  # a page longer than a batch
                continue
            xml, buffer = buffer[:end], buffer[end:]
            if ended and (damage or DUMP_END not in buffer):
                damage = _where(path, position + end + len(buffer), xml, buffer, damage or "the file ends there")
            yield Batch(index, position, position + end, xml, told(), damage)
            position, wanted = position + end, BATCH_BYTES


def _where(path: Path, byte: int, before: bytes, broken: bytes, reason: str) -> str:
    inside, last = _titles(broken), _titles(before)
    page = f"in page {inside[-1]}" if inside else f"after page {last[-1]}" if last else "before its first page"
    where = f"{artifacts.shown(path)} is damaged or cut off at byte {byte:,} of its text, {page} ({reason})"
    return f"{where}: the pages before that are kept; for the rest download it again"


def _open(path: Path, workers: int = 1) -> tuple[BinaryIO, Callable[[], int]]:
    """-> (the decompressed text, a function: bytes of the file itself read so far)."""
    if not path.is_file():
        raise CourseError(f"{artifacts.shown(path)} is missing: name a MediaWiki pages-articles dump")
    if path.suffix == ".bz2" and workers >= PARALLEL_FROM:
        import indexed_bzip2

        file = indexed_bzip2.open(str(path), parallelization=min(workers, 8))
        return file, lambda: file.tell_compressed() // 8
    raw = path.open("rb")
    return {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, lambda file: file)(raw), raw.tell


def _last_words(path: Path, position: int) -> bytes:
    """What can be read after ``position`` before the damage."""
    parts = []
    with _open(path)[0] as file, suppress(*DAMAGE):
        file.seek(position)
        while part := file.read(CAREFUL_BYTES):
            parts.append(part)
    return b"".join(parts)


def _titles(xml: bytes) -> list[str]:
    return [title.decode("utf-8", errors="replace") for title in re.findall(rb"<title>([^<]*)</title>", xml)]


def parse_pages(xml: bytes) -> Iterator[WikiPage | tuple[int, str]]:
    """The pages of a batch; in place of one that is no XML, (its byte in the batch, what is wrong with it)."""
    position = 0
    for piece in xml.split(PAGE_END)[:-1]:
        start = max(piece.find(b"<page>"), 0)
        try:
            page = ElementTree.fromstring(piece[start:] + PAGE_END)
            title, number, text = (page.findtext(path) or "" for path in ("title", "id", "revision/text"))
            yield WikiPage(title, number, page.findtext("ns") or "0", page.find("redirect") is not None, text)
        except ElementTree.ParseError as error:
            titles = _titles(piece)
            yield position + start, f"page {titles[-1] if titles else 'without a title'}: {error}"
        position += len(piece) + len(PAGE_END)


def read_pages(dump: Path) -> Iterator[WikiPage]:
    """Every page of a dump, streamed.

    Raises CourseError when it is missing or foreign, and when it is damaged after the last page that can be read.
    """
    check(dump)
    for batch in read_batches([dump]):
        for page in parse_pages(batch.xml):
            if isinstance(page, tuple):
                raise CourseError(f"{artifacts.shown(dump)} is damaged at byte {batch.start + page[0]:,}: {page[1]}")
            yield page
        if batch.damage:
            raise CourseError(batch.damage)
