"""A run ends right or says what is wrong, and what it has learned is not lost."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from course_utils import artifacts, profiles
from course_utils.errors import CourseError, Stopped
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import checkpoints, monitoring, pretraining, running
from course_utils.training.trainer import CourseTrainer, Order

from . import small_run
from .conftest import REPOSITORY
from .small_run import same


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    small_run.train(folder, tokenizer)
    return folder


def weights(folder: Path) -> dict:
    return load_file(folder / "model.safetensors")


def alike(a: dict, b: dict) -> bool:
    """The same but for rounding, which Adam's division makes larger where a gradient is almost zero."""
    return a.keys() == b.keys() and all((a[name] - b[name]).abs().mean() < 1e-4 for name in a)


def stop_at(folder: Path, tokenizer, step: int, number: int = signal.SIGTERM, **changed) -> Stopped:
    """Run until a signal comes in a step, with a checkpoint after each step."""
    with pytest.MonkeyPatch.context() as patch:
        real = CourseTrainer.training_step

        def training_step(self, *args, **kwargs):
            if self.state.global_step + 1 == step:
                signal.raise_signal(number)
            return real(self, *args, **kwargs)

        patch.setattr(CourseTrainer, "training_step", training_step)
        with pytest.raises(Stopped) as stopped:
            small_run.train(folder, tokenizer, save_minutes=0, **changed)
    return stopped.value


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_asked_to_stop_it_finishes_the_step_saves_and_goes_on(tokenizer, whole, tmp_path, number, code, name):
    handler = signal.getsignal(number)
    stopped = stop_at(tmp_path, tokenizer, 9, number)
    assert stopped.exit_code == code and f"stopped by {name} at step 9 of 24" in str(stopped)
    assert signal.getsignal(number) == handler
    assert not (tmp_path / "model.safetensors").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()].count("checkpoint-9") == 1
    small_run.train(tmp_path, tokenizer)
    assert same(weights(tmp_path), weights(whole))
    steps = [entry["step"] for entry in running.read_log(tmp_path) if "loss" in entry]
    assert steps == sorted(set(steps)) and steps[-1] == small_run.STEPS


@pytest.mark.parametrize("sampling", ["random", "group_by_length"])
def test_a_run_stopped_in_its_second_epoch_reads_what_is_left_of_it(tokenizer, tmp_path, sampling):
    small_run.train(tmp_path / "whole", tokenizer, epochs=2, sampling=sampling)
    stop_at(tmp_path / "stopped", tokenizer, 33, epochs=2, sampling=sampling)
    small_run.train(tmp_path / "stopped", tokenizer, epochs=2, sampling=sampling)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_the_order_is_of_seed_and_epoch_alone_and_by_length_puts_like_beside_like():
    first, again, by_length = Order(200, None, 8, 42), Order(200, None, 4, 42), Order(200, list(range(200)), 8, 42)
    assert list(first) == list(again) == list(first)
    second = Order(200, None, 8, 42)
    second.epoch = 1
    assert list(second) != list(first)
    for order in (first, second, by_length):
        assert sorted(order) == list(range(200))
    spread = np.ptp(np.array(list(by_length)).reshape(-1, 8), axis=1).mean()
    assert spread < 0.5 * np.ptp(np.array(list(first)).reshape(-1, 8), axis=1).mean()


@pytest.mark.parametrize("epochs", [0.5, 1])
def test_asked_to_stop_in_its_last_step_it_has_its_model_and_the_same_command_ends_it(tokenizer, tmp_path, epochs):
    small_run.train(tmp_path / "whole", tokenizer, epochs=epochs)
    last = round(small_run.STEPS * epochs)
    stopped = stop_at(tmp_path / "stopped", tokenizer, last, epochs=epochs)
    assert f"at step {last} of {last}" in str(stopped)
    (tmp_path / "stopped" / "model.safetensors").unlink()
    small_run.train(tmp_path / "stopped", tokenizer, epochs=epochs)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_checkpoints_of_a_model_in_parts_are_not_taken_for_whole_ones(tokenizer, tmp_path):
    stop_at(tmp_path, tokenizer, 3)
    checkpoint = tmp_path / "checkpoints" / "checkpoint-3"
    (checkpoint / running.SHARDED).touch()
    with pytest.raises(CourseError, match="of the other kind of `parallel`"):
        small_run.train(tmp_path, tokenizer)


