"""The whole road on a tiny profile: every stage runs, knows when it is done, and survives being killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from course_utils import artifacts, merge_and_chat, road, steps
from course_utils.errors import CourseError
from course_utils.merge_and_chat import evaluation
from course_utils.training import pretraining, running

from .conftest import REPOSITORY, data_text, tiny_profile


def states(profile) -> dict[str, str]:
    return {str(row.step): row.state for row in road.status(profile)}


def test_every_stage_leaves_its_output(walked):
    profile, reports = walked
    assert [name for name, _, _ in reports] == [str(step) for step in steps.STEPS]
    assert all(fresh for _, _, fresh in reports)
    assert set(states(profile).values()) == {"done"}


def test_a_second_run_makes_nothing_again(walked):
    profile, _ = walked
    again = []
    road.run(profile, report=lambda step, manifest, fresh: again.append(fresh))
    assert again == [False] * len(steps.STEPS)


def test_status_tells_what_a_changed_setting_outdates(walked):
    profile, _ = walked
    changed = replace(profile, full=replace(profile.full, epochs=2))
    found = states(changed)
    assert found["full_vs_lora_sft/common-full"] == "outdated"
    assert found["merge_and_chat/scoreboard"] == "outdated", "made from a model that will change"
    assert found["full_vs_lora_sft/common-lora"] == "done"
    assert found["pretraining/common"] == "done"


def test_other_medical_texts_outdate_the_medical_models_alone(walked, tmp_path):
    profile, _ = walked
    shutil.copytree(profile.artifacts, tmp_path / "artifacts")
    lines = data_text("medical/pretrain.jsonl.gz").splitlines(keepends=True)
    (tmp_path / "medical.jsonl").write_text("".join(lines[:100]), encoding="utf-8")
    changed = replace(profile, artifacts=tmp_path / "artifacts", medical=(tmp_path / "medical.jsonl",))
    found = states(changed)
    assert found["deduplication"] == found["pretraining/common"] == found["pretraining/medical"] == "outdated"
    assert found["wiki_cleaning"] == found["tokenizer_pruning"] == "done"
    road.do(next(step for step in steps.STEPS if step.stage == "deduplication"), changed)
    found = states(changed)
    assert found["deduplication"] == found["pretraining/common"] == found["full_vs_lora_sft/common-full"] == "done"
    assert found["pretraining/medical"] == found["full_vs_lora_sft/medical-lora"] == "outdated"


def test_status_of_an_untouched_profile_makes_nothing(tmp_path):
    assert set(states(tiny_profile(tmp_path)).values()) == {"to do"}
    assert not list(tmp_path.iterdir())


def test_a_missing_stage_names_the_notebook_and_the_command_that_make_it(tmp_path):
    notebook = steps.NOTEBOOKS["tokenizer_pruning"]
    with pytest.raises(CourseError, match=f"notebooks/{notebook}.ipynb, or `course prune-tokenizer"):
        pretraining.pretrain(tiny_profile(tmp_path), "common")


def test_the_merged_model_gives_the_adapters_logits(walked):
    profile, _ = walked
    summary = artifacts.read_manifest(profile.dir("merge_and_chat", "common-merged")).summary
    assert 0 <= summary["largest_logit_difference"] < 1e-4
    questions = ["北京的简称是什么？", "列举两种水果"]
    folders = profile.dir("full_vs_lora_sft", "common-lora"), profile.dir("merge_and_chat", "common-merged")
    adapter, merged = (merge_and_chat.answer(*merge_and_chat.load(folder), questions) for folder in folders)
    assert adapter == merged


def test_an_adapter_finds_its_base_after_the_artifacts_moved(walked, tmp_path):
    profile, _ = walked
    moved = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", profile.artifacts, moved], check=True)
    adapter = moved / profile.name / "full_vs_lora_sft" / "common-lora"
    assert str(profile.artifacts) not in (adapter / "adapter_config.json").read_text()
    model, _ = merge_and_chat.load(adapter)
    assert model.peft_config


def test_models_are_plain_safetensors_and_load_without_the_course(walked):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = walked[0].dir("full_vs_lora_sft", "medical-full")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.model_type == "llama" and len(tokenizer) == model.config.vocab_size
    assert tokenizer.chat_template
    suffixes = {path.suffix for path in walked[0].artifacts.rglob("*") if path.is_file()}
    assert not suffixes & {".bin", ".pt", ".pth", ".pkl"}, "weights and settings are never pickles"


def test_the_loss_falls_and_is_logged(walked):
    log = running.read_log(walked[0].dir("pretraining", "common"))
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert losses[-1] < losses[0] - 0.5
    assert any("eval_loss" in entry for entry in log)


def test_the_board_holds_every_model_and_split(walked):
    profile, _ = walked
    board = evaluation.read_board(profile.dir("merge_and_chat", "scoreboard"))
    assert list(board) == [
        "untrained", "common base", "common full", "common LoRA", "medical base", "medical full", "medical LoRA",
    ]  # fmt: skip
    assert len({tuple(row) for row in board.values()}) == 1, "each model has the same columns"
    assert {f"common {fact} {words}" for fact, words in evaluation.SPLITS} <= set(board["untrained"])
    assert max(board["untrained"].values()) <= 0.1, "random weights know nothing"
    answers = evaluation.read_answers(profile.dir("merge_and_chat", "scoreboard"))
    assert {row["model"] for row in answers} == set(board)


def lend_text_stages(profile, folder):
    """Let a profile with its artifacts in ``folder`` find the cleaned wiki and the tokenizer of ``profile``."""
    (folder / profile.name).mkdir(parents=True, exist_ok=True)
    for stage in ("wiki_cleaning", "deduplication", "tokenizer_pruning"):
        if not (folder / profile.name / stage).exists():
            (folder / profile.name / stage).symlink_to(profile.dir(stage))


KILLED_RUN = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from course_utils.training import pretraining
from tests.conftest import tiny_profile
profile = tiny_profile(Path(sys.argv[1]))
profile = replace(profile, pretraining=replace(profile.pretraining, epochs=4, save_minutes=0))
print(pretraining.pretrain(profile, "common").outputs["model.safetensors"])
"""


