"""Fetch the real sources to ``downloads/``, where the profiles look for them, whole or not at all.

In comes a target (``zhwiki``, …), out come the files of it that a profile reads, from the Hugging Face Hub or Wikimedia
or the mirrors $HF_ENDPOINT and $WIKIMEDIA_MIRROR. The one idea: ask for the checksum first. An unfinished file bears it
in its name, so that a later start goes on with it. ``hf_hub_download`` (2.4) does neither: its ``http_get`` is used.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from .. import __version__, artifacts, profiles
from ..errors import CourseError

SERVERS = {"HF_ENDPOINT": "https://huggingface.co", "WIKIMEDIA_MIRROR": "https://dumps.wikimedia.org"}
HEADERS = {"User-Agent": f"chinese-llama-course/{__version__}", "Accept-Encoding": "identity"}  # Wikimedia wants a name
# A file of downloads/ is the first of ``names`` at ``home``, in a repository or (a regular expression) a wiki's dump.
Source = namedtuple("Source", "target file home names")
SOURCES = (
    Source("zhwiki", "zhwiki-latest-pages-articles-multistream.xml.bz2", "zhwiki", "pages-articles-multistream.xml.+"),
    Source("zhwiki", "zhwiki-latest-pages-articles1.xml.bz2", "zhwiki", r"pages-articles1.xml(-p\d+p\d+)?.bz2"),
    Source("baike", "BaiduBaike-5.63M/563w_baidubaike.json", "datasets/xuqinyang/BaiduBaike-5.63M",
           "563w_baidubaike.json 563w_baidubaike.7z"),
    *(Source("medical", f"medical/{name}", "datasets/shibing624/medical", name) for name in
      ("pretrain/train_encyclopedia.json", "pretrain/medical_book_zh.json", "finetune/train_zh_0.json")),
    Source("belle", "train_1M_CN/Belle_open_source_1M.json", "datasets/BelleGroup/train_1M_CN",
           "Belle_open_source_1M.json"),
    Source("tokenizer", "chatglm2-tokenizer.model", "THUDM/chatglm2-6b", "tokenizer.model"),
)  # fmt: skip
TARGETS = tuple(dict.fromkeys(source.target for source in SOURCES))


def download(target: str, profile: profiles.Profile) -> Iterator[tuple[Path, str]]:
    """Fetch what a profile reads of a target. -> (path, address or '' when it was there). Raises CourseError."""
    if target not in TARGETS:
        raise CourseError(f"unknown target {target!r}: choose one of {', '.join(TARGETS)}")
    read = {*profile.wiki_dumps, *profile.baike, *profile.medical, *chain.from_iterable(profile.instructions.values())}
    paths = {profiles.course_root() / "downloads" / each.file: each for each in SOURCES if each.target == target}
    if not (found := [path for path in paths if path in {*read, profile.tokenizer_model}]):
        raise CourseError(f"profile {profile.name} reads no {target} from downloads/: choose gpu-6gb or colab-t4")
    for path in found:
        yield path, "" if path.exists() else _fetch(paths[path], path)


def fetch_from_hub(repository: str, name: str) -> Path:
    """Fetch a file of datasets/OWNER/NAME to the cache of the Hub's library. -> its path there. Raises CourseError."""
    from huggingface_hub import hf_hub_download

    with _course_errors("HF_ENDPOINT", repository, name) as server:
        return Path(hf_hub_download(repository.removeprefix("datasets/"), name, repo_type="dataset", endpoint=server))


def _fetch(source: Source, path: Path) -> str:
    """Download a file, and unpack it where it comes as an archive. -> its address."""
    import filelock

    mirror = "HF_ENDPOINT" if "/" in source.home else "WIKIMEDIA_MIRROR"
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0)  # it makes the folder
    try:
        with lock, _course_errors(mirror, source.home, path.name) as server:
            url, digest, checksum = _find(f"{server}/{source.home}", source)
            arrived = path.with_suffix(Path(url).suffix)  # .7z, or the path itself
            _transfer(url, digest, checksum, arrived)
            if arrived != path:
                _unpack(arrived, path)
    except filelock.Timeout:
        raise CourseError(f"{artifacts.shown(path)} is being fetched by another process: wait or stop it") from None
    return url