def test_a_failing_device_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="illegal memory access"), checkpoints.to_disk(tmp_path, "it", 1):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    times, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGE = {
    "weights cut": lambda folder: cut(folder / "model.safetensors"),
    "one bit of the optimizer": lambda folder: flip(folder / "optimizer.pt"),
    "no optimizer": lambda folder: (folder / "optimizer.pt").unlink(),
    "no schedule": lambda folder: (folder / "scheduler.pt").unlink(),
    "empty random numbers": lambda folder: (folder / "rng_state.pth").write_bytes(b""),
    "no state": lambda folder: (folder / "trainer_state.json").unlink(),
    "no list of files": lambda folder: (folder / checkpoints.FILES).unlink(),
    "a list that is cut": lambda folder: cut(folder / checkpoints.FILES),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tokenizer, whole, tmp_path, capsys, damage):
    stop_at(tmp_path, tokenizer, 9)
    DAMAGE[damage](tmp_path / "checkpoints" / "checkpoint-9")
    capsys.readouterr()
    small_run.train(tmp_path, tokenizer)
    assert "checkpoint-9 is damaged" in capsys.readouterr().out
    assert same(weights(tmp_path), weights(whole))


def test_without_a_whole_checkpoint_it_begins_again_and_says_so(tokenizer, whole, tmp_path, capsys):
    stop_at(tmp_path, tokenizer, 3)
    for path in (tmp_path / "checkpoints").iterdir():
        cut(path / "model.safetensors")
    small_run.train(tmp_path, tokenizer)
    assert "no whole checkpoint is left: training begins at its first step" in capsys.readouterr().out
    assert same(weights(tmp_path), weights(whole))


def test_a_checkpoint_that_was_being_written_is_nothing(tokenizer, whole, tmp_path):
    stop_at(tmp_path, tokenizer, 5)
    folder = tmp_path / "checkpoints"
    (folder / "checkpoint-5").rename(folder / "aside")
    (folder / checkpoints.WRITING / "checkpoint-5").mkdir(parents=True)
    (folder / "aside" / "model.safetensors").rename(folder / checkpoints.WRITING / "checkpoint-5" / "model.safetensors")
    small_run.train(tmp_path, tokenizer)
    assert same(weights(tmp_path), weights(whole))
    assert not (folder / checkpoints.WRITING).exists()


def test_two_checkpoints_are_kept(tokenizer, tmp_path):
    stop_at(tmp_path, tokenizer, 6)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"checkpoint-5", "checkpoint-6"}


def test_a_loss_that_is_no_number_ends_the_run(tokenizer, tmp_path):
    with pytest.raises(CourseError) as error:
        small_run.train(tmp_path, tokenizer, learning_rate=1e30, warmup_fraction=0, save_minutes=0)
    assert "a run: the loss or its gradient is not finite at step" in str(error.value)
    assert "(learning rate 9.95e+29)" in str(error.value) and "Try a lower learning_rate" in str(error.value)
    assert "the last good checkpoint is that of step" in str(error.value)
    assert not (tmp_path / "model.safetensors").exists()
    last = running.read_log(tmp_path)[-1]
    assert math.isnan(last["loss"]) and f"step {last['step']} of 24" in str(error.value)
    saved = load_file(checkpoints.newest(tmp_path / "checkpoints") / "model.safetensors")
    assert all(torch.isfinite(weight).all() for weight in saved.values())


def test_a_gradient_that_is_no_number_ends_the_run_before_it_spoils_the_weights(tokenizer, tmp_path):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    model.lm_head.weight.register_hook(lambda grad: grad * math.nan)
    before = model.lm_head.weight.detach().clone()
    with pytest.raises(CourseError, match=r"not finite at step 1 of 24 .* there is no checkpoint yet"):
        small_run.train(tmp_path, tokenizer, model)
    assert torch.equal(model.lm_head.weight, before)


