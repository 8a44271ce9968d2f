"""What `make` does, also where there is no make (Windows): ``python tasks.py course | test | lab``. Standard library.

The first of them sets up ``.venv``, and so does the next after a change of requirements.txt or pyproject.toml; ``book``
has an environment of its own. The Makefile calls this file. ``stamp`` writes the badge and the first cell of every
notebook, from the one address in pyproject.toml.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
BOOK_VENV = ROOT / ".venv-book"  # the pages need none of the course's packages, and the course none of theirs
# Nothing but the set-up needs a network. On Apple's GPUs what PyTorch has no kernel for runs on the CPU.
SETTINGS = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
            "PYTORCH_ENABLE_MPS_FALLBACK": "1"}  # fmt: skip
BOOKS = [book.relative_to(ROOT).as_posix() for book in sorted(ROOT.glob("notebooks/0*.ipynb"))]
PYTEST = ["python", "-m", "pytest", "-q"]
NBVAL = [*PYTEST, "--nbval", "--nbval-current-env", "--nbval-cell-timeout=3600", "-p", "no:cacheprovider"]
# What each task runs, in .venv, one after the other.
TASKS = {
    "course": [["course", "notebooks", *BOOKS]],
    "test": [[*PYTEST, "--numprocesses=2", "--dist=loadfile", "tests"], *([[*NBVAL, *BOOKS]] if BOOKS else [])],
    "book": [[str(BOOK_VENV / BIN.name / "python"), "book/build.py"]],
    "lab": [["jupyter", "lab", "--ip=127.0.0.1", *BOOKS[:1]]],
    "trials": [[*PYTEST, "tests", "-m", "trial"]],
    "world": [["python", "data/builder"]],
    "notebooks": [["jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", book] for book in BOOKS],
    "stamp": [],
}
HELP = """course     run the whole course on the embedded data and print the scoreboard
test       run all tests and check every notebook's outputs
book       build the web edition, build/book/index.html
lab        open the course in JupyterLab
and for authors:
trials     what takes long: kills, installs
world      rebuild data/ from data/facts/
notebooks  execute the notebooks in place
stamp      write the badge and the first cell of every notebook, from the address in pyproject.toml"""

ADDRESS = re.compile(r'^notebooks = "(https://github\.com/([\w.-]+)/([\w.-]+))/tree/([\w./-]+)/notebooks"$', re.M)
REMOTE = re.compile(r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({})"
CELL = """\
# Where this notebook came alone (Colab, Kaggle …) this cell fetches the course; in the course's folder it does nothing.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH = "{}", "{}"
KEEP_ON_DRIVE = False  # True: what you make and download stays on your Google Drive

course = Path("chinese-llama-course")
if not (find_spec("course_utils") or course.is_dir() or Path("../course_utils").is_dir()):
    if "/OWNER/" in REPOSITORY:
        raise RuntimeError("set REPOSITORY, above, to the address of the course's git repository; run this cell again")
    clone = ["git", "clone", "--quiet", "--depth=1", "--branch", BRANCH, REPOSITORY, str(course)]
    if (done := subprocess.run(clone, stderr=subprocess.PIPE, text=True)).returncode:
        raise RuntimeError(f"the course cannot be fetched (is the network on?): {{done.stderr.strip()}}")
