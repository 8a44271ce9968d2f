"""Stage outputs that are whole or absent, and know what they were made from.

A stage writes into a folder named after its *fingerprint* (a hash of its settings and its inputs) and
that folder is renamed to its final place in one step when the stage has finished. So

- a killed stage leaves nothing that looks finished, not even after a power cut, and started again with the same
  settings and inputs it finds its unfinished folder and, if it can, goes on from the checkpoints in it,
- a finished stage is not run again until its settings or inputs change, or the caller asks (``force``).

Cost: each input is read once to hash it (1 GB/s; large ones are remembered); what a stage wrote its manifest knows.
"""

import ast
import datetime
import errno
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import get_origin

from rich.filesize import decimal

from . import processes, steps
from .errors import CourseError
from .profiles import Profile, artifacts_root, course_root
from .progress import say

MANIFEST = "manifest.json"
# The libraries whose version can change what a stage writes.
RECORDED_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "peft", "accelerate", "sentencepiece", "rensa")
LOGS = "logs"  # a stage's folder of logs: kept with its result, but no part of what the result is
WORK = ".work.json"  # in an unfinished folder: what is being made in it
LEFT = (".*.unfinished-*", ".*.replaced", ".*.partial")  # what a kill can leave behind
LEFT_SECONDS = 60  # a partial file is written in less
HASHES = ".hashes.json"  # in artifacts/: what is known of large inputs, so that they are not read again
NO_PLACE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, *NO_PLACE)
# How a full disk shows in safetensors, numpy and torch.save, which give no number.
DISK_FULL = re.compile(r"os error 28|No space left|requested and \d+ written|inline_container|PytorchStreamWriter")
REMEMBERED_BYTES = 2**24  # the smallest file worth remembering: it takes longer to read than to look up


@dataclass(frozen=True)
class Manifest:
    """What a finished stage was made from: enough to decide whether it must be made again."""

    stage: str
    settings: dict
    inputs: dict[str, str]  # path -> sha256
    outputs: dict[str, str]  # path inside the stage's folder -> sha256
    versions: dict[str, str]
    seconds: float
    finished: str  # ISO 8601, UTC
    summary: dict = field(default_factory=dict)  # a few figures worth showing in `course status`
    layout: int = 1  # number of the form of the stage's files, see ``steps.LAYOUTS``

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.stage, self.settings, self.inputs)


@dataclass(frozen=True)
class Unfinished:
    """Work that was begun and not finished, or what a kill left beside a result (its stage is then unknown)."""

    folder: Path
    stage: str
    settings: dict
    inputs: dict[str, str]
    bytes: int
    changed: float  # seconds since 1970

    @property
    def size(self) -> str:
        return decimal(self.bytes)

    @property
    def out(self) -> Path:
        """Where the finished work would stand."""
        return self.folder.with_name(re.sub(r"^\.|\.(unfinished-\w+|replaced|partial)$", "", self.folder.name))


class Pending(Exception):
    """Raised by ``build`` while ``asking``: the work is not done. The message: 'to do', 'unfinished' or 'outdated'.
    ``work`` is the folder of a stopped run from which the same work would go on."""

    def __init__(self, state: str, work: Path | None = None):
        super().__init__(state)
        self.work = work


_asking = ContextVar("asking", default=False)


@contextmanager
def asking() -> Iterator[None]:
    """Within this context ``build`` makes nothing: it returns the manifest of finished work or raises ``Pending``."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished stage, or None if the folder does not hold one."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        found = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        if all(isinstance(getattr(found, one.name), get_origin(one.type) or one.type) for one in fields(found)):
            return found
    return None


def write_json(path: Path, value: object) -> None:
    """Write readable UTF-8 JSON, as ``write_text`` writes; keys stay in their order."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, so that a reader sees the old content or the new, after a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        _sync(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path, skip: Collection[str] = ()) -> None:
    """Wait until a file, or every file and folder below a folder, is on the disk: a power cut then takes nothing of it.
    ``skip`` names what is directly in the folder and may be lost. Cost: what is not yet written is written now."""
    if path.is_dir():
        for inner in path.iterdir():
            if inner.name not in skip and not inner.is_symlink():
                sync(inner)
    _sync(path)


def _sync(path: Path) -> None:
    with suppress(OSError) if path.is_dir() else nullcontext():  # Windows and some network disks cannot do folders
        file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def disk_error(error: BaseException | None, folder: Path) -> CourseError | None:
    """What the disk refused, in one line: full, read-only, not permitted. None for an error of another kind."""
    while error and not (getattr(error, "errno", None) in DISK_ERRORS or DISK_FULL.search(str(error))):
        error = error.__cause__
    if not error:
        return None
    number, path = getattr(error, "errno", None) or errno.ENOSPC, getattr(error, "filename", None)
    path = Path(path if isinstance(path, str | Path) else folder).absolute()
    there = next(parent for parent in (path, *path.parents) if os.path.isdir(parent))  # Path's own fails on a long name
    failed = "no access to" if number in NO_PLACE else "cannot write"
    return CourseError(
        f"{failed} {path}: {os.strerror(number)}, {decimal(shutil.disk_usage(there).free)} are free there: what was "
        "finished is kept; put that right, and the same command goes on"
    )


