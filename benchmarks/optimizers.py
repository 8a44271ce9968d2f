"""AdamW against Muon: the held-out loss after the same time, from the same weights, on the embedded world.

Each arm has its own learning rate (for the layers' matrices; the embeddings keep theirs) and as many steps as it can do
in the time that AdamW needs for STEPS, measured on this machine just before. The schedule of each ends with its steps.
torch's Muon multiplies in bfloat16; a processor that has none takes seconds for what it does in fp32 in a fifth of one.
There the products are made in fp32, for this comparison alone, and the time of torch's own step stands in the settings.

    python benchmarks/optimizers.py [STEPS]      (default 400: half an hour on two cores)

It writes results/optimizers.json. Needs `course prune-tokenizer` to have run. Nothing else should run beside it.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import results
import torch
from embedding_rate import learn  # its neighbour, benchmarks/embedding_rate.py

from course_utils import artifacts, profiles
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import optimizers, pretraining, running

SEEDS = (42, 43)
ARMS = (("adamw", 1e-3), ("adamw", 2e-3), ("muon", 1e-3), ("muon", 2e-3), ("muon", 4e-3))
TIMED = 30  # steps, for the time of one


@contextmanager
def in_fp32() -> Iterator[None]:
    """Within this context Muon's products are made in fp32 where bfloat16 is slow."""
    as_it_was = torch.Tensor.bfloat16
    if not running.has_fast_bf16():
        torch.Tensor.bfloat16 = torch.Tensor.float
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = as_it_was


def train(profile, tokenizer, blocks, held_out, steps: int, seed: int) -> tuple[float, float]:
    """-> (held-out loss, nats a token; seconds) after ``steps`` steps."""
    settings = profile.pretraining
    model = pretraining.make_model(profile.model, tokenizer, seed=seed)
    optimizer = optimizers.make(model, settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], max(steps, 25), pct_start=0.05,
        cycle_momentum=False,
    )  # fmt: skip
    order = torch.randperm(len(blocks), generator=torch.Generator().manual_seed(seed))
    started = time.perf_counter()
    learn(model, optimizer, schedule, blocks, order, steps, settings.batch_size)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        parts = [torch.from_numpy(held_out[i : i + 32].astype("int64")) for i in range(0, len(held_out), 32)]
        losses = [model(input_ids=ids, labels=ids).loss.item() * len(ids) for ids in parts]
    return sum(losses) / len(held_out), seconds


def main(steps: int = 400) -> None:
    profile = profiles.load("cpu-mini")
    tokenizer = load_tokenizer(artifacts.require(profile, "tokenizer_pruning"))
    with tempfile.TemporaryDirectory() as folder:
        parts = pretraining.training_blocks(profile, "common", tokenizer, Path(folder))
        blocks, held_out = (part.with_format("numpy")["input_ids"][:] for part in parts)
    step_seconds = {}
    muon = replace(profile, pretraining=replace(profile.pretraining, optimizer="muon"))
    step_seconds["muon as torch has it"] = train(muon, tokenizer, blocks, held_out[:1], 2, 0)[1] / 2
    with in_fp32():
        for name, arm in (("adamw", profile), ("muon", muon)):
            train(arm, tokenizer, blocks, held_out[:1], 5, 0)
            step_seconds[name] = train(arm, tokenizer, blocks, held_out[:1], TIMED, 0)[1] / TIMED
        rows = compare(profile, tokenizer, blocks, held_out, steps, step_seconds)
    settings = {"profile": profile.name, "steps_of_adamw": steps, "step_seconds": step_seconds}
    print("written:", results.write("optimizers", settings, rows))


def compare(profile, tokenizer, blocks, held_out, steps: int, step_seconds: dict) -> list[dict]:
    """A row an arm and seed."""
    rows = []
    for name, rate in ARMS:
        arm = replace(profile, pretraining=replace(profile.pretraining, optimizer=name, learning_rate=rate))
        affordable = round(steps * step_seconds["adamw"] / step_seconds[name])
        for seed in SEEDS:
            loss, seconds = train(arm, tokenizer, blocks, held_out, affordable, seed)
            rows.append({"optimizer": name, "learning_rate": rate, "seed": seed, "steps": affordable,
                         "seconds": round(seconds, 1), "held_out_loss": round(loss, 4)})  # fmt: skip
            print(*rows[-1].values(), flush=True)
    return rows


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
