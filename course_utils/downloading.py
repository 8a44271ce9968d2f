"""Fetch the real sources to ``downloads/``, where the profiles look for them, whole or not at all.

In comes the name of a target (``zhwiki``, ``baike``, ``medical``, ``belle``, ``tokenizer``), out come the files of it
that a profile reads. They lie on Wikimedia's servers and on the Hugging Face Hub; ``$WIKIMEDIA_MIRROR`` and
``$HF_ENDPOINT`` name mirrors, such as https://hf-mirror.com.

The one idea: ask for the checksum first. The unfinished file bears it in its name, so a download goes on where it was
dropped, never goes on with the rest of another file, and gets its final name only when the checksum holds. The Hub's
own library does not compare checksums (https://github.com/huggingface/huggingface_hub/issues/3643), and Wikimedia has
none; so both are fetched by the same few lines here.
"""

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

from . import __version__, artifacts, profiles
from .errors import CourseError
from .progress import Line

WIKIMEDIA, HUGGING_FACE = "https://dumps.wikimedia.org", "https://huggingface.co"
MIRRORS = {WIKIMEDIA: "WIKIMEDIA_MIRROR", HUGGING_FACE: "HF_ENDPOINT"}
AGENT = {"User-Agent": f"chinese-llama-course/{__version__}"}
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 5  # in a row that bring no byte
FIRST_WAIT = 1.0  # seconds; doubled after each of them
CHUNK = 2**20  # bytes
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP states that may be better the next time

T = TypeVar("T")


@dataclass(frozen=True)
class Remote:
    """A file on a server. ``algorithm`` is one of hashlib's or ``git``, as Git names a file's content."""

    url: str
    size: int | None  # bytes
    algorithm: str
    checksum: str


@dataclass(frozen=True)
class Source:
    """A file that profiles read, and where it is fetched."""

    target: str
    file: str  # below downloads/
    find: Callable[[str, Sequence[str]], Remote]
    home: str  # a wiki, or a repository of the Hub
    names: tuple[str, ...]  # of the file there; the first that is there is taken


def dump_file(wiki: str, names: Sequence[str]) -> Remote:
    """A file of the latest finished dump of a wiki. ``names`` are regular expressions of what follows the date.

    The feed of the largest file tells the date (dumps are made piece by piece, and an unfinished one lacks it), the
    date's list of SHA-1 sums the names and checksums (https://dumps.wikimedia.org/backup-index.html).
    """
    feed = f"{_base(WIKIMEDIA)}/{wiki}/latest/{wiki}-latest-pages-articles-multistream.xml.bz2-rss.xml"
    date = re.search(rf"{wiki}[-/](\d{{8}})", _text(feed))
    if not date:
        raise CourseError(f"{feed} names no date of a dump: try again later, or name a mirror with $WIKIMEDIA_MIRROR")
    folder = f"{_base(WIKIMEDIA)}/{wiki}/{date[1]}"
    sums = _text(f"{folder}/{wiki}-{date[1]}-sha1sums.txt")
    for name in names:
        if line := re.search(rf"^([0-9a-f]{{40}})\s+({wiki}-{date[1]}-{name})$", sums, re.M):
            return Remote(f"{folder}/{line[2]}", None, "sha1", line[1])
    raise CourseError(f"the dump of {wiki} of {date[1]} has no file {names[0]}: try again when it is finished")


def hub_file(repository: str, names: Sequence[str]) -> Remote:
    """A file of a repository of the Hugging Face Hub. Large files are named by their SHA-256, small ones as in Git."""
    for name in names:
        url = f"{_base(HUGGING_FACE)}/{repository}/resolve/main/{quote(name)}"
        if (head := _head(url)) is None:
            continue
        tag = (head.get("X-Linked-Etag") or head.get("ETag") or "").removeprefix("W/").strip('"')
        algorithm = {64: "sha256", 40: "git"}.get(len(tag))
        if not algorithm or not re.fullmatch("[0-9a-f]+", tag):
            raise CourseError(f"{url} comes without a checksum: name another mirror with $HF_ENDPOINT")
        size = head.get("X-Linked-Size") or head.get("Content-Length")
        return Remote(url, int(size) if size else None, algorithm, tag)
    raise CourseError(f"{url} is not there (404): the repository has changed, or the mirror does not hold it")


BAIKE, MEDICAL = "datasets/xuqinyang/BaiduBaike-5.63M", "datasets/shibing624/medical"
SOURCES = (
    Source("zhwiki", "zhwiki-latest-pages-articles-multistream.xml.bz2", dump_file, "zhwiki",
           (r"pages-articles-multistream\.xml\.bz2",)),
    Source("zhwiki", "zhwiki-latest-pages-articles1.xml.bz2", dump_file, "zhwiki",
           (r"pages-articles1\.xml(-p\d+p\d+)?\.bz2",)),
    Source("baike", "BaiduBaike-5.63M/563w_baidubaike.json", hub_file, BAIKE,
           ("563w_baidubaike.json", "563w_baidubaike.7z")),
    *(Source("medical", f"medical/{name}", hub_file, MEDICAL, (name,)) for name in
      ("pretrain/train_encyclopedia.json", "pretrain/medical_book_zh.json", "finetune/train_zh_0.json")),
    Source("belle", "train_1M_CN/Belle_open_source_1M.json", hub_file, "datasets/BelleGroup/train_1M_CN",
           ("Belle_open_source_1M.json",)),
    Source("tokenizer", "chatglm2-tokenizer.model", hub_file, "THUDM/chatglm2-6b", ("tokenizer.model",)),
)  # fmt: skip
TARGETS = tuple(dict.fromkeys(source.target for source in SOURCES))


