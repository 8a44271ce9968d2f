"""Stage outputs are whole or absent, and made again only when something they depend on changed."""

import errno
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils import artifacts, profiles
from course_utils.errors import CourseError


def write_answer(folder: Path) -> dict:
    (folder / "answer.txt").write_text("42")
    return {"answers": 1}


def build(out: Path, source: Path, make=write_answer, **settings):
    return artifacts.build(out, make, stage="test", settings=settings, inputs=[source])


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("a")
    return path


def test_a_file_that_a_stage_wrote_is_known_by_its_manifest(tmp_path, source):
    manifest = build(tmp_path / "out", source)
    answer = tmp_path / "out" / "answer.txt"
    assert artifacts.sha256(answer) == manifest.outputs["answer.txt"] == hashlib.sha256(b"42").hexdigest()


def test_a_large_input_is_read_once_and_again_when_it_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", 4)
    reads, digest = [], artifacts.digest
    monkeypatch.setattr(artifacts, "digest", lambda path: reads.append(path) or digest(path))
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"large")
    small.write_bytes(b"sm")
    for _ in range(2):
        assert artifacts.sha256(large) == hashlib.sha256(b"large").hexdigest()
        artifacts.sha256(small)
    assert reads == [large, small, small]
    large.write_bytes(b"LARGE")
    os.utime(large, (1, 1))
    assert artifacts.sha256(large) == hashlib.sha256(b"LARGE").hexdigest()
    (tmp_path / "artifacts" / artifacts.HASHES).write_text("half a fi")
    assert artifacts.sha256(large) == hashlib.sha256(b"LARGE").hexdigest()


def test_asking_for_the_state_of_work_never_begun_reads_no_input(tmp_path, source, monkeypatch):
    monkeypatch.setattr(artifacts, "sha256", None)
    with artifacts.asking(), pytest.raises(artifacts.Pending, match="to do"):
        build(tmp_path / "out", source)


def test_the_code_version_changes_with_code_and_tables_and_not_with_words_about_them(tmp_path):
    code, table = tmp_path / "a.py", tmp_path / "a.toml"
    code.write_text('"""What it does."""\n\n\ndef f(x):\n    return x + 1\n')
    table.write_text("a = 1\n")
    first = artifacts.code_version(tmp_path)
    code.write_text('"""Said in other words."""\n\n\ndef f(x):\n    """Add."""\n    return x + 1  # one\n')
    assert artifacts.code_version(tmp_path) == first
    table.write_text("a = 2\n")
    second = artifacts.code_version(tmp_path)
    code.write_text("def f(x):\n    return x + 2\n")
    assert len({first, second, artifacts.code_version(tmp_path)}) == 3


def test_a_folder_of_an_older_version_is_named_with_what_makes_it_again(tmp_path):
    profile = replace(profiles.load("cpu-mini"), artifacts=tmp_path)
    folder = profile.dir("deduplication")
    folder.mkdir(parents=True)
    old = {"stage": "deduplication", "settings": {}, "inputs": {}, "outputs": {"wiki.jsonl": "0"}, "versions": {},
           "seconds": 1.0, "finished": "2026-11-24T00:00:00+00:00", "summary": {}}  # fmt: skip
    artifacts.write_json(folder / artifacts.MANIFEST, old)
    with pytest.raises(CourseError, match="another version of the course: run notebooks/.*, or `course deduplicate"):
        artifacts.require(profile, "deduplication")
    models = profile.dir("pretraining", "common")
    models.mkdir(parents=True)
    artifacts.write_json(models / artifacts.MANIFEST, old | {"stage": "pretraining/common"})
    assert artifacts.require(profile, "pretraining", "common") == models, "what has kept its form is still read"


