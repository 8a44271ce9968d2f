"""Runs that are killed at any moment, again and again, end with the weights of one that was not (`make trials`)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from safetensors.torch import load_file

from course_utils.training import checkpoints, running

from .conftest import REPOSITORY
from .small_run import same

pytestmark = pytest.mark.trial
SLOW = 0.05  # seconds a step


def start(folder: Path, tokenizer: Path, **changed) -> subprocess.Popen:
    changed = json.dumps({"slow": SLOW, "save_minutes": 0, **changed})
    command = [sys.executable, "tests/small_run.py", str(folder), str(tokenizer), changed]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, **pipes)


def step_reached(folder: Path) -> int:
    newest = checkpoints.newest(folder / running.CHECKPOINTS)
    return checkpoints.step_of(newest) if newest else 0


def wait_for(what, process: subprocess.Popen) -> None:
    while not what() and process.poll() is None:
        time.sleep(0.002)


def finish(folder: Path, tokenizer: Path, **changed) -> dict:
    process = start(folder, tokenizer, **changed)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tokenizer_folder, tmp_path_factory):
    return finish(tmp_path_factory.mktemp("whole"), tokenizer_folder, slow=0)


def test_twenty_kills_lose_nothing(tokenizer_folder, whole, tmp_path):
    dice, tokenizer, folder, kills, writing, runs = random.Random(7), tokenizer_folder, None, 0, 0, 0
    while kills < 20:
        if folder is None:
            folder, runs = tmp_path / str(runs), runs + 1
        before, process = step_reached(folder) if folder.exists() else 0, start(folder, tokenizer)
        staging = folder / running.CHECKPOINTS / checkpoints.WRITING
        wait_for(lambda: step_reached_quietly(folder) > before, process)  # noqa: B023
        if kills % 3 == 0:  # while a checkpoint is being written
            wait_for(staging.exists, process)
            time.sleep(dice.uniform(0, 0.02))
        else:
            time.sleep(dice.uniform(0, 8 * SLOW))
        process.kill()
        process.wait()
        if (folder / "model.safetensors").exists() and process.returncode == 0:
            folder = None
            continue
        kills, writing = kills + 1, writing + staging.exists()
        assert step_reached(folder) > before, "a run goes on from its last checkpoint"
    assert writing >= 3, "some were killed while they wrote a checkpoint"
    assert same(finish(folder, tokenizer, slow=0), whole)


def step_reached_quietly(folder: Path) -> int:
    """By the names of the checkpoints: they are there when they are whole."""
    return max((checkpoints.step_of(path) for path in (folder / running.CHECKPOINTS).glob("checkpoint-*")), default=0)


def test_five_terminations_lose_nothing(tokenizer_folder, whole, tmp_path):
    tokenizer, dice = tokenizer_folder, random.Random(8)
    for _ in range(5):
        before, process = step_reached_quietly(tmp_path), start(tmp_path, tokenizer, save_minutes=60, slow=0.3)
        wait_for((tmp_path / "logs" / "log.jsonl").exists, process)
        wait_for(lambda: any("loss" in e and e["step"] > before for e in running.read_log(tmp_path)), process)  # noqa: B023
        time.sleep(dice.uniform(0, 0.4))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 143, said[-3000:]
        assert "stopped by SIGTERM at step" in said and "all is saved" in said
        assert step_reached(tmp_path) > before
    assert same(finish(tmp_path, tokenizer, slow=0), whole)


def test_a_disk_that_is_full_and_then_is_not(tokenizer_folder, whole, tmp_path):
    """A real one: a file system in memory of a few hundred kilobytes."""
    disk, tokenizer = tmp_path / "disk", tokenizer_folder
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a file system here")
    try:
        (disk / "ballast").write_bytes(b"x" * 36_000_000)
        process = start(disk / "run", tokenizer, slow=0)
        wait_for(lambda: step_reached_quietly(disk / "run") > 2, process)
        with suppress(OSError), (disk / "more").open("wb", buffering=0) as more:  # to the brim
            while more.write(b"x" * 4096):
                pass
        _, said = process.communicate(timeout=120)
        assert process.returncode == 2 and "could not be written" in said and "are free" in said, said[-3000:]
        assert step_reached(disk / "run") > 2
        for name in ("ballast", "more"):
            (disk / name).unlink(missing_ok=True)
        assert same(finish(disk / "run", tokenizer, slow=0), whole)
    finally:
        subprocess.run(["umount", disk], check=True)