def download(target: str, profile: profiles.Profile) -> Iterator[tuple[Path, str]]:
    """Fetch the files of a target that the profile reads. -> (path, where it came from, or '' when it was there).

    Raises CourseError for an unknown target, a profile that reads none of it, and for what goes wrong on the way.
    """
    if target not in TARGETS:
        raise CourseError(f"unknown target {target!r}: choose one of {', '.join(TARGETS)}")
    downloads = profiles.course_root() / "downloads"
    read = {
        *profile.wiki_dumps, *profile.baike, *profile.medical, *profile.instructions.values(), profile.tokenizer_model
    }  # fmt: skip
    sources = [source for source in SOURCES if source.target == target and downloads / source.file in read]
    if not sources:
        raise CourseError(f"profile {profile.name} reads no {target} from downloads/: choose gpu-6gb or colab-t4")
    for source in sources:
        path = downloads / source.file
        yield path, "" if path.exists() else _get(source, path)


def _get(source: Source, path: Path) -> str:
    """Fetch one file, and unpack it if it comes as an archive. -> its address."""
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            remote = source.find(source.home, source.names)
            if not remote.url.endswith(".7z"):
                fetch(remote, path)
            else:
                archive = path.with_name(PurePosixPath(urlsplit(remote.url).path).name)
                if not archive.exists():
                    fetch(remote, archive)
                unpack(archive, path)
                archive.unlink()
    except filelock.Timeout:
        raise CourseError(f"{artifacts.shown(path)} is being fetched by another process: wait or stop it") from None
    return remote.url


# ------------------------------------------------------------------ one file


def fetch(remote: Remote, path: Path) -> None:
    """Download a file to ``path``, going on where an earlier try was dropped.

    Raises CourseError when the server cannot be reached, the disk is full or the checksum is wrong; then nothing is
    left that looks finished.
    """
    partial = path.with_name(f".{path.name}.{remote.checksum[:16]}.partial")
    with Line(path.name, remote.size) as line:
        _transfer(remote, partial, line)
    found = _checksum(partial, remote.algorithm)
    if found != remote.checksum:
        partial.unlink()
        raise CourseError(
            f"{remote.url} has the checksum {found[:12]}…, not {remote.checksum[:12]}…: it was damaged on the way or "
            "changed meanwhile; nothing was kept, start again"
        )
    os.replace(partial, path)