@pytest.mark.trial
def test_a_killed_pretraining_ends_with_the_same_weights(walked, tmp_path):
    """The first run is killed by force after its first checkpoint, the second goes on, the third was never killed."""

    def start(folder):
        lend_text_stages(walked[0], folder)
        command = [sys.executable, "-c", KILLED_RUN, str(folder), str(REPOSITORY)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    killed = start(tmp_path / "a")
    parent = tmp_path / "a" / "tiny" / "pretraining"
    deadline = time.monotonic() + 120
    while not list(parent.glob(".common.unfinished-*/checkpoints/checkpoint-*/trainer_state.json")):
        assert killed.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (parent / "common").exists(), "a killed run leaves nothing that looks finished"
    (checkpoints,) = parent.glob(".common.unfinished-*/checkpoints")
    (checkpoints / "checkpoint-999").mkdir()  # as if it had been killed while it wrote a later one
    (checkpoints / "checkpoint-999" / "model.safetensors").write_bytes(b"half of the weights")

    resumed, whole = (start(tmp_path / name).communicate()[0].splitlines()[-1] for name in ("a", "b"))
    assert resumed == whole


TRAINING_ALONE = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path

absent = {"gensim", "opencc", "sentencepiece", "rensa", "joblib", "matplotlib", "zhplot", "scipy", "google"}
find = PathFinder.find_spec
PathFinder.find_spec = staticmethod(lambda name, *rest: None if name.partition(".")[0] in absent else find(name, *rest))
sys.path.insert(0, sys.argv[2])
from course_utils import road, steps
from tests.conftest import tiny_profile
profile = tiny_profile(Path(sys.argv[1]))
training = ("pretraining", "full_vs_lora_sft", "merge_and_chat")
for step in steps.STEPS:
    if step.stage in training:
        road.do(step, profile)
print("trained", len(steps.STEPS))
"""


def test_the_training_stages_need_torch_transformers_datasets_peft_and_accelerate_alone(walked, tmp_path):
    lend_text_stages(walked[0], tmp_path)
    command = [sys.executable, "-c", TRAINING_ALONE, str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"trained {len(steps.STEPS)}"


SEVERAL_PROCESSES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from course_utils.training import full_vs_lora_sft, pretraining
from tests.conftest import tiny_profile
profile = tiny_profile(Path(sys.argv[1]))
pretraining.pretrain(profile, "medical")
full_vs_lora_sft.fine_tune(profile, "medical", "lora")
"""


def test_torchrun_trains_with_the_same_call(walked, tmp_path):
    """Two processes share a step's batch: the steps of one process, and its losses; one model, one log."""
    profile, _ = walked
    lend_text_stages(profile, tmp_path)
    script = tmp_path / "train.py"
    script.write_text(SEVERAL_PROCESSES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, tmp_path, REPOSITORY], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    for stage, part in (("pretraining", "medical"), ("full_vs_lora_sft", "medical-lora")):
        together = running.read_log(tmp_path / profile.name / stage / part)
        alone = running.read_log(profile.dir(stage, part))
        assert together[-1]["step"] == alone[-1]["step"]
        losses, of_one = ([entry["loss"] for entry in log if "loss" in entry] for log in (together, alone))
        assert np.mean(losses[len(losses) // 2 :]) < losses[0]
        assert losses[0] == pytest.approx(of_one[0], abs=1e-3)
