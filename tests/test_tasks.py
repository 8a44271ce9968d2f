"""What `make` does without make; and the badge and the first cell, of which every notebook has its own."""

import ast
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from .conftest import REPOSITORY

spec = importlib.util.spec_from_file_location("tasks", REPOSITORY / "tasks.py")
tasks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tasks)
PLACE = ("https://github.com/someone/chinese-llama-course", "main")
BOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def test_make_and_tasks_know_the_same_tasks():
    made = re.search(r"^\.PHONY: help (.+)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert sorted(made) == sorted(tasks.TASKS)
    listed = re.findall(r"^(\w+)  ", tasks.HELP, re.M)
    assert listed == list(tasks.TASKS)


def test_tasks_needs_the_standard_library_alone():
    tree = ast.parse((REPOSITORY / "tasks.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A course of one module: its ``.venv`` is this Python, its pip writes down what it is asked for."""
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "BIN", tmp_path / ".venv" / tasks.BIN.name)
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


def test_the_set_up_is_done_once_and_again_when_the_pins_change(checkout, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.subprocess, "run", lambda command, **_: asked.append(command) or (
        subprocess.CompletedProcess(command, 0)))  # fmt: skip
    monkeypatch.setattr(tasks, "run", lambda command, _: asked.append(command) or 0)
    (checkout / ".venv").mkdir()
    tasks.set_up(checkout / ".venv", "requirements.txt", ["--no-deps", "-e", "."])
    assert [command[1:3] for command in asked] == [["-m", "venv"], ["-m", "pip"], ["-m", "pip"]]
    assert "requirements.txt" in asked[1] and asked[2][-2:] == ["-e", "."]
    tasks.set_up(checkout / ".venv", "requirements.txt", ["--no-deps", "-e", "."])
    assert len(asked) == 3
    os.utime(checkout / "requirements.txt", (time.time() + 60,) * 2)
    tasks.set_up(checkout / ".venv", "requirements.txt", ["--no-deps", "-e", "."])
    assert len(asked) == 6


def test_a_set_up_that_fails_is_no_set_up(checkout, monkeypatch, capsys):
    monkeypatch.setattr(tasks.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 0))
    monkeypatch.setattr(tasks, "run", lambda command, _: 3)
    (checkout / ".venv").mkdir()
    with pytest.raises(SystemExit, match="3"):
        tasks.set_up(checkout / ".venv", "requirements.txt", ["--no-deps", "-e", "."])
    assert not (checkout / ".venv/ready").exists() and "put right what pip says" in capsys.readouterr().err


def test_a_task_is_told_to_stop_and_may_save(checkout):
    """Ctrl-C in a terminal reaches both processes; SIGTERM reaches this one, and is passed on."""
    tasks.BIN.mkdir(parents=True)
    (tasks.BIN / "python").symlink_to(sys.executable)
    told = checkout / "told"
    child = (
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(told)!r}, 'w').write('saved'), sys.exit(143)))\n"
        f"open({str(checkout / 'began')!r}, 'w').close()\n"
        "time.sleep(60)"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import tasks, os; from pathlib import Path\n"
        f"tasks.ROOT, tasks.BIN = Path({str(checkout)!r}), Path({str(tasks.BIN)!r})\n"
        f"sys.exit(tasks.run(['python', '-c', {child!r}], os.environ))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (checkout / "began").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)  # a terminal's would have reached the child by itself
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143 and told.read_text(encoding="utf-8") == "saved"


def test_an_exit_code_is_passed_on_and_a_program_that_is_missing_named(checkout):
    tasks.BIN.mkdir(parents=True)
    (tasks.BIN / "python").symlink_to(sys.executable)
    assert tasks.run(["python", "-c", "raise SystemExit(7)"], os.environ) == 7
    with pytest.raises(SystemExit, match="no jupyter: remove .venv"):
        tasks.run(["jupyter", "lab"], os.environ)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_stamp_adds_a_badge_and_a_cell_and_changes_nothing_else(path):
    before = path.read_text(encoding="utf-8")
    once = tasks.stamped(before, path.name, *PLACE)
    assert tasks.stamped(once, path.name, *PLACE) == once
    moved = tasks.stamped(once, path.name, "https://github.com/other/fork", "dev")
    assert tasks.stamped(moved, path.name, *PLACE) == once
    book = nbformat.reads(once, 4)
    nbformat.validate(book)
    badge, ours = book.cells[0], [cell for cell in book.cells if not cell.id.startswith("colab-")]
    page = f"https://colab.research.google.com/github/someone/chinese-llama-course/blob/main/notebooks/{path.name}"
    assert badge.id == "colab-badge" and f"({page})" in badge.source
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code[0].id == "colab-setup" and not code[0].outputs and len(code[0].source.splitlines()) <= 20
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell, old in zip(ours, (c for c in nbformat.reads(before, 4).cells if not c.id.startswith("colab-"))):  # noqa: B905
        assert (cell.source, cell.metadata, cell.id) == (old.source, old.metadata, old.id)
        for new, was in zip(cell.get("outputs", []), old.get("outputs", []), strict=True):
            assert {**new, "execution_count": 0} == {**was, "execution_count": 0}
            assert new.get("execution_count", cell.get("execution_count")) == cell.get("execution_count")


def test_a_notebook_that_was_not_run_stays_so():
    raw = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), nbformat.v4.new_code_cell("1")])
    code = [c for c in json.loads(tasks.stamped(nbformat.writes(raw), "a.ipynb", *PLACE))["cells"] if "outputs" in c]
    assert [cell["execution_count"] for cell in code] == [None, None]


def test_all_notebooks_are_stamped_or_none():
    repository, branch = tasks.ADDRESS.search((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")).group(1, 4)
    texts = {path.name: path.read_text(encoding="utf-8") for path in BOOKS}
    stamped = {name for name, text in texts.items() if text == tasks.stamped(text, name, repository, branch)}
    assert stamped in (set(), set(texts)), "run `make stamp`"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A repository with one notebook, whose address names OWNER."""
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "BOOKS", ["notebooks/a.ipynb"])
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((REPOSITORY / "pyproject.toml").read_bytes())
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    (tmp_path / "notebooks/a.ipynb").write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("remote", [
    "https://github.com/me/my-llama.git", "git@github.com:me/my-llama.git", "ssh://git@github.com/me/my-llama",
    "https://github.com/me/my-llama/",
])  # fmt: skip
def test_the_remote_says_who_the_owner_is(published, remote):
    subprocess.run(["git", "-C", published, "remote", "add", "origin", remote], check=True)
    text = (published / "pyproject.toml").read_text(encoding="utf-8").replace("/chinese-llama-course/", "/x/")
    (published / "pyproject.toml").write_text(re.sub(r"github\.com/[\w.-]+/x/", "github.com/OWNER/x/", text), "utf-8")
    assert tasks.stamp() == 0
    assert "https://github.com/me/my-llama/tree/main/notebooks" in (published / "pyproject.toml").read_text("utf-8")
    assert 'REPOSITORY, BRANCH = \\"https://github.com/me/my-llama\\"' in (published / "notebooks/a.ipynb").read_text(
        "utf-8"
    )


def test_without_a_remote_the_placeholder_stays_and_is_named(published, capsys):
    text = re.sub(r"github\.com/[\w.-]+/", "github.com/OWNER/", (published / "pyproject.toml").read_text("utf-8"))
    (published / "pyproject.toml").write_text(text, "utf-8")
    assert tasks.stamp() == 0
    assert "names OWNER" in capsys.readouterr().err
    assert (published / "pyproject.toml").read_text("utf-8") == text
