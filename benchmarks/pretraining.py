"""How fast the 92 M model trains: the course's `Trainer` path beside a bare PyTorch loop and the reference's recipe.

    python benchmarks/pretraining.py                       (this device; on a CPU a few minutes, of a small model)
    python benchmarks/pretraining.py --vram 6              (a GPU with all but 6 GiB of its memory closed)
    python benchmarks/pretraining.py --batch 16 --compile  (settings of the course's side)

Needs torch, transformers, accelerate, numpy and this package alone: no corpus, no tokenizer, no `datasets`. It prints
tokens a second, MFU (of what a product of matrices reaches on this device) and peak memory, each recipe in a process of
its own, and writes results/pretraining.json.

- reference: batch 4 × 512, gradient checkpointing, eager attention, plain loss with fp32 logits, fp16 (fp32 on a CPU).
- bare loop: the course's settings in ten lines of PyTorch; what the `Trainer` costs is the difference.
- course: `training.running.train` with the profile's settings.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import results
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from course_utils import parameter_budgeting as budgeting
from course_utils import profiles
from course_utils.training import losses, optimizers, running

VOCABULARY = 36_448  # of the pruned ChatGLM2 tokenizer
RECIPES = ("reference", "bare loop", "course")
WARM_UP = 3  # steps that are not timed


class Blocks:
    """Random blocks, as a ``Dataset`` gives them."""

    def __init__(self, count: int, size: int):
        self.ids = np.random.default_rng(0).integers(0, VOCABULARY, (count, size))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number):
        return {"input_ids": self.ids[number]}

    def select(self, numbers) -> "Blocks":
        return self


def make_model(shape: profiles.ModelShape, attention: str):
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, attn_implementation=attention, **vars(shape)))


def measure(recipe: str, shape, settings, steps: int) -> dict:
    """-> tokens a second, MFU and peak memory (bytes) of a recipe; on a CPU memory is not told."""
    block, cuda = settings.block_size, torch.cuda.is_available()
    if recipe == "reference":
        precision = "fp16" if cuda else "fp32"
        settings = replace(settings, batch_size=4, gradient_accumulation_steps=1, loss="plain", precision=precision,
                           gradient_checkpointing=True, torch_compile=False, optimizer="adamw", tf32=False)  # fmt: skip
    model = make_model(shape, "eager" if recipe == "reference" else running.attention())
    run = through_trainer if recipe == "course" else in_a_bare_loop
    speed = run(model, settings, steps)
    flops = budgeting.flops_per_token(shape, VOCABULARY, block)
    row = {"recipe": recipe, "batch": f"{settings.batch_size} × {settings.gradient_accumulation_steps} × {block}",
           "precision": running.precision(settings), "loss": settings.loss, "tokens_per_second": round(speed),
           "mfu": round(speed * flops / budgeting.measure_matmul_flops(8192 if cuda else 1024), 3)}  # fmt: skip
    if cuda:
        how = {"attention": model.config._attn_implementation, "loss": settings.loss}
        how["checkpointing"] = settings.gradient_checkpointing
        held = budgeting.memory(shape, VOCABULARY, block, settings.batch_size, **how)
        row |= {"peak_GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2),
                "budget_GiB": round(sum(held.values()) / 2**30, 2)}  # fmt: skip
    return row


def in_a_bare_loop(model, settings, steps: int) -> float:
    """-> tokens a second."""
    device, kind = running.device_name(), running.precision(settings)
    model.to(device).train()
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer, scaler = optimizers.make(model, settings), torch.amp.GradScaler(device, enabled=kind == "fp16")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(kind)
    parts = settings.gradient_accumulation_steps
    blocks = Blocks((steps + WARM_UP) * running.batch(settings), settings.block_size)
    batches = torch.from_numpy(blocks.ids).split(settings.batch_size)
    with nullcontext() if settings.loss == "plain" else losses.without_logits(model, settings.loss):
        forward = torch.compile(model) if settings.torch_compile else model
        for number, ids in enumerate(batches):
            if number == WARM_UP * parts:
                synchronize()
                started = time.perf_counter()
            ids = ids.to(device)
            with torch.autocast(device, dtype, enabled=dtype is not None):
                loss = forward(input_ids=ids, labels=ids).loss / parts
            scaler.scale(loss).backward()
            if (number + 1) % parts == 0:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
        synchronize()
    return steps * running.batch(settings) * settings.block_size / (time.perf_counter() - started)


def through_trainer(model, settings, steps: int) -> float:
    """-> tokens a second. The first steps, the evaluation and the checkpoint at the end are not timed."""
    from course_utils.training.monitoring import Watch

    times, block = [], settings.block_size
    ended = Watch.on_step_end

    def on_step_end(self, *args, **kwargs):
        ended(self, *args, **kwargs)
        synchronize()
        times.append(time.perf_counter())

    Watch.on_step_end = on_step_end
    rows = Blocks((steps + WARM_UP) * running.batch(settings), block)
    settings = replace(settings, epochs=1, report_to="none", save_minutes=1e9)
    running.EVALUATIONS, running.LOG_ENTRIES = (1, 1), steps  # one evaluation, at the end
    with tempfile.TemporaryDirectory() as folder:
        running.train(model, NoTokenizer(), rows, Blocks(2, block), settings, Path(folder), title="course",
                      tokens=len(rows) * block, collate=stack)  # fmt: skip
    return (len(times) - WARM_UP) * running.batch(settings) * block / (times[-1] - times[WARM_UP - 1])


def stack(blocks: list[dict]) -> dict:
    ids = torch.from_numpy(np.array([block["input_ids"] for block in blocks]))
    return {"input_ids": ids, "labels": ids}


class NoTokenizer:
    """What the end of a training asks of a tokenizer, where there is none."""

    backend_tokenizer = type("rust", (), {"padding": None, "truncation": None, "no_padding": lambda self: None,
                                          "no_truncation": lambda self: None})()  # fmt: skip
    padding_side = truncation_side = "right"
    pad_token_id = eos_token_id = 0

    def save_pretrained(self, folder) -> None:
        pass


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", help="whose model and settings; default gpu-6gb, on a CPU cpu-mini")
    parser.add_argument("--vram", type=float, help="GiB of the GPU's memory that may be used")
    parser.add_argument("--batch", type=int, help="sequences at a time")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--loss", choices=profiles.CHOICES["loss"])
    parser.add_argument("--optimizer", choices=profiles.CHOICES["optimizer"])
    parser.add_argument("--steps", type=int, default=20, help="timed steps of one micro-batch")
    parser.add_argument("--rounds", type=int, default=3, help="how often each recipe runs; the median counts")
    parser.add_argument("--only", choices=RECIPES, help=argparse.SUPPRESS)  # what this script calls itself with
    chosen = parser.parse_args()
    profile = profiles.load(chosen.profile or ("gpu-6gb" if torch.cuda.is_available() else "cpu-mini"))
    settings = replace(profile.pretraining, gradient_accumulation_steps=1, torch_compile=chosen.compile)
    for name, value in (("batch_size", chosen.batch), ("loss", chosen.loss), ("optimizer", chosen.optimizer)):
        if value:
            settings = replace(settings, **{name: value})
    if chosen.only:
        if chosen.vram:
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(chosen.vram * 2**30 / total)
        print(json.dumps(measure(chosen.only, profile.model, settings, chosen.steps)))
        return
    runs = {recipe: [] for recipe in RECIPES}
    for _ in range(chosen.rounds):  # in turn, so that a machine that slows down slows all of them
        for recipe in RECIPES:
            command = [sys.executable, __file__, *sys.argv[1:], "--only", recipe]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            runs[recipe].append(json.loads(done.stdout.splitlines()[-1]))
    rows = [sorted(found, key=lambda row: row["tokens_per_second"])[len(found) // 2] for found in runs.values()]
    for row in rows:
        row["of_reference"] = round(row["tokens_per_second"] / rows[0]["tokens_per_second"], 2)
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ")
    bare, course = (row["tokens_per_second"] for row in rows[1:])
    print(f"the Trainer path: {course / bare:.3f} of the bare loop")
    how = {"profile": profile.name, "vocabulary": VOCABULARY, "vram": chosen.vram, "settings": vars(settings)}
    print("written:", results.write("pretraining", how | {"rounds": chosen.rounds, "steps": chosen.steps}, rows))


if __name__ == "__main__":
    main()
