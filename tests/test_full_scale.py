"""The real `gpu-6gb` profile on a CPU: its 92 M model, ChatGLM2's tokenizer, files of the real schemas (`make trials`).

Twenty steps of one sequence instead of 128: a step of its full batch is minutes of two cores.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils import artifacts
from course_utils.training import running

from .conftest import REPOSITORY

pytestmark = pytest.mark.trial
RUN = """
from dataclasses import replace
from course_utils import profiles, road
profile = profiles.load("gpu-6gb")
few = dict(batch_size=1, gradient_accumulation_steps=1, epochs={epochs}, save_minutes=0.1)
profile = replace(profile, max_documents=60, pretraining=replace(profile.pretraining, **few))
for step in road.STEPS:
    if step.stage != "parameter_budgeting":
        road.do(step, profile)
    if str(step) == "pretraining/common":
        break
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A course's folder with `downloads/` as `course download` would fill it, in small."""
    from .conftest import SHARED

    model = SHARED / "chatglm2-tokenizer.model"
    if not model.exists():
        pytest.skip("chatglm2-tokenizer.model is not beside this checkout: it is a real file that cannot be committed")
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        import real_shapes
    finally:
        sys.path.pop(0)
    home = tmp_path_factory.mktemp("home")
    (home / "data").symlink_to(REPOSITORY / "data")
    downloads, made = home / "downloads", home / "made"
    made.mkdir()
    real_shapes.write(made, 0.0001)
    places = {"BaiduBaike-5.63M": "563w_baidubaike.json", "medical/pretrain": "train_encyclopedia.json"}
    for place, name in places.items():
        (downloads / place).mkdir(parents=True)
        (made / name).rename(downloads / place / name)
    (downloads / "medical/pretrain/medical_book_zh.json").write_text('{"text": "高血压是常见的慢性病。"}\n')
    (downloads / "chatglm2-tokenizer.model").write_bytes(model.read_bytes())
    dump = REPOSITORY / "data" / "wiki" / "zhwiki-mini-pages-articles.xml.bz2"
    (downloads / "zhwiki-latest-pages-articles-multistream.xml.bz2").write_bytes(dump.read_bytes())
    return home


def start(home: Path, epochs: float) -> subprocess.Popen:
    environment = {**os.environ, "COURSE_HOME": str(home), "COURSE_ARTIFACTS": str(home / "artifacts"),
                   "PYTHONPATH": str(REPOSITORY)}  # fmt: skip
    command = [sys.executable, "-c", RUN.format(epochs=epochs)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=home, env=environment, **pipes)


def test_the_92_million_model_learns_is_killed_and_goes_on(home):
    stage = home / "artifacts" / "gpu-6gb" / "pretraining"

    def steps_logged() -> int:
        logs = list(stage.glob(".common.unfinished-*/logs/log.jsonl"))
        return logs[0].read_text(encoding="utf-8").count('"loss"') if logs else 0

    epochs = 0.3
    process = start(home, epochs)
    while process.poll() is None and not (steps_logged() > 6 and list(stage.glob(".common*/checkpoints/checkpoint-*"))):
        time.sleep(0.2)
    assert process.poll() is None, process.communicate()[0][-3000:]
    process.kill()
    process.wait()
    (left,) = stage.glob(".common.unfinished-*")
    before = json.loads((left / ".work.json").read_text(encoding="utf-8"))
    assert before["settings"]["pretraining"]["batch"] == 1
    process = start(home, epochs)
    said, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, said[-3000:]
    manifest = artifacts.read_manifest(stage / "common")
    log = running.read_log(stage / "common")
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert 88e6 < manifest.summary["parameters"] < 96e6
    assert len({entry["step"] for entry in log if "loss" in entry}) == len(losses) >= 20
    assert sum(losses[-3:]) / 3 < sum(losses[:3]) / 3 - 1, losses
    assert not list(stage.glob(".common.unfinished-*")) and not (stage / "common" / "checkpoints").exists()
