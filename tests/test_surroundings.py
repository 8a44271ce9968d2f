"""A notebook that came alone finds the course; one that did not is left in peace."""

import importlib.metadata
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.notebooks import surroundings

from .conftest import REPOSITORY
from .test_tasks import tasks

CELL = tasks.CELL.format("https://github.com/OWNER/chinese-llama-course", "main")


def run(code: str, folder, **environment) -> subprocess.CompletedProcess:
    """Run code in a Python that sees nothing but the standard library."""
    environment = {**os.environ, **environment, "PYTHONPATH": ""}
    command = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")


def test_in_a_checkout_the_first_cell_does_nothing(tmp_path):
    (tmp_path / "course_utils").mkdir()
    (tmp_path / "notebooks").mkdir()
    done = run(CELL, tmp_path / "notebooks")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["course_utils", "notebooks"]


def test_where_the_course_is_installed_it_does_nothing_either(tmp_path):
    done = run(f"import sys; sys.path.append({str(REPOSITORY)!r})\n{CELL}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr, list(tmp_path.iterdir())) == (0, "", "", [])


def test_a_placeholder_and_a_server_that_is_not_there_are_named(tmp_path):
    done = run(CELL, tmp_path)
    assert "RuntimeError: set REPOSITORY, above" in done.stderr
    away = tasks.CELL.format((tmp_path / "nowhere").as_uri(), "main")
    done = run(away, tmp_path)
    assert "RuntimeError: the course cannot be fetched (is the network on?): " in done.stderr
    assert not (tmp_path / "chinese-llama-course").exists()


def test_elsewhere_the_cell_fetches_the_course_and_calls_it_with_nothing_but_the_standard_library(tmp_path):
    course = tmp_path / "published"
    (course / "course_utils/notebooks").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "notebooks/__init__.py", "notebooks/surroundings.py"):
        (course / "course_utils" / name).write_bytes((REPOSITORY / "course_utils" / name).read_bytes())
    git = ["git", "-C", str(course), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    cell = tasks.CELL.format(course.as_uri(), "main").replace("surroundings.set_up(", "print(surroundings.COURSE, ")
    for _ in range(2):  # again: as after a restart
        done = run(cell, tmp_path)
        assert done.stdout.strip() == f"{tmp_path / 'chinese-llama-course'} False", done.stderr


@pytest.fixture
def pip(monkeypatch):
    """What pip is asked for: its constraints, one dict a call. ``answers``: its exit codes, the last for good."""
    calls, answers = [], [0]

    def asked(command, **_):
        with open(command[command.index("--constraint") + 1], encoding="utf-8") as file:
            calls.append(dict(line.strip().split("==") for line in file))
        assert command[-2:] == ["--editable", str(REPOSITORY)]
        code = answers.pop(0) if len(answers) > 1 else answers[0]
        return SimpleNamespace(returncode=code, stderr="ERROR: no network" if code else "")

    monkeypatch.setattr(surroundings.subprocess, "run", asked)
    return calls, answers


def test_what_is_there_and_new_enough_stays(pip, monkeypatch):
    real = importlib.metadata.version
    old = {"transformers": "4.57.1", "torch": "2.9.0+cu126"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: old.get(name) or real(name))
    surroundings.install()
    ((kept,), _) = pip
    assert kept["torch"] == "2.9.0+cu126" and kept["numpy"] == real("numpy"), "a local version counts"
    assert "transformers" not in kept, "too old for the course"
    assert kept["pytest"] == real("pytest"), "it is in use"


def test_what_is_in_use_may_go_only_where_it_must(pip):
    calls, answers = pip
    answers[:] = [1, 0]
    surroundings.install()
    assert set(calls[1]) == set(surroundings.NEVER_REPLACED) < set(calls[0])


def test_pip_says_why_it_cannot(pip):
    pip[1][:] = [1]
    with pytest.raises(CourseError, match="is the network on.*ERROR: no network"):
        surroundings.install()


def test_a_restart_is_asked_for_when_something_in_use_was_replaced(pip, monkeypatch):
    real, before = importlib.metadata.version, []

    def version(name):
        return "0.1" if name == "pytest" and pip[0] else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(CourseError, match="pytest had to be replaced while in use: restart"):
        surroundings.install()
    assert not before


def test_a_course_that_looks_installed_and_lacks_a_requirement_is_installed(pip, monkeypatch):
    monkeypatch.setattr(surroundings, "proposal", lambda: "")
    surroundings.set_up()
    assert not pip[0], "all is there"
    real = surroundings._versions
    monkeypatch.setattr(
        surroundings, "_versions", lambda names: {n: v for n, v in real(names).items() if n != "zhplot"}
    )
    surroundings.set_up()
    assert len(pip[0]) == 1


@pytest.fixture
def colab(monkeypatch, tmp_path):
    """Colab's module, whose Drive is a folder. -> the folder of the Drive, the course's own."""
    drive = ModuleType("google.colab.drive")
    drive.mount = lambda place: os.makedirs(f"{place}/MyDrive", exist_ok=True)
    module = ModuleType("google.colab")
    module.drive = drive
    monkeypatch.setitem(sys.modules, "google.colab", module)
    (tmp_path / "course").mkdir()
    monkeypatch.setattr(surroundings, "COURSE", tmp_path / "course")
    return tmp_path / "drive", tmp_path / "course"


def test_what_was_made_moves_to_the_drive_and_the_next_machine_finds_it(colab):
    drive, course = colab
    (course / "artifacts/cpu-mini").mkdir(parents=True)
    (course / "artifacts/cpu-mini/a.txt").write_text("made", encoding="utf-8")
    for _ in range(2):
        surroundings.keep(drive)
    kept = drive / "MyDrive/chinese-llama-course/artifacts/cpu-mini/a.txt"
    assert (
        kept.read_text(encoding="utf-8") == (course / "artifacts/cpu-mini/a.txt").read_text(encoding="utf-8") == "made"
    )
    (course / "downloads/b.txt").write_text("fetched", encoding="utf-8")
    for name in ("artifacts", "downloads"):  # another machine: the course is fetched anew
        (course / name).unlink()
    surroundings.keep(drive)
    assert (course / "downloads/b.txt").exists() and (course / "artifacts/cpu-mini/a.txt").exists()


def test_two_places_with_something_are_never_mixed(colab):
    drive, course = colab
    for folder in (course / "artifacts", drive / "MyDrive/chinese-llama-course/artifacts"):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text(str(folder), encoding="utf-8")
    with pytest.raises(CourseError, match="on your Drive too: rename one"):
        surroundings.keep(drive)
    assert (course / "artifacts/a.txt").read_text(encoding="utf-8") == str(course / "artifacts")


def test_without_colab_there_is_no_drive(tmp_path):
    with pytest.raises(CourseError, match="set KEEP_ON_DRIVE = False"):
        surroundings.keep(tmp_path)


@pytest.fixture
def t4(monkeypatch):
    """What PyTorch says of Colab's GPU: no bfloat16, no flash attention, 14.7 GiB."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=15_835_660_288))


def test_a_t4_is_offered_the_large_profile_and_a_cpu_is_not(t4, monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    told = surroundings.proposal()
    assert told.startswith("Colab: Tesla T4; profile cpu-mini, minutes.") and "%env COURSE_PROFILE=colab-t4" in told
    monkeypatch.setenv("COURSE_PROFILE", "colab-t4")
    assert surroundings.proposal() == "Colab: Tesla T4; profile colab-t4"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("COURSE_PROFILE")
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    assert surroundings.proposal().endswith("profile cpu-mini") and "CPU cores" in surroundings.proposal()


def test_a_t4_trains_in_fp16_without_bf16_tf32_and_flash_attention(t4, tmp_path):
    import dataclasses

    from course_utils import profiles
    from course_utils.parameter_budgeting import device_name, has_fast_bf16
    from course_utils.training import running

    settings = profiles.load("colab-t4").pretraining
    assert device_name() == "cuda" and not has_fast_bf16()
    assert running.precision(settings) == "fp16" and running.attention() == "sdpa"
    made = running.arguments(tmp_path, dataclasses.replace(settings, report_to="none"), total_steps=100, evaluations=2)
    assert made.fp16 and not made.bf16 and made.tf32 is None and not made.use_cpu
    assert made.per_device_train_batch_size * made.gradient_accumulation_steps == 120
