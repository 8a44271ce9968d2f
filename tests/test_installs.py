"""Other Pythons than ours: the lowest bounds, the newest of all, conda's list, and Colab imitated (`make trials`).

Each makes an environment of its own, from the package registry, and takes minutes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from .conftest import REPOSITORY
from .test_tasks import PLACE, tasks

pytestmark = pytest.mark.trial
TORCH = next(line for line in (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines() if "torch==" in line)
# What Colab brings along, and is as old or as new as it likes; its ipywidgets stay at 7.
COLAB = ("numpy", "transformers", "datasets", "accelerate", "huggingface_hub", "tokenizers", "matplotlib", "ipywidgets")
KERNEL = ("ipykernel", "nbclient", "nbformat")
BOOKS = [Path(book).name for book in tasks.BOOKS]


def bounds(*extras: str) -> dict[str, str]:
    """Name -> lowest version of what the package and its extras need; torch as it is pinned."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    needs = [*project["dependencies"], *(need for extra in extras for need in project["optional-dependencies"][extra])]
    lowest = {need.name: next(iter(need.specifier)).version for need in map(Requirement, needs)}
    return lowest | {"torch": TORCH.partition("==")[2]}


def environment(folder: Path, *packages: str) -> Path:
    """A new virtual environment with these packages. -> its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / tasks.BIN.name / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    done = subprocess.run([*pip, TORCH, *packages], capture_output=True, encoding="utf-8", cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]
    return python


def versions(python: Path, *names: str) -> dict[str, str]:
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names!r}}}))"
    return json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)


def walk(python: Path) -> None:
    """The whole road on the tiny profile, the command and a picture with controls, under another Python."""
    tests = ("test_road.py", "test_cli.py", "test_explorers.py", "test_running.py")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in tests)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8",
                          env={**os.environ, **tasks.SETTINGS, "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_lowest_bounds_are_true(tmp_path):
    lowest = bounds("notebooks", "test")
    python = environment(tmp_path / "venv", *(f"{name}=={version}" for name, version in lowest.items()))
    assert versions(python, "numpy")["numpy"].startswith(lowest["numpy"])
    walk(python)


def test_the_newest_of_everything_walks_the_road(tmp_path):
    walk(environment(tmp_path / "venv", *(name for name in bounds("notebooks", "test") if name != "torch")))


def test_the_pip_half_of_the_conda_environment_installs_and_runs(tmp_path):
    listed = yaml.safe_load((REPOSITORY / "environment.yml").read_text("utf-8"))["dependencies"]
    shutil.copytree(REPOSITORY, tmp_path / "course", ignore=shutil.ignore_patterns(".*", "artifacts", "downloads"))
    (tmp_path / "pip.txt").write_text(
        "\n".join(next(part for part in listed if isinstance(part, dict))["pip"]), "utf-8"
    )
    python = environment(tmp_path / "venv")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", tmp_path / "pip.txt"]
    (tmp_path / "pip.txt").replace(tmp_path / "course/pip.txt")  # conda writes it beside environment.yml
    subprocess.run([*pip[:-1], "pip.txt"], cwd=tmp_path / "course", check=True)
    status = subprocess.run([python.with_name("course"), "status"], capture_output=True, encoding="utf-8")
    assert status.returncode == 0 and "profile cpu-mini" in status.stdout, status.stderr


def publish(folder: Path) -> Path:
    """The course as it would lie on GitHub, stamped, in a git repository of its own."""
    shutil.copytree(
        REPOSITORY,
        folder,
        ignore=shutil.ignore_patterns(".*", "artifacts", "downloads", "__pycache__", "*.egg-info", "build"),
    )
    for book in (folder / "notebooks").glob("*.ipynb"):
        book.write_text(tasks.stamped(book.read_text("utf-8"), book.name, *PLACE), "utf-8")
    git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q", "-b", PLACE[1]], ["add", "."], ["commit", "-q", "-m", "published"]):
        subprocess.run([*git, *command], check=True)
    return folder


EXECUTE = """
import sys, nbclient, nbformat
book = nbformat.read(sys.argv[1], 4)
how = {"timeout": None, "startup_timeout": 600, "kernel_name": "python3", "resources": {"metadata": {"path": "."}}}
try:
    nbclient.NotebookClient(book, **how).execute()
finally:
    nbformat.write(book, sys.argv[1])
"""


def imitate(python: Path, published: Path, content: Path, books: list[str]) -> None:
    """Run notebooks as Colab would: each opened alone in an empty folder, with Colab's module, without a restart."""
    (content / "stub/google/colab").mkdir(parents=True)
    (content / "stub/google/colab/__init__.py").write_text("", "utf-8")
    (content / "stub/google/colab/drive.py").write_text(
        "import os\ndef mount(place): os.makedirs(place + '/MyDrive', exist_ok=True)\n", "utf-8"
    )
    stands_for = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
                  "GIT_CONFIG_VALUE_0": PLACE[0]}  # fmt: skip
    there = {**os.environ, **stands_for, **tasks.SETTINGS, "PYTHONPATH": str(content / "stub"),
             "COLAB_RELEASE_TAG": "imitation"}  # fmt: skip
    for name in books:
        text = (published / "notebooks" / name).read_text("utf-8")
        text = text.replace("KEEP_ON_DRIVE = False", "KEEP_ON_DRIVE = True")
        (content / name).write_text(text, "utf-8")
        done = subprocess.run(
            [python, "-c", EXECUTE, name], cwd=content, env=there, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, f"{name}: {done.stderr[-4000:]}"
        cells = json.loads((content / name).read_text("utf-8"))["cells"]
        shown = "".join("".join(out.get("text", [])) for cell in cells for out in cell.get("outputs", []))
        assert re.search(r"^Colab: .*profile cpu-mini", shown, re.M) and "✗ claim" not in shown, name
    assert (content / "drive/MyDrive/chinese-llama-course/artifacts/cpu-mini").is_dir()


@pytest.mark.parametrize("age", ["lowest", "newest"])
def test_on_colab_a_notebook_needs_itself_alone(tmp_path, age):
    lowest = bounds("notebooks")
    there = [f"{name}=={lowest[name]}" if age == "lowest" else name for name in COLAB]
    there = ["ipywidgets<8" if name == "ipywidgets" else name for name in there]
    python = environment(tmp_path / "venv", *there, *KERNEL)
    before = versions(python, *COLAB, "torch")
    imitate(python, publish(tmp_path / "published"), tmp_path / "content", BOOKS)
    assert versions(python, *COLAB, "torch") == before