def test_out_of_memory_halves_what_is_held_and_keeps_the_batch(tokenizer, whole, tmp_path, capsys):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    calls = []

    def full(module, args, kwargs):
        calls.append(len(kwargs["input_ids"]))
        if model.training and len(calls) > 20 and calls[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    handle = model.register_forward_pre_hook(full, with_kwargs=True)
    small_run.train(tmp_path, tokenizer, model)
    handle.remove()
    said = capsys.readouterr().out
    assert "out of memory with 8 examples at a time: goes on with 4, accumulated 2 times; a step still sees 8" in said
    assert "out of memory with 4 examples at a time: goes on with 2, accumulated 4 times" in said
    a, b = weights(tmp_path), weights(whole)
    assert alike(a, b)
    losses = [[e["eval_loss"] for e in running.read_log(folder) if "eval_loss" in e] for folder in (tmp_path, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_out_of_memory_with_one_example_is_an_error(tokenizer, tmp_path):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.register_forward_pre_hook(full)
    with pytest.raises(CourseError, match=r"out of memory with 1 examples at a time. .* gradient_checkpointing"):
        small_run.train(tmp_path, tokenizer, model)


@pytest.mark.parametrize("change", [
    {"batch_size": 2, "gradient_accumulation_steps": 4}, {"loss": "chunked"}, {"gradient_checkpointing": True},
])  # fmt: skip
def test_a_stopped_run_goes_on_with_another_split_of_its_batch(tokenizer, whole, tmp_path, change):
    assert replace(small_run.SETTINGS, **change).recipe == small_run.SETTINGS.recipe
    stop_at(tmp_path, tokenizer, 9)
    small_run.train(tmp_path, tokenizer, **change)
    a, b = weights(tmp_path), weights(whole)
    assert alike(a, b)


def test_a_full_disk_is_one_line_and_then_the_run_goes_on(tokenizer, whole, tmp_path, monkeypatch):
    real = torch.save

    def full(content, place, *args, **kwargs):
        if "checkpoint-7" in str(place):
            raise OSError(28, "No space left on device")
        return real(content, place, *args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CourseError) as error:
        small_run.train(tmp_path, tokenizer, save_minutes=0)
    line = str(error.value)
    assert "the checkpoint of step 7 could not be written" in line and "No space left on device" in line
    assert "it needs" in line and "are free; the checkpoint of step 6 is kept" in line and "\n" not in line
    monkeypatch.undo()
    assert not (tmp_path / "checkpoints" / checkpoints.WRITING).exists()
    small_run.train(tmp_path, tokenizer)
    assert same(weights(tmp_path), weights(whole))


def test_too_small_a_disk_is_named_before_the_first_step(tokenizer, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CourseError, match=r"the checkpoints of this training need .* there and 1.0 MB are free"):
        small_run.train(tmp_path, tokenizer)
    assert not running.read_log(tmp_path)


def test_a_training_leaves_the_process_as_it_found_it(tokenizer, tmp_path):
    def state():
        bar = transformers.utils.logging.is_progress_bar_enabled()
        rust = tokenizer.backend_tokenizer
        return (
            dict(os.environ), random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), bar,
            transformers.logging.get_verbosity(), torch.backends.fp32_precision, list(warnings.filters),
            rust.padding, rust.truncation, tokenizer.padding_side, torch.is_grad_enabled(),
        )  # fmt: skip

    tokenizer(["甲", "乙丙丁"], padding=True, truncation=True, max_length=3)
    model, before = pretraining.make_model(small_run.SHAPE, tokenizer), state()
    small_run.train(tmp_path, tokenizer, model, gradient_accumulation_steps=4, loss="chunked")
    for was, now in zip(before, state(), strict=True):
        assert was == now
    assert model.forward.__func__ is type(model).forward
    assert not AcceleratorState._shared_state, "the next training may have another precision"
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["padding"] is None and saved["truncation"] is None


def test_the_log_grows_and_says_how_fast(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(monitoring, "LOG_SECONDS", 0)
    small_run.train(tmp_path, tokenizer, report_to="tensorboard")
    log = running.read_log(tmp_path)
    steps = [entry for entry in log if "loss" in entry]
    assert [entry["step"] for entry in steps] == list(range(1, 25))
    names = {"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "peak_memory"}
    assert names == set(steps[-1]) and all(entry["tokens_per_second"] > 0 < entry["mfu"] for entry in steps)
    assert max(entry["learning_rate"] for entry in steps) == pytest.approx(2e-3), "the layers' rate, not the table's"
    asked = [entry for entry in log if "eval_loss" in entry]
    assert len([entry for entry in log if entry.get("sample")]) == len(asked) >= 8
    assert list((tmp_path / artifacts.LOGS).glob("events.out.tfevents.*"))


def test_the_log_forgets_what_a_run_does_again_and_a_line_that_a_kill_cut(tmp_path):
    (tmp_path / monitoring.LOG).write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste', encoding="utf-8")
    log = monitoring.Log(tmp_path, 2)
    log.write({"step": 3, "loss": 1.0, "epoch": 0.5, "unknown": 1})
    assert monitoring.read(log.path) == [{"step": 1}, {"step": 2}, {"step": 3, "epoch": 0.5, "loss": 1.0}]


@pytest.mark.parametrize(("tokens", "held_out", "block"), [(2.8e6, 400, 128), (4e9, 160_000, 512), (5e5, 40, 40.5)])
def test_evaluation_costs_at_most_a_hundredth_of_the_time(tokens, held_out, block):
    count, sample = running.evaluations(tokens, held_out, block)
    assert running.EVALUATIONS[0] <= count <= running.EVALUATIONS[1]
    assert count * sample * block / 3 <= 0.01 * tokens and 1 <= sample <= held_out
    assert sample * block <= running.EVALUATION_TOKENS


@pytest.mark.parametrize(("processes", "sizes"), [(1, (8, 16)), (4, (8, 4)), (8, (8, 2)), (16, (8, 1)), (32, (4, 1))])
def test_processes_share_one_batch(monkeypatch, processes, sizes):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    settings = running.shared(replace(small_run.SETTINGS, batch_size=8, gradient_accumulation_steps=16))
    assert (settings.batch_size, settings.gradient_accumulation_steps) == sizes


def test_a_batch_that_cannot_be_shared_is_named(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(CourseError, match="3 processes cannot share a batch of 8"):
        running.shared(small_run.SETTINGS)


def test_settings_must_be_known():
    with pytest.raises(CourseError, match="loss is 'fast': choose one of plain, chunked, liger"):
        replace(small_run.SETTINGS, loss="fast")
    with pytest.raises(CourseError, match="fp16' needs an NVIDIA GPU"):
        running.precision(replace(small_run.SETTINGS, precision="fp16"))


def test_the_recipe_names_what_decides_the_weights():
    assert replace(small_run.SETTINGS, learning_rate=1).recipe != small_run.SETTINGS.recipe
    for changed in ({"optimizer": "muon"}, {"adam_beta2": 0.99}):
        assert replace(small_run.SETTINGS, **changed).recipe != small_run.SETTINGS.recipe
    profile = profiles.load("gpu-6gb")
    assert profile.pretraining.recipe["batch"] == running.batch(profile.pretraining)


def torchrun(folder: Path, tokenizer: Path, processes: int = 2, **changed) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--master-port=0",
               "--standalone", "tests/small_run.py", str(folder), str(tokenizer), json.dumps(changed)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("loss", ["plain", "chunked"])
def test_two_processes_have_the_losses_of_one(tokenizer_folder, tmp_path, whole, loss):
    done = torchrun(tmp_path, tokenizer_folder, loss=loss)
    assert done.returncode == 0, done.stderr[-3000:]
    for key in ("loss", "eval_loss", "grad_norm"):
        alone, shared = ([e[key] for e in running.read_log(folder) if key in e] for folder in (whole, tmp_path))
        assert shared == pytest.approx(alone, abs=1e-5), key
    a, b = weights(tmp_path), weights(whole)
    assert alike(a, b)