def test_a_finished_stage_leaves_a_manifest_with_settings_inputs_outputs_and_summary(tmp_path, source):
    manifest = build(tmp_path / "out", source, size=3)
    assert (tmp_path / "out" / "answer.txt").read_text() == "42"
    assert manifest.settings == {"size": 3}
    assert list(manifest.outputs) == ["answer.txt"]
    assert manifest.summary == {"answers": 1}
    assert artifacts.read_manifest(tmp_path / "out") == manifest
    told = json.loads((tmp_path / "out/manifest.json").read_text())
    for name in told:
        artifacts.write_json(tmp_path / "out/manifest.json", told | {name: None})
        assert artifacts.read_manifest(tmp_path / "out") is None, f"{name} is of another type"


def test_a_finished_stage_is_not_run_again_until_input_or_settings_change(tmp_path, source):
    runs = []

    def make(folder):
        runs.append(1)
        return write_answer(folder)

    build(tmp_path / "out", source, make, size=3)
    build(tmp_path / "out", source, make, size=3)
    assert len(runs) == 1
    build(tmp_path / "out", source, make, size=4)
    source.write_text("b")
    build(tmp_path / "out", source, make, size=4)
    assert len(runs) == 3


def test_a_killed_stage_leaves_nothing_that_looks_finished_and_keeps_the_old_result(tmp_path, source):
    build(tmp_path / "out", source, size=3)

    def killed(folder):
        (folder / "answer.txt").write_text("4")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "out", source, killed, size=4)
    assert (tmp_path / "out" / "answer.txt").read_text() == "42"
    assert artifacts.read_manifest(tmp_path / "out").settings == {"size": 3}
    assert len(list(tmp_path.glob(".out.unfinished-*"))) == 1


def test_a_resumable_stage_finds_what_the_killed_run_left(tmp_path, source):
    def killed(folder):
        (folder / "checkpoint").write_text("step 7")
        raise KeyboardInterrupt

    def resumed(folder):
        return {"resumed_at": (folder / "checkpoint").read_text()}

    arguments = dict(stage="test", settings={}, inputs=[source], resumable=True)
    with pytest.raises(KeyboardInterrupt):
        artifacts.build(tmp_path / "out", killed, **arguments)
    assert artifacts.build(tmp_path / "out", resumed, **arguments).summary == {"resumed_at": "step 7"}


def test_a_folder_the_course_did_not_make_is_not_overwritten(tmp_path, source):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(CourseError, match="not empty"):
        build(tmp_path / "out", source)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(CourseError, match="nowhere.txt is missing"):
        build(tmp_path / "out", tmp_path / "nowhere.txt")


def test_written_json_is_readable_chinese(tmp_path):
    artifacts.write_json(tmp_path / "a.json", {"城市": "北京"})
    assert "北京" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"城市": "北京"}


def kill(*args: object) -> None:
    raise KeyboardInterrupt


def train(folder: Path) -> dict:
    """Checkpoints, a log and a model, as a training leaves them."""
    for name in ("checkpoints", "logs"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "1").write_text(name)
    return write_answer(folder)


TRAINING = {"stage": "test", "settings": {}, "resumable": True, "scratch": ["checkpoints"]}


def test_what_is_needed_on_the_way_alone_goes_when_the_result_is_in_its_place(tmp_path, monkeypatch):
    replace_folder = artifacts._replace_folder
    monkeypatch.setattr(artifacts, "_replace_folder", kill)
    with pytest.raises(KeyboardInterrupt):
        artifacts.build(tmp_path / "out", train, **TRAINING)
    (work,) = tmp_path.glob(".out.unfinished-*")
    assert (work / "checkpoints/1").exists(), "days of work, until the result is there"
    monkeypatch.setattr(artifacts, "_replace_folder", replace_folder)
    artifacts.build(tmp_path / "out", kill, **TRAINING)  # it was whole: nothing is made again
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"answer.txt", "logs", artifacts.MANIFEST}


