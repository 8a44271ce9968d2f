"""What a learning rate of its own for the token embeddings is worth, on the embedded world.

Trains the cpu-mini model on the common corpus for the same number of steps, once with one rate for all weights and once
with the profile's embedding rate, from the same weights and in the same order, and prints the losses side by side.

    python benchmarks/embedding_rate.py [STEPS]      (default 600, about five minutes on two cores)
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from course_utils import artifacts, profiles
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import optimizers, pretraining, running


def train(profile: profiles.Profile, blocks, steps: int) -> tuple[list[float], float]:
    """-> (mean loss of each tenth of the training, seconds)."""
    settings = profile.pretraining
    model = pretraining.make_model(profile.model, load_tokenizer(artifacts.require(profile, "tokenizer_pruning")))
    optimizer = optimizers.make(model, settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [g["lr"] for g in optimizer.param_groups], steps, pct_start=0.05
    )
    order = torch.randperm(len(blocks), generator=torch.Generator().manual_seed(running.SEED))
    started = time.perf_counter()
    losses = learn(model, optimizer, schedule, blocks, order, steps, settings.batch_size)
    tenth = max(1, steps // 10)
    means = [sum(losses[i : i + tenth]) / tenth for i in range(0, steps - tenth + 1, tenth)]
    return means, time.perf_counter() - started


def learn(model, optimizer, schedule, blocks, order, steps: int, batch_size: int) -> list[float]:
    """The loss of each of ``steps`` steps, nats a token; blocks are read in an order, again and again."""
    losses = []
    for step in range(steps):
        rows = order[torch.arange(step * batch_size, (step + 1) * batch_size) % len(order)]
        ids = torch.from_numpy(blocks[rows.numpy()].astype("int64"))
        with torch.autocast("cpu", torch.bfloat16, enabled=running.has_fast_bf16()):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main(steps: int = 600) -> None:
    profile = profiles.load("cpu-mini")
    own = profile.pretraining
    tokenizer = load_tokenizer(artifacts.require(profile, "tokenizer_pruning"))
    with tempfile.TemporaryDirectory() as folder:
        blocks = pretraining.training_blocks(profile, "common", tokenizer, Path(folder))[0]
        blocks = blocks.with_format("numpy")["input_ids"][:]
    one = replace(profile, pretraining=replace(own, embedding_learning_rate=own.learning_rate))
    rows = {f"one rate, {own.learning_rate:g}": train(one, blocks, steps)}
    rows[f"embeddings at {own.embedding_learning_rate:g}"] = train(profile, blocks, steps)
    print(f"{steps} steps of {own.batch_size} × {own.block_size} tokens; mean loss of each tenth, nats a token")
    for name, (means, seconds) in rows.items():
        print(f"{name:24}", *(f"{mean:6.2f}" for mean in means), f"  {seconds:4.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
