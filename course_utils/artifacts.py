"""Stage outputs that are whole or absent, and know what they were made from.

A stage writes into a folder named after its *fingerprint* (a hash of its settings and its inputs) and
that folder is renamed to its final place in one step when the stage has finished. So

- a killed stage leaves nothing that looks finished, and started again with the same settings and inputs it finds its
  unfinished folder and, if it can, goes on from the checkpoints in it,
- a finished stage is not run again until its settings or inputs change, or the caller asks (``force``).

Cost: each input is read once to hash it (1 GB/s; large ones are remembered); what a stage wrote its manifest knows.
"""

import ast
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from . import processes, steps
from .errors import CourseError
from .profiles import Profile, artifacts_root, course_root

MANIFEST = "manifest.json"
# The libraries whose version can change what a stage writes.
RECORDED_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "peft", "accelerate", "sentencepiece", "rensa")
HASHES = ".hashes.json"  # in artifacts/: what is known of large inputs, so that they are not read again
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


class Pending(Exception):
    """Raised by ``build`` while ``asking``: the work is not done. The message: 'to do', 'unfinished' or 'outdated'."""


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
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, TypeError):
        return None


def write_json(path: Path, value: object) -> None:
    """Write readable UTF-8 JSON, so that a reader sees the old content or the new; keys stay in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


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
        return _digest(path)
    store, key, known = artifacts_root() / HASHES, str(path.resolve()), {}
    with suppress(FileNotFoundError, json.JSONDecodeError):
        known = json.loads(store.read_text(encoding="utf-8"))
    if key not in known or known[key][:2] != [size, modified]:
        known[key] = [size, modified, _digest(path)]
        write_json(store, known)
    return known[key][2]


def _digest(path: Path) -> str:
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
    resumable: bool = False, together: bool = False, force: bool = False,
) -> Manifest:  # fmt: skip
    """Run ``make(folder)`` and move what it wrote to ``out``, unless ``out`` already holds just that.

    ``make`` gets an empty folder, or with ``resumable`` the folder a killed run of the same work left behind;
    what it returns becomes the manifest's summary. ``stage`` names the work in messages and in the manifest.

    Under `torchrun` all processes run a ``make`` that they do ``together``, a training, in the folder that the main one
    prepares and keeps; so it begins with a barrier (``running.together``). Else the main process makes it alone.

    Raises CourseError when an input is missing, ``out`` holds what no stage wrote, or another process is making it.
    """
    done, layout, inputs, hashes = read_manifest(out), steps.LAYOUTS.get(stage, 1), list(inputs), {}
    check_present(stage, inputs)
    if _asking.get() and not done and not list(out.parent.glob(f".{out.name}.unfinished-*")):
        raise Pending("to do")  # without reading a large input
    settings = json.loads(json.dumps(settings, default=str))  # as they will read back from the manifest
    for path in inputs:
        name = shown(path)
        hashes[name if name not in hashes else str(path)] = sha256(path)
    mark = fingerprint(stage, settings, hashes)

    if done and done.fingerprint == mark and done.layout == layout and not force:
        return done
    work = out.parent / f".{out.name}.unfinished-{mark}"
    if _asking.get():
        raise Pending("unfinished" if work.exists() else "outdated" if done else "to do")
    check_writable(out)
    if not processes.is_main():
        if together:
            make(work)
        while (done := read_manifest(out)) is None or done.fingerprint != mark:
            time.sleep(0.1)  # until the main process has written it; the launcher ends us if that one fails
        return done
    with _lock(out):
        if work.exists() and (force or not resumable):
            shutil.rmtree(work)
        work.mkdir(exist_ok=True)
        started = time.perf_counter()
        summary = make(work) or {}
        seconds = round(time.perf_counter() - started, 1)
        finished, made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), _hash_files(work)
        manifest = Manifest(stage, settings, hashes, made, _versions(), seconds, finished, summary, layout)
        write_json(work / MANIFEST, asdict(manifest))
        _replace_folder(work, out)
    return manifest


def check_present(stage: str, inputs: Iterable[Path | str]) -> None:
    """Raises CourseError for an input of a stage that is not there; one of the Hub may come later."""
    for path in inputs:
        if "hf:/" not in str(path) and not Path(path).exists():
            fetched = Path(path).is_relative_to(course_root() / "downloads")
            advice = ", and `course download` fetches it" if fetched else ""
            raise CourseError(f"{path} is missing: {stage} needs it as input{advice}")


def _lock(out: Path):
    """A context in which no other process writes to ``out``."""
    import filelock

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        return filelock.FileLock(out.parent / f".{out.name}.lock").acquire(timeout=0)
    except filelock.Timeout:
        raise CourseError(f"{out} is being written by another process: wait for it or stop it") from None


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


def check_writable(out: Path) -> None:
    """Refuse to write over a folder that holds something else than an earlier result of a stage."""
    if out.is_file():
        raise CourseError(f"{out} is a file: name a folder to write into")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise CourseError(f"{out} is not empty and was not made by the course: name another folder or empty it first")


def shown(path: Path) -> str:
    """A path as a learner should read it: relative to the course where it can be, never of one machine."""
    path = path.resolve()
    for base, name in ((artifacts_root(), "artifacts"), (course_root(), ""), (Path.cwd(), "")):
        if path.is_relative_to(base):
            return (name / path.relative_to(base)).as_posix()
    return path.name


def _hash_files(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _replace_folder(new: Path, old: Path) -> None:
    """Put ``new`` where ``old`` is. A folder cannot be replaced in one system call, so ``old`` steps aside first."""
    aside = old.parent / f".{old.name}.replaced"
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        os.replace(old, aside)
    os.replace(new, old)
    shutil.rmtree(aside, ignore_errors=True)