def test_several_processes_do_together_what_was_killed_at_its_end(tmp_path, monkeypatch):
    """The others cannot know that the main one would skip it, and would wait for it."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(artifacts, "_replace_folder", kill)
        artifacts.build(tmp_path / "out", train, **TRAINING, together=True)
    monkeypatch.setenv("WORLD_SIZE", "2")

    def again(folder):
        return {"whole": (folder / artifacts.MANIFEST).exists(), "resumed": (folder / "checkpoints/1").exists()}

    manifest = artifacts.build(tmp_path / "out", again, **TRAINING, together=True)
    assert manifest.summary == {"whole": False, "resumed": True}


def test_a_kill_between_the_end_and_the_tidying_is_tidied_by_the_next_call(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "_remove", lambda *paths: any(path.name == "checkpoints" for path in paths) and kill())
        with pytest.raises(KeyboardInterrupt):
            artifacts.build(tmp_path / "out", train, **TRAINING)
    assert (tmp_path / "out/checkpoints").exists() and artifacts.read_manifest(tmp_path / "out")
    with pytest.raises(artifacts.Pending), artifacts.asking():
        artifacts.build(tmp_path / "out", kill, **TRAINING | {"settings": {"other": 1}})
    monkeypatch.setenv("RANK", "1")
    artifacts.build(tmp_path / "out", kill, **TRAINING)
    assert (tmp_path / "out/checkpoints").exists(), "the main process alone removes"
    monkeypatch.delenv("RANK")
    artifacts.build(tmp_path / "out", kill, **TRAINING)
    assert not (tmp_path / "out/checkpoints").exists() and not (tmp_path / "out" / artifacts.WORK).exists()


def test_logs_are_kept_but_do_not_make_another_result(tmp_path):
    manifest = artifacts.build(tmp_path / "out", train, **TRAINING)
    assert list(manifest.outputs) == ["answer.txt"] and (tmp_path / "out/logs/1").exists()
    before = artifacts.sha256(tmp_path / "out")
    (tmp_path / "out/logs/1").write_text("longer")
    assert artifacts.sha256(tmp_path / "out") == before


def test_a_forced_run_that_was_stopped_goes_on_with_the_same_command(tmp_path):
    artifacts.build(tmp_path / "out", train, **TRAINING)

    def stopped(folder):
        train(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artifacts.build(tmp_path / "out", stopped, **TRAINING, force=True)

    def resumed(folder):
        return {"resumed": (folder / "checkpoints/1").exists()}

    assert artifacts.build(tmp_path / "out", resumed, **TRAINING, force=True).summary == {"resumed": True}


def test_everything_is_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    synced, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.add(os.readlink(f"/proc/self/fd/{file}")) or fsync(file))
    if not Path("/proc/self/fd").exists():
        pytest.skip("asks Linux which file is meant")
    out = tmp_path / "out"
    monkeypatch.setattr(artifacts, "_replace_folder", lambda work, out: os.replace(work, out))
    artifacts.build(out, train, **TRAINING)
    names = {Path(name).name.split(".unfinished")[0] for name in synced}
    assert {"answer.txt", "logs", "1", ".out"} <= names and any(name.startswith(".manifest") for name in names)
    assert "checkpoints" not in names, "what will be removed need not last"
    synced.clear()
    artifacts.sync(out)
    assert synced >= {str(path.resolve()) for path in (out, *out.rglob("*"))}


def test_unfinished_work_of_other_settings_is_named_with_what_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path))
    out, text = tmp_path / "tiny/stage/part", tmp_path / "text"
    text.write_text("a")

    def stop(rate):
        settings = {"model": {"layers": 2, "shape": None}, "training": {"learning_rate": rate}}
        with pytest.raises(KeyboardInterrupt):
            artifacts.build(out, kill, stage="stage/part", settings=settings, inputs=[text], resumable=True)
        return capsys.readouterr().out

    assert stop(0.0005) == stop(0.0005) == ""
    (old,) = artifacts.begun(out)
    assert old.stage == "stage/part" and old.settings["training"] == {"learning_rate": 0.0005}
    (old.folder / "checkpoint").write_bytes(bytes(2_000_000))
    text.write_text("b")
    (line,) = stop(0.001).splitlines()
    assert "learning_rate 0.0005 -> 0.001, other artifacts/text)" in line and "layers" not in line
    assert artifacts.shown(old.folder) in line and "2.0 MB; `course clean -p tiny` removes it" in line
    assert stop(0.001) == "", "said once"
    assert "and 1 older" in stop(0.002)


def test_all_that_a_kill_left_is_found_and_can_be_removed(tmp_path):
    profile = replace(profiles.load("cpu-mini"), artifacts=tmp_path)
    out = profile.dir("pretraining", "common")
    with pytest.raises(KeyboardInterrupt):
        artifacts.build(out, kill, stage="pretraining/common", settings={"a": 1})
    (out.parent / ".common.replaced").mkdir()
    for name in (".old.json.7.partial", ".new.json.8.partial"):
        (profile.dir("") / name).write_text("half")
    os.utime(profile.dir("") / ".old.json.7.partial", (1, 1))
    found = {left.folder.name.split("-")[0]: left for left in artifacts.unfinished(profile.dir(""))}
    assert set(found) == {".common.unfinished", ".common.replaced", ".old.json.7.partial"}, "one is being written"
    work = found[".common.unfinished"]
    assert (work.stage, work.settings, work.out) == ("pretraining/common", {"a": 1}, out)
    with artifacts.lock(out), pytest.raises(CourseError, match="being written by another process"):
        artifacts.remove(work)
    for left in found.values():
        artifacts.remove(left)
    assert not artifacts.unfinished(profile.dir("")) and not artifacts.unfinished(tmp_path / "nowhere")


def refuse(number: int):
    def write(*args, **kwargs):
        raise OSError(number, os.strerror(number), "weights.bin")

    return write


def no_number(text: str):
    def write(folder):
        raise RuntimeError(text)

    return write


@pytest.mark.parametrize(
    "write, reason",
    [
        (refuse(errno.ENOSPC), "cannot write .*weights.bin: No space left on device"),
        (refuse(errno.EROFS), "cannot write .*Read-only file system"),
        (refuse(errno.EACCES), "no access to .*Permission denied"),
        (no_number("I/O error: No space left on device (os error 28)"), "cannot write .*unfinished-.*No space left"),
        (no_number("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "cannot write .*No space"),
    ],
)
def test_a_disk_that_refuses_is_told_in_one_line_and_nothing_is_lost(tmp_path, write, reason):
    def make(folder):
        (folder / "checkpoint").touch()
        write(folder)

    with pytest.raises(CourseError, match=reason) as told:
        artifacts.build(tmp_path / "out", make, **TRAINING)
    assert re.search(r"\d[\d.]* [kMGT]?B are free there.*the same command goes on$", str(told.value))
    assert list(tmp_path.glob(".out.unfinished-*/checkpoint"))


@pytest.mark.parametrize("step", ["mkdir", "replace"])
def test_a_disk_that_refuses_the_folder_itself_is_told_too(tmp_path, monkeypatch, step):
    monkeypatch.setattr(os, step, refuse(errno.EROFS))
    with pytest.raises(CourseError, match="Read-only file system"):
        artifacts.build(tmp_path / "deep/er/out", train, **TRAINING)


def test_an_error_of_the_stage_itself_is_not_taken_for_the_disks(tmp_path):
    with pytest.raises(RuntimeError, match="^a bug$"):
        artifacts.build(tmp_path / "out", no_number("a bug"), **TRAINING)
    with pytest.raises(FileNotFoundError):
        artifacts.build(tmp_path / "out", refuse(errno.ENOENT), **TRAINING)


def test_half_a_file_of_a_killed_run_is_no_part_of_the_result(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        artifacts.build(tmp_path / "out", kill, **TRAINING)
    (work,) = tmp_path.glob(".out.unfinished-*")
    (work / ".report.json.7.partial").write_text("{")
    assert list(artifacts.build(tmp_path / "out", train, **TRAINING).outputs) == ["answer.txt"]
