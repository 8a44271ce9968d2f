"""Checkpoints that are whole or absent, and are verified before they are used.

In comes the state of a training as the `Trainer` writes it: weights, optimizer, schedule, loss scale, random numbers
and the place in the data. It is written into a folder that no run looks at, with each file's size and SHA-256,
everything is brought to the disk (fsync), and then the folder gets its name in one step. A run goes on from the newest
checkpoint of which every file is what was written; one that is damaged is passed over with a line.

Cost: hashing is a second or two a gigabyte, twice; on disk three checkpoints at most, 12 bytes a weight each.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal
from safetensors import SafetensorError

from .. import artifacts, processes
from ..errors import CourseError
from ..progress import say

WRITING, DAMAGED = ".writing", "damaged-"
FILES = "files.json"
STATE = "trainer_state.json"
KEPT = 2  # the one before may save a run where the newest is damaged


@contextmanager
def writing(folder: Path, step: int, bytes_needed: int) -> Iterator[None]:
    """Write a checkpoint: within this context the Trainer fills ``folder/.writing/checkpoint-<step>``; then it is moved
    to ``folder``, and of those before the newest stays. Raises CourseError where the disk does not take it; what was
    there before stays."""
    staging, name = folder / WRITING, f"checkpoint-{step}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with to_disk(folder, f"the checkpoint of step {step:,}", bytes_needed):
            yield
            new = staging / name
            files = (path for path in sorted(new.rglob("*")) if path.is_file())
            known = {path.relative_to(new).as_posix(): [path.stat().st_size, artifacts.digest(path)] for path in files}
            artifacts.write_json(new / FILES, known)
            artifacts.sync(new)
            shutil.rmtree(folder / name, ignore_errors=True)
            new.rename(folder / name)
            artifacts.sync(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for old in _numbered(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    for path in folder.glob(f"{DAMAGED}*"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def to_disk(folder: Path, what: str, bytes_needed: int) -> Iterator[None]:
    """Within this context a disk that takes no more is a CourseError: what was to be written, how much it needs, and
    which checkpoint is kept."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # how Python, torch and safetensors report a full disk
        if not isinstance(error, OSError) and not artifacts.disk_error(error, folder):
            raise  # a GPU that fails while its state is read is no full disk
        last = next(iter(_numbered(folder)), None)
        kept = f"the checkpoint of step {step_of(last):,} is kept" if last else "no checkpoint was written before"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CourseError(
            f"{artifacts.shown(folder)}: {what} could not be written ({reason}): it needs {decimal(bytes_needed)} "
            f"there and {decimal(shutil.disk_usage(folder).free)} are free; {kept}. Make room, then the same command "
            "goes on"
        ) from error


def check_room(folder: Path, bytes_needed: int) -> None:
    """Raises CourseError where the checkpoints of a run, ``bytes_needed`` each, will not find room in ``folder``."""
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed, free = max((KEPT + 1) * bytes_needed - there, bytes_needed), shutil.disk_usage(folder).free
    if needed > free:
        raise CourseError(
            f"{artifacts.shown(folder)}: the checkpoints of this training need {decimal(needed)} there and "
            f"{decimal(free)} are free: make room, then the same command goes on"
        )


def newest(folder: Path) -> Path | None:
    """The newest checkpoint of which every file is as it was written, or None. Others are set aside, with a line."""
    for path in _numbered(folder):
        if not (damage := find_damage(path)):
            return path
        say(f"{artifacts.shown(path)} is damaged ({damage}): passed over for the one before")
        if processes.is_main():
            aside = path.with_name(f"{DAMAGED}{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
    if any(folder.glob(f"{DAMAGED}*")):
        say("no whole checkpoint is left: training begins at its first step")
    return None


def find_damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None: each file must be there, in its size, with its SHA-256."""
    try:
        known = json.loads((checkpoint / FILES).read_text(encoding="utf-8"))
        for name, (size, digest) in known.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size or artifacts.digest(path) != digest:
                return f"{name} is not what was written"
        return None if STATE in known else f"{STATE} is missing"
    except FileNotFoundError:
        return f"{FILES} is missing"
    except (OSError, ValueError, TypeError, AttributeError):
        return f"{FILES} cannot be read"


def step_of(checkpoint: Path) -> int:
    """The step after which it was written."""
    return int(checkpoint.name.rpartition("-")[2])


def _numbered(folder: Path) -> list[Path]:
    """Checkpoints, the newest first."""
    found = (path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit())
    return sorted(found, key=step_of, reverse=True)