@contextmanager
def _explaining(folder: Path) -> Iterator[None]:
    """Within this context what the disk refuses is a CourseError."""
    try:
        yield
    except Exception as error:
        problem = None if isinstance(error, CourseError) else disk_error(error, folder)
        if not problem:
            raise
        raise problem from error


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Within this context what a library says of a model's files that are missing, cut off or of another kind is a
    CourseError of one line."""
    try:
        yield
    except CourseError:
        raise
    except Exception as error:  # each library has its own
        told = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" …")
        raise CourseError(f"{shown(folder)} cannot be loaded ({told}): make it or fetch it again") from error


def sha256(path: Path) -> str:
    """Hash of a file, or of a folder: of all files in it. What a finished stage wrote is known by its manifest."""
    for folder in (path, *path.parents[:2]):
        if manifest := read_manifest(folder):
            known, inside = manifest.outputs, path.relative_to(folder).as_posix()
            return known[inside] if inside in known else _of_folder(known) if path == folder else _read_hash(path)
    return _read_hash(path)


def _of_folder(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _read_hash(path: Path) -> str:
    """Read a file, or remember what it held when it was read: as long as its size and time are the same."""
    if path.is_dir():
        return _of_folder(_hash_files(path))
    size, modified = path.stat().st_size, path.stat().st_mtime_ns
    if size < REMEMBERED_BYTES:
        return digest(path)
    store, key, known = artifacts_root() / HASHES, str(path.resolve()), {}
    with suppress(OSError, json.JSONDecodeError):
        known = json.loads(store.read_text(encoding="utf-8"))
    if key not in known or known[key][:2] != [size, modified]:
        known[key] = [size, modified, digest(path)]
        with suppress(OSError):  # read-only: it is read again the next time
            write_json(store, known)
    return known[key][2]


def digest(path: Path) -> str:
    """SHA-256 of a file, read anew: ``sha256`` may remember a large one by its time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_version(*places: str | Path) -> str:
    """Hash of the code and tables in files (``module.__file__``) or folders; comments and docstrings do not count. For
    what is made by code that a reader may edit: `datasets` and a manifest alone would give back the old result."""
    digest = hashlib.sha256()
    for place in map(Path, places):
        for file in sorted([*place.glob("*.py"), *place.glob("*.toml")]) if place.is_dir() else [place]:
            digest.update(_code(file.read_bytes()) if file.suffix == ".py" else file.read_bytes())
    return digest.hexdigest()[:16]


