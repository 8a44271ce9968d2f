"""What a training says while it runs: a line of progress, a log that grows, and a stop that loses nothing.

The log is ``logs/log.jsonl`` in the stage's folder, a JSON object a line: ``step``, ``epoch``, ``loss`` (nats a token),
``learning_rate``, ``grad_norm``, ``tokens_per_second``, ``mfu`` (of what this device's matrix products reach),
``peak_memory`` (bytes); at an evaluation ``eval_loss`` and ``sample``, a text of the model. TensorBoard's files lie
beside it: ``tensorboard --logdir artifacts``.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from transformers import TrainerCallback

from .. import artifacts, processes
from ..progress import Line

LOG = "log.jsonl"
LOG_SECONDS = 60  # the longest time without a new line in the log
SAME_REQUEST_SECONDS = 2  # a launcher may send one request twice: from the cluster's scheduler, and by itself
TOLD = ("step", "epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "peak_memory", "eval_loss",
        "eval_seconds", "sample")  # fmt: skip


class Log:
    """The growing log, that the main process writes. Begun again, it forgets what came after the step at which the run
    goes on."""

    def __init__(self, folder: Path, step: int):
        self.path = folder / LOG
        if not processes.is_main():
            return
        kept = [entry for entry in read(self.path) if entry["step"] <= step]
        artifacts.write_text(self.path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept))

    def write(self, entry: dict) -> None:
        if not processes.is_main():
            return
        told = {key: entry[key] for key in TOLD if key in entry}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False) + "\n")


def read(path: Path) -> list[dict]:
    """The entries of a log; a last line that a kill has cut is left out."""
    entries = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return entries


class Meter:
    """Speed and memory since it was last read. ``flops`` a token and of the device a second give MFU, the share of the
    possible (Chowdhery et al. 2022, https://arxiv.org/abs/2204.02311, appendix B)."""

    def __init__(self, tokens_per_step: float, flops_per_token: float, device_flops: float, step: int):
        self.tokens, self.flops, self.device_flops = tokens_per_step, flops_per_token, device_flops
        self.step, self.time, self.speed = step, time.perf_counter(), None

    def read(self, step: int) -> dict[str, float]:
        now = time.perf_counter()
        if step > self.step:
            self.speed = (step - self.step) * self.tokens / (now - self.time)
        self.step, self.time = step, now
        cuda = torch.cuda.is_available()
        memory = torch.cuda.max_memory_allocated() if cuda else psutil.Process().memory_info().rss
        if self.speed is None:
            return {"peak_memory": memory}
        # Measured while something else ran, the device seems slower than it is: then this is the most it has shown.
        self.device_flops = max(self.device_flops, self.speed * self.flops)
        mfu = self.speed * self.flops / self.device_flops
        return {"tokens_per_second": round(self.speed, 1), "mfu": round(mfu, 4), "peak_memory": memory}


@dataclass
class Stop:
    """Whether somebody asked to stop, and by which signal."""

    signal: int = 0

    @property
    def name(self) -> str:
        return "Ctrl-C" if self.signal == signal.SIGINT else "SIGTERM"


@contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """Within this context Ctrl-C and SIGTERM ask for a stop after the step; asked again, they act at once. (In a thread
    other than the main one signals cannot be caught, and act at once.)"""
    stop, before, asked = Stop(), {}, []

    def ask(number: int, frame) -> None:
        if asked:
            if time.monotonic() - asked[0] > SAME_REQUEST_SECONDS:
                give_back()
                signal.raise_signal(number)
            return
        asked.append(time.monotonic())
        stop.signal = number
        text = f"\n{stop.name}: this step is finished and saved, then training stops; once more stops at once\n"
        if processes.is_main():
            os.write(2, text.encode())  # print() may be at work just now, and must not be entered twice

    def give_back() -> None:
        while before:
            signal.signal(*before.popitem())

    if threading.current_thread() is threading.main_thread():
        before |= {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        give_back()


def agreed(flags: list[int], args) -> list[int]:
    """The largest of each flag in any of the processes that train together: what one wishes or has met, all know."""
    if args.world_size == 1:
        return flags
    shared = torch.tensor(flags, dtype=torch.int32, device=args.device)
    torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
    return shared.tolist()


class Watch(TrainerCallback):
    """The progress line, and the clock: a line of the log a minute, a checkpoint every ``save_minutes``, the stop."""

    def __init__(self, title: str, total_steps: int, stop: Stop, save_minutes: float):
        self.title, self.total, self.stop, self.save_seconds = title, total_steps, stop, 60 * save_minutes
        self.line, self.loss, self.speed = None, None, None

    def on_train_begin(self, args, state, control, **kwargs):
        self.logged = self.saved = time.monotonic()
        self.line = Line(self.title, self.total, state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        logs = logs or {}
        self.logged = time.monotonic()
        self.loss, self.speed = logs.get("loss", self.loss), logs.get("tokens_per_second", self.speed)

    def on_step_end(self, args, state, control, **kwargs):
        shown = [self.title]
        if self.loss is not None:
            shown += [f"loss {self.loss:.3f}"]
        if self.speed:
            shown += [f"{self.speed:,.0f} tokens/s"]
        self.line.update(state.global_step, " · ".join(shown))
        now = time.monotonic()
        late = now - self.logged > LOG_SECONDS, now - self.saved > self.save_seconds
        log, save, self.stop.signal = agreed([*late, self.stop.signal], args)
        stop = bool(self.stop.signal)
        control.should_log |= bool(log) or stop
        if save or stop:
            self.saved, control.should_save = time.monotonic(), True
        control.should_training_stop |= stop

    def close(self) -> None:
        """End the line, however the training ended."""
        if self.line:
            self.line.close()
            self.line = None
