"""What is done for a notebook that came alone: to Colab, to Kaggle, or to a folder without the course.

Its first cell fetches the course and calls ``set_up``; in a checkout it does neither. In comes a Python with anything
installed or nothing, out comes one that has what the course needs. What is there and new enough stays, above all what
takes minutes to fetch or is in use: so nothing needs a restart.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ..errors import CourseError

COURSE = Path(__file__).parents[2]
NAME = "chinese-llama-course"
NEVER_REPLACED = ("torch", "numpy", "transformers")  # where they are new enough


def set_up(keep_on_drive: bool = False) -> None:
    """Install what is missing, keep ``artifacts/`` and ``downloads/`` on Google Drive if asked, and tell which profile
    fits. Done again it changes nothing. Raises CourseError where it cannot be done."""
    bounds = _bounds()
    have = _versions([NAME, *bounds])  # a folder can look installed where its requirements are not
    fits = all(name in have and bound.contains(have[name], prereleases=True) for name, bound in bounds.items())
    if NAME not in have or not fits:
        print("installing what the course needs and is not here …", flush=True)
        install()
    if keep_on_drive:
        keep(COURSE.parent / "drive")
    print(proposal())


def install() -> None:
    """Let pip install the course, and what of its requirements is missing or too old. Raises CourseError where pip
    cannot, and where a restart is needed because something in use had to be replaced."""
    modules = metadata.packages_distributions()
    used = _versions({name for module, names in modules.items() if module in sys.modules for name in names})
    heavy = _versions(NEVER_REPLACED)
    for kept in (used | heavy, heavy):
        if not (problem := _pip(kept)):
            break
    else:
        raise CourseError(f"pip cannot install what the course needs (is the network on?): {problem}")
    importlib.invalidate_caches()
    if changed := [name for name, version in used.items() if _versions([name]) != {name: version}]:
        raise CourseError(f"{', '.join(changed)} had to be replaced while in use: restart, and run this cell again")


def _pip(kept: dict[str, str]) -> str:
    """Install, leaving what is kept as it is unless it is too old for the course. -> what pip says against it."""
    from packaging.utils import canonicalize_name

    bounds = _bounds()
    fits = (
        f"{name}=={version}\n"
        for name, version in kept.items()
        if (bound := bounds.get(canonicalize_name(name))) is None or bound.contains(version, prereleases=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        (constraints := Path(folder, "kept.txt")).write_text("".join(fits), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
        done = subprocess.run(
            [*pip, "--constraint", str(constraints), "--editable", str(COURSE)],
            stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
        )  # fmt: skip
    return done.returncode and (done.stderr.strip() or f"exit code {done.returncode}")


def _bounds() -> dict:
    """Name -> versions that the course can work with, of what it requires."""
    from packaging.requirements import Requirement  # every kernel brings it
    from packaging.utils import canonicalize_name

    project = tomllib.loads((COURSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = map(Requirement, project["dependencies"])
    return {canonicalize_name(need.name): need.specifier for need in needs}


def _versions(names: Iterable[str]) -> dict[str, str]:
    """Name -> version of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def keep(drive: Path) -> None:
    """Mount Google Drive, and let ``artifacts/`` and ``downloads/`` lie there. What was made before moves along. Raises
    CourseError where there is no Drive, or both places have something."""
    try:
        from google.colab import drive as colab
    except ImportError:
        raise CourseError("Google Drive is on Colab alone: set KEEP_ON_DRIVE = False") from None
    colab.mount(str(drive))
    for name in ("artifacts", "downloads"):
        here, there = COURSE / name, drive / "MyDrive" / NAME / name
        if here.is_symlink():
            continue
        there.mkdir(parents=True, exist_ok=True)
        if here.exists():
            if any(there.iterdir()):
                raise CourseError(f"{name}/ is here and on your Drive too: rename one, {here} or {there}")
            partial = there.with_name(f".{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(here, partial)
            there.rmdir()
            partial.rename(there)
            shutil.rmtree(here)
        here.symlink_to(there, target_is_directory=True)


def proposal() -> str:
    """Where this is, on what, and which profile fits."""
    import torch

    from .. import parameter_budgeting, profiles

    place = "Colab" if "COLAB_RELEASE_TAG" in os.environ else "Kaggle" if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else ""
    told = f"{place or 'here'}: {parameter_budgeting.device_title()}; profile {profiles.chosen_name()}"
    memory = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
    devices = {name: parameter_budgeting.DEVICES[profiles.load(name).device] for name in profiles.names()[1:]}
    large = [name for name, device in devices.items() if device.limit <= memory]
    if profiles.chosen_name() != profiles.DEFAULT or not large:
        return told
    return (f"{told}, minutes. The GPU carries {large[-1]} too, 92 M parameters, hours: !course download zhwiki baike "
            f"medical belle tokenizer -p {large[-1]}, then %env COURSE_PROFILE={large[-1]}")  # fmt: skip