if course.is_dir():
    sys.path.insert(0, str(course.resolve()))
    from course_utils.notebooks import surroundings
    surroundings.set_up(KEEP_ON_DRIVE)"""


def set_up(venv: Path, pins: str, *rest: list[str]) -> None:
    """Make an environment with what a file pins, and what ``rest`` tells pip besides, unless it is there and newer than
    that file and pyproject.toml. Ends the program where that fails."""
    ready, made_from = venv / "ready", [ROOT / pins, ROOT / "pyproject.toml"]
    if ready.exists() and ready.stat().st_mtime >= max(path.stat().st_mtime for path in made_from):
        return
    print(f"Setting up {venv.name} (a few minutes, once) …", flush=True)
    if failed := subprocess.run([sys.executable, "-m", "venv", str(venv)]).returncode:
        sys.exit(failed)  # it has said why
    python = str(venv / BIN.name / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    for what in (["--progress-bar", "on", "-r", pins], *rest):
        if failed := run([*pip, *what], os.environ):
            told = f"error: {venv.name} could not be set up: put right what pip says above, and start again"
            print(told, file=sys.stderr)
            sys.exit(failed)
    ready.touch()


def run(command: list[str], environment) -> int:
    """Run a program of ``.venv`` in the course's folder. -> its exit code. Ctrl-C reaches it by itself, and SIGTERM is
    passed on, so that it can save what it has; this process waits for it."""
    program = shutil.which(command[0], path=str(BIN))
    if not program:
        sys.exit(f"error: .venv has no {command[0]}: remove .venv, and start again")
    child = subprocess.Popen([program, *command[1:]], cwd=ROOT, env=environment)
    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: lambda *_: child.terminate()}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def address() -> tuple[str, str]:
    """Where the notebooks are published. -> (repository, branch). Named in pyproject.toml; while that names OWNER, a
    ``git remote`` on GitHub tells, and pyproject.toml is written."""
    file = ROOT / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    found = ADDRESS.search(text)
    if not found:
        sys.exit('error: pyproject.toml has no line notebooks = "https://github.com/OWNER/NAME/tree/BRANCH/notebooks"')
    repository, owner, _, branch = found.groups()
    if owner == "OWNER":
        told = subprocess.run(["git", "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True).stdout
        if remote := REMOTE.fullmatch(told.strip()):
            repository = "https://github.com/{}/{}".format(*remote.groups())
            write(file, text.replace(found[1], repository))
        else:
            told = "pyproject.toml names OWNER, and no git remote on GitHub tells who: badges lead nowhere till then"
            print(f"note: {told}", file=sys.stderr)
    return repository, branch


def stamped(text: str, name: str, repository: str, branch: str) -> str:
    """A notebook's text with its badge first, and the set-up cell before all other code. Outputs stay as they are, and
    numbers of execution are counted on."""
    book = json.loads(text)
    old = next((cell for cell in book["cells"] if cell.get("id") == "colab-setup"), None)
    cells = [cell for cell in book["cells"] if cell.get("id") not in ("colab-badge", "colab-setup")]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    whole = bool(code) and all(cell["execution_count"] for cell in code)  # it was run from top to bottom
    if whole and not (old and old["execution_count"]):
        for cell in code:
            cell["execution_count"] += 1
            for output in cell["outputs"]:
                if "execution_count" in output:
                    output["execution_count"] += 1
    page = f"{repository.replace('github.com', 'colab.research.google.com/github')}/blob/{branch}/notebooks/{name}"
    badge = {"cell_type": "markdown", "id": "colab-badge", "metadata": {}, "source": [BADGE.format(page)]}
    cell = {"cell_type": "code", "execution_count": 1 if whole else None, "id": "colab-setup", "metadata": {},
            "outputs": [], "source": CELL.format(repository, branch).splitlines(keepends=True)}  # fmt: skip
    cells.insert(cells.index(code[0]) if code else len(cells), cell)
    book["cells"] = [badge, *cells]
    return json.dumps(book, ensure_ascii=False, indent=1) + "\n"


def stamp() -> int:
    """Stamp every notebook. -> the exit code."""
    repository, branch = address()
    for book in map(Path, BOOKS):
        text = (ROOT / book).read_text(encoding="utf-8")
        new = stamped(text, book.name, repository, branch)
        if new != text:
            write(ROOT / book, new)
        print(f"{'✓' if new != text else '·'} {book.name}")
    return 0


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # a console of GBK gets ? for what it cannot show
        stream.reconfigure(errors="replace")
    shown = argparse.ArgumentParser(
        description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter, usage="python tasks.py TASK"
    )
    shown.add_argument("task", nargs="?", choices=list(TASKS), metavar="TASK")
    task = shown.parse_args().task
    if not task:
        print(HELP)
        return 0
    if task == "stamp":
        return stamp()
    if task == "book":
        set_up(BOOK_VENV, "requirements-book.txt")
    else:
        set_up(VENV, "requirements.txt", ["--no-deps", "-e", "."])
    for command in TASKS[task]:
        if code := run(command, {**os.environ, **SETTINGS}):
            return code
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  for whoever has an older one
        sys.exit("error: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info[:2]))
    sys.exit(main())