def unpack(archive: Path, path: Path) -> None:
    """Take the file that is called like ``path`` out of a .7z archive, and nothing else.

    Raises CourseError for an archive that is damaged or does not hold it, and for a full disk.
    """
    import py7zr

    folder = path.with_name(f".{path.name}.unpacking")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with py7zr.SevenZipFile(archive) as packed:
            found = [entry for entry in packed.list() if PurePosixPath(entry.filename).name == path.name]
            if len(found) != 1:
                raise CourseError(f"{artifacts.shown(archive)} holds no {path.name}, or several: fetch another archive")
            _check_space(path.parent, found[0].uncompressed)
            packed.extract(folder, targets=[found[0].filename])  # it refuses names that lead out of the folder
        unpacked = folder / found[0].filename
        if unpacked.is_symlink() or not unpacked.is_file():
            raise CourseError(f"{artifacts.shown(archive)}: {path.name} is no plain file: fetch another archive")
        os.replace(unpacked, path)
    except (py7zr.exceptions.ArchiveError, EOFError, OSError, ValueError) as error:
        raise (
            _full(path)
            if getattr(error, "errno", 0) == errno.ENOSPC
            else CourseError(f"{artifacts.shown(archive)} cannot be unpacked: remove it and fetch it again ({error})")
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _transfer(remote: Remote, partial: Path, line: Line) -> None:
    """Fill ``partial`` up to its end, by as many requests as it takes."""
    validator, failures, started, first = "", 0, time.monotonic(), _size(partial)
    name = PurePosixPath(urlsplit(remote.url).path).name[:40]
    while remote.size is None or _size(partial) < remote.size:
        have = _size(partial)
        wanted = {"Range": f"bytes={have}-", **({"If-Range": validator} if validator else {})} if have else {}
        trouble = "the connection was dropped"
        try:
            with _opened(remote.url, wanted) as answer:
                tag = answer.headers.get("ETag") or ""
                validator = "" if tag.startswith("W/") else tag  # a weak one does not vouch for every byte
                start, total = _extent(answer, have)
                if remote.size and total and total != remote.size:
                    partial.unlink(missing_ok=True)
                    raise CourseError(f"{remote.url} changed meanwhile: start again")
                _check_space(partial.parent, (total or 0) - start)
                with partial.open("r+b" if start else "wb") as file:
                    file.seek(start)
                    while chunk := answer.read1(CHUNK):
                        file.write(chunk)
                        done = file.tell()
                        speed = (done - first) / 1e6 / (time.monotonic() - started)
                        line.update(done, f"{name} {done / 1e6:,.0f} MB, {max(speed, 0):.1f} MB/s")
            if not total or _size(partial) >= total:
                return
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing lies beyond what is there: all of it came, or the file is a shorter one
                if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return
                partial.unlink()
            elif error.code not in PASSING:
                raise _refused(remote.url, error) from None
            trouble = f"the server answers {error.code}"
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if getattr(error, "errno", 0) == errno.ENOSPC:
                raise _full(partial) from None
            trouble = str(getattr(error, "reason", error))
        failures = 0 if _size(partial) > have else failures + 1
        if failures == ATTEMPTS:
            raise _unreachable(remote.url, trouble)
        time.sleep(FIRST_WAIT * 2 ** max(failures - 1, 0))


def _extent(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """-> (byte with which an answer begins, length of the whole file or None if the server does not tell)."""
    length = answer.headers.get("Content-Length")
    if answer.status != 206:
        return 0, int(length) if length else None
    part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not part or int(part[1]) != have:
        raise http.client.HTTPException("the server sent another part than was asked for")
    return have, None if part[2] == "*" else int(part[2])


def _checksum(path: Path, algorithm: str) -> str:
    """Git's name of a content is the SHA-1 of its length and itself (https://git-scm.com/book/en/v2, section 10.2)."""
    digest = hashlib.new("sha1" if algorithm == "git" else algorithm, usedforsecurity=False)
    if algorithm == "git":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CourseError(
            f"{artifacts.shown(folder)} needs {needed / 1e9:,.1f} GB more, {free / 1e9:,.1f} GB are free: make room"
        )


# ------------------------------------------------------------------ servers


def _base(server: str) -> str:
    """The address of a server, or of the mirror that the environment names for it."""
    base = (os.environ.get(MIRRORS[server]) or server).rstrip("/")
    if urlsplit(base).scheme not in ("https", "http"):
        raise CourseError(f"${MIRRORS[server]} is {base!r}: name an address that begins with https://")
    return base


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted connection to one that is not."""

    def redirect_request(self, request, file, code, message, headers, address):
        if urlsplit(request.full_url).scheme == "https" != urlsplit(address).scheme:
            raise CourseError(f"{request.full_url} leads to {address}, which is not encrypted: name another mirror")
        return super().redirect_request(request, file, code, message, headers, address)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def _opened(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=AGENT | headers)
    return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)


def _patiently(url: str, ask: Callable[[], T]) -> T:
    """What ``ask`` returns, at the third try if need be; its errors as one line that says what to do."""
    trouble = ""
    for wait in (FIRST_WAIT, 2 * FIRST_WAIT, 0):
        try:
            return ask()
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise _refused(url, error) from None
            trouble = f"the server answers {error.code}"
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            trouble = str(getattr(error, "reason", error))
        time.sleep(wait)
    raise _unreachable(url, trouble)


def _text(url: str) -> str:
    def ask() -> str:
        with _opened(url, {}) as answer:
            return answer.read().decode("utf-8", errors="replace")

    return _patiently(url, ask)


def _head(url: str) -> Message | None:
    """Headers of a file of the Hub, or None if it is not there.

    The Hub itself tells the checksum, and not the server it leads to; only a repository that was renamed is followed.
    """
    opener = urllib.request.build_opener(_NoRedirects)

    def ask() -> tuple[int, Message]:
        try:
            with opener.open(urllib.request.Request(url, headers=AGENT, method="HEAD"), timeout=TIMEOUT) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as answer:
            if answer.code == 404 or 300 <= answer.code < 400:
                return answer.code, answer.headers
            raise

    for _ in range(5):
        status, headers = _patiently(url, ask)
        if status < 300 or headers.get("X-Linked-Etag"):
            return headers
        if status == 404:
            return None
        url = urljoin(url, headers["Location"])
    raise CourseError(f"{url} leads in a circle: name another mirror with $HF_ENDPOINT")


def _mirror_hint(url: str) -> str:
    variable = next((name for server, name in MIRRORS.items() if url.startswith(_base(server))), "HF_ENDPOINT")
    return f"name a mirror with ${variable}"


def _refused(url: str, error: urllib.error.HTTPError) -> CourseError:
    state = "is not there (404)" if error.code == 404 else f"is refused ({error.code} {error.reason})"
    return CourseError(f"{url} {state}: try again later, or {_mirror_hint(url)}")


def _unreachable(url: str, trouble: str) -> CourseError:
    return CourseError(f"{url} cannot be fetched ({trouble}): check the network, or {_mirror_hint(url)}")


def _full(path: Path) -> CourseError:
    return CourseError(f"the disk is full: make room for {artifacts.shown(path)} and start again")