def _find(top: str, source: Source) -> tuple[str, object, str]:
    """-> (address, begun digest, checksum). The Hub names large files by their SHA-256, small ones as Git does."""
    from huggingface_hub import get_hf_file_metadata, utils

    ask = {"headers": HEADERS, "timeout": 30, "follow_redirects": False}
    if "/" not in (wiki := source.home):  # the feed of its largest file tells the date of the latest finished dump
        rss = utils.http_backoff("GET", f"{top}/latest/{wiki}-latest-pages-articles-multistream.xml.bz2-rss.xml", **ask)
        date = re.search(rf"{wiki}[-/](\d{{8}})|$", rss.raise_for_status().text)[1] or "latest"
        sums = utils.http_backoff("GET", f"{top}/{date}/{wiki}-{date}-sha1sums.txt", **ask).raise_for_status().text
        if not (line := re.search(rf"^([0-9a-f]{{40}})\s+({wiki}-{date}-{source.names})$", sums, re.M)):
            raise ValueError(f"the dump of {wiki} of {date} has no such file, it may be unfinished")
        return f"{top}/{date}/{line[2]}", hashlib.sha1(), line[1]
    urls = [f"{top}/resolve/main/{name}" for name in source.names.split()]
    url = next(url for url in urls if url == urls[-1] or utils.http_backoff("HEAD", url, **ask).status_code != 404)
    head = get_hf_file_metadata(url, token=False, headers=HEADERS, retry_on_errors=True)
    if head.size is None or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", head.etag or ""):
        raise ValueError("it comes without a checksum")
    return url, hashlib.sha256() if len(head.etag) == 64 else hashlib.sha1(b"blob %d\0" % head.size), head.etag


def _transfer(url: str, digest: object, checksum: str, path: Path) -> None:
    """Download to ``path`` as long as bytes come, and compare the checksum. What lies there already is compared too."""
    from huggingface_hub import file_download, utils

    partial = path.with_name(f".{path.name}.{checksum[:16]}.partial")
    if path.exists():  # an archive that was not unpacked
        path.replace(partial)
    size = file_download.get_hf_file_metadata(url, token=False, headers=HEADERS, retry_on_errors=True).size or 0
    with partial.open("ab") as file:
        if size - file.tell() > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, f"{size / 1e9:,.1f} GB do not fit on the disk")
        while True:
            have = file.tell()
            try:
                file_download.http_get(url, file, resume_size=have, headers=HEADERS, expected_size=size or None)
                break
            except utils.httpx.TransportError:
                if file.tell() == have:
                    raise
    with partial.open("rb") as file:
        found = hashlib.file_digest(file, lambda: digest).hexdigest()
    if found != checksum:
        partial.unlink()
        raise ValueError("it was damaged on the way or changed meanwhile; nothing was kept, start again")
    partial.replace(path)


def _unpack(archive: Path, path: Path) -> None:
    """Take the file that is called like ``path`` out of a .7z archive, and nothing else; remove the archive."""
    import py7zr

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder, py7zr.SevenZipFile(archive) as packed:
        found = [entry for entry in packed.list() if Path(entry.filename).name == path.name and entry.is_file]
        if len(found) != 1:
            raise ValueError(f"{archive.name} holds no {path.name}, or several")
        if found[0].uncompressed > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, f"{found[0].uncompressed / 1e9:,.1f} GB do not fit on the disk")
        packed.extract(folder, targets=[found[0].filename])  # it refuses names that lead out of the folder
        Path(folder, found[0].filename).replace(path)
    archive.unlink()


@contextmanager
def _course_errors(mirror: str, home: str, name: str) -> Iterator[str]:
    """-> the address of a server or its mirror. In this context what the libraries raise becomes one line."""
    server = (os.environ.get(mirror) or SERVERS[mirror]).rstrip("/")
    try:
        yield server
    except Exception as error:  # each library has its own
        reason = (str(error.__cause__ or error) or repr(error)).splitlines()[0]
        full = getattr(error, "errno", None) == errno.ENOSPC
        advice = "make room" if full else f"check the network, try again later, or name a mirror with ${mirror}"
        raise CourseError(f"{name} cannot be fetched from {server}/{home} ({reason}): {advice}") from error
