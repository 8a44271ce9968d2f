"""Stage outputs are whole or absent, and made again only when something they depend on changed."""

import hashlib
import json
import os
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
    reads, digest = [], artifacts._digest
    monkeypatch.setattr(artifacts, "_digest", lambda path: reads.append(path) or digest(path))
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