@cache  # asked again for each part of a corpus
def _code(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body.pop(0)
    return ast.dump(tree).encode()


def fingerprint(stage: str, settings: dict, inputs: dict[str, str]) -> str:
    """Identity of a piece of work. Paths do not count, contents and their order do: the course may be moved."""
    work = {"stage": stage, "settings": settings, "inputs": list(inputs.values())}
    return hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()[:16]


def build(
    out: Path, make: Callable[[Path], dict | None], *, stage: str, settings: dict, inputs: Iterable[Path] = (),
    resumable: bool = False, together: bool = False, force: bool = False, scratch: Collection[str] = (),
) -> Manifest:  # fmt: skip
    """Run ``make(folder)`` and move what it wrote to ``out``, unless ``out`` already holds just that.

    ``make`` gets an empty folder, or with ``resumable`` the folder a killed run of the same work left behind;
    what it returns becomes the manifest's summary. ``stage`` names the work in messages and in the manifest.
    ``scratch`` names what in the folder is needed only while it is made, checkpoints for one: it is no part of the
    result, and is removed when the result is in its place. A folder ``logs`` is kept, but does not count as content.
    ``force`` makes again what is finished; what a killed run left is not thrown away for it.

    Under `torchrun` all processes run a ``make`` that they do ``together``, a training, in the folder that the main one
    prepares and keeps; so it begins with a barrier (``running.together``). Else the main process makes it alone.

    Raises CourseError when an input is missing, ``out`` holds what no stage wrote, another process is making it, or
    the disk is full or not to be written to.
    """
    done, layout, inputs, hashes = read_manifest(out), steps.LAYOUTS.get(stage, 1), list(inputs), {}
    check_present(stage, inputs)
    if _asking.get() and not done and not begun(out):
        raise Pending("to do")  # without reading a large input
    settings = json.loads(json.dumps(settings, default=str))  # as they will read back from the manifest
    for path in inputs:
        name = shown(path)
        hashes[name if name not in hashes else str(path)] = sha256(path)
    mark = fingerprint(stage, settings, hashes)

    if done and done.fingerprint == mark and done.layout == layout and not force:
        if processes.is_main() and not _asking.get():
            _remove(*(out / name for name in (WORK, *scratch)))  # left by a kill just after the end
        return done
    work = out.parent / f".{out.name}.unfinished-{mark}"
    if _asking.get():
        stopped = work if resumable and work.exists() else None
        raise Pending("unfinished" if work.exists() else "outdated" if done else "to do", stopped)
    check_writable(out, stage)
    if not processes.is_main():
        if together:
            with _explaining(work):
                make(work)
        while (done := read_manifest(out)) is None or done.fingerprint != mark:
            time.sleep(0.1)  # until the main process has written it; the launcher ends us if that one fails
        return done
    with _explaining(work), lock(out):
        # Written last: with it the folder is whole, and was killed before it was moved. Several processes do it again.
        manifest = read_manifest(work) if processes.world_size() == 1 else None
        if not (manifest and manifest.fingerprint == mark and manifest.layout == layout):
            if work.exists() and not resumable:
                shutil.rmtree(work)
            _open(work, out, {"stage": stage, "settings": settings, "inputs": hashes})
            what = Manifest(stage, settings, hashes, {}, versions(), 0.0, "", {}, layout)
            manifest = _make(work, make, what, (WORK, *scratch))
        _replace_folder(work, out)
        _remove(*(out / name for name in (WORK, *scratch)))
    return manifest


def _open(work: Path, out: Path, what: dict) -> None:
    """Make the folder to work in, or take up that of a killed run; it says what it is. Say what is left behind."""
    others = [] if work.exists() else [left for left in begun(out) if left.stage]
    work.mkdir(exist_ok=True)
    _remove(work / MANIFEST, *work.glob(".*.partial"))  # else it would be taken for whole, or for a part of the result
    write_json(work / WORK, what)
    if others:
        old, new = _flat(others[0].settings), _flat(what["settings"])
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        changes = [f"{name.rpartition('.')[2]} {_brief(old, name)} -> {_brief(new, name)}" for name in names]
        known = set(others[0].inputs.items())
        changes += [f"other {name}" for name, content in what["inputs"].items() if (name, content) not in known]
        told = ", ".join(changes[:4]) + ("" if len(changes) < 5 else f" and {len(changes) - 4} more")
        older = f" and {len(others) - 1} older" if others[1:] else ""
        place, root = out.absolute(), artifacts_root()
        advice = "remove it when you need it no more"
        if place.is_relative_to(root):
            advice = f"`course clean -p {place.relative_to(root).parts[0]}` removes it"
        say(
            f"leaves behind unfinished work of other settings ({told}): {shown(others[0].folder)}, {others[0].size}"
            f"{older}; {advice}"
        )


def _make(work: Path, make: Callable[[Path], dict | None], what: Manifest, lost: Collection[str]) -> Manifest:
    """Let ``make`` fill the folder, and write the manifest when all of it but what is ``lost`` is on the disk."""
    started = time.perf_counter()
    summary = make(work) or {}
    seconds, outputs = round(time.perf_counter() - started, 1), _hash_files(work, (LOGS, *lost))
    finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = replace(what, outputs=outputs, seconds=seconds, finished=finished, summary=summary)
    sync(work, lost)
    write_json(work / MANIFEST, asdict(manifest))
    return manifest


def _flat(settings: dict, above: str = "") -> dict[str, object]:
    """The settings in settings too, each under its path."""
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def _brief(flat: dict, name: str) -> str:
    text = str(flat.get(name, "—"))
    return text if len(text) < 24 else f"{text[:20]}…"


def begun(out: Path) -> list[Unfinished]:
    """Unfinished work of which ``out`` would be the result, of any settings: the latest first."""
    return _left(out.parent.glob(f".{glob.escape(out.name)}.unfinished-*"))


def unfinished(folder: Path) -> list[Unfinished]:
    """All that was begun and not finished, or that a kill left behind, in a profile's folder: the latest first."""
    places = [folder, *(place for place in folder.glob("[!.]*") if place.is_dir())]
    return _left(path for place in places for pattern in LEFT for path in place.glob(pattern))


def _left(paths: Iterable[Path]) -> list[Unfinished]:
    found = []
    for path in paths:
        files, told = [], {"stage": "", "settings": {}, "inputs": {}}
        for file in (path, *(Path(place, name) for place, _, names in os.walk(path) for name in names)):
            with suppress(OSError):  # a running stage may just have removed it
                files.append(file.lstat())
        with suppress(OSError, json.JSONDecodeError):
            told = json.loads((path / WORK).read_text(encoding="utf-8"))
        size, changed = sum(file.st_size for file in files), max((file.st_mtime for file in files), default=0)
        if files and (path.is_dir() or time.time() - changed > LEFT_SECONDS):
            found.append(Unfinished(path, **told, bytes=size, changed=changed))
    return sorted(found, key=lambda left: left.changed, reverse=True)


def remove(left: Unfinished) -> None:
    """Remove unfinished work for good. Raises CourseError while another process works in it."""
    with _explaining(left.folder), lock(left.out) if left.folder.is_dir() else nullcontext():
        shutil.rmtree(left.folder) if left.folder.is_dir() else left.folder.unlink()


def check_present(stage: str, inputs: Iterable[Path | str]) -> None:
    """Raises CourseError for an input of a stage that is not there; one of the Hub may come later."""
    for path in inputs:
        if "hf:/" not in str(path) and not Path(path).exists():
            fetched = Path(path).is_relative_to(course_root() / "downloads")
            advice = ", and `course download` fetches it" if fetched else ""
            raise CourseError(f"{path} is missing: {stage} needs it as input{advice}")


@contextmanager
def lock(out: Path) -> Iterator[None]:
    """Within this context no other process writes to ``out``; its folder is made. Raises CourseError where one does."""
    import filelock

    out.parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(out.parent / f".{out.name}.lock")
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise CourseError(f"{out} is being written by another process: wait for it or stop it") from None
    try:
        yield
    finally:
        _remove(Path(held.lock_file))  # while it is held: who waits for a file that is gone tries again
        held.release()


def require(profile: Profile, stage: str, part: str = "") -> Path:
    """The folder of a finished earlier stage. Raises CourseError, naming the notebook and the command that make it,
    when it is not there, or was left by a version of the course that wrote other files."""
    folder = profile.dir(stage, part)
    manifest = read_manifest(folder)
    if manifest and manifest.layout == steps.LAYOUTS.get(stage, 1):
        return folder
    step = steps.step(stage, part)
    state = "was made by another version of the course" if manifest else "is missing"
    makers = f"run notebooks/{step.notebook}.ipynb, or `{step.command} --profile {profile.name}`"
    raise CourseError(f"{shown(folder)} {state}: {makers}")


def check_new(path: Path, force: bool) -> None:
    """Raises CourseError where a file would be overwritten unasked, or what is none: a folder, a device."""
    if path.exists() and not path.is_file():
        raise CourseError(f"{shown(path)} is no file: name another place")
    if path.exists() and not force:
        raise CourseError(f"{shown(path)} exists: name another place, or write over it with --force")


def check_writable(out: Path, stage: str) -> None:
    """Refuse to write over a folder that holds something else than an earlier result of the stage."""
    if out.is_file():
        raise CourseError(f"{out} is a file: name a folder to write into")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise CourseError(f"{out} is not empty and was not made by the course: name another folder or empty it first")
    if (manifest := read_manifest(out)) and manifest.stage != stage:
        raise CourseError(f"{shown(out)} is the result of {manifest.stage}, not of {stage}: name another folder")


def shown(path: Path) -> str:
    """A path as a learner should read it: relative to the course where it can be, never of one machine."""
    path = path.resolve()
    fetched = (course_root() / "downloads").resolve()  # as artifacts, it may be a link to a larger disk
    for base, name in ((artifacts_root(), "artifacts"), (fetched, "downloads"), (course_root(), ""), (Path.cwd(), "")):
        if path.is_relative_to(base):
            return (name / path.relative_to(base)).as_posix()
    return path.name


def _hash_files(folder: Path, skip: Collection[str] = ()) -> dict[str, str]:
    """Hashes of all files in a folder, but for manifests and what is in the folder under one of the names ``skip``."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    names = {path: path.relative_to(folder) for path in files}
    return {name.as_posix(): digest(path) for path, name in names.items() if name.parts[0] not in skip}


def versions() -> dict[str, str]:
    """Of Python and of the libraries that can change what a stage writes."""
    found = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _replace_folder(new: Path, old: Path) -> None:
    """Put ``new`` where ``old`` is. A folder cannot be replaced in one system call, so ``old`` steps aside first."""
    aside = old.parent / f".{old.name}.replaced"
    _remove(aside)
    if old.exists():
        os.replace(old, aside)
    os.replace(new, old)
    _sync(old.parent)
    _remove(aside)


def _remove(*paths: Path) -> None:
    """Remove files and folders that are no longer needed; what cannot be removed now stays."""
    for path in paths:
        with suppress(OSError):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
