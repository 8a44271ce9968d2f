"""Conversations side by side in a row without cross-talk, beside padding: in random order, and grouped by length.

All three learn from the same conversations in as many steps, each of a profile's batch. Packed, the conversations of a
batch share rows as long as the longest of them; positions begin anew with each, from which transformers makes a mask
that lets a token see its own conversation alone (`masking_utils.find_packed_sequence_indices`: with eager and sdpa
attention, where there is neither a mask nor a cache). That is proved before anything is measured. Packing changes how a
batch lies in memory and not what is learned from it; grouping changes which conversations make a batch.

    python benchmarks/packing.py [STEPS]      (default: an epoch; two seeds, a quarter of an hour on two cores)

It writes results/packing.json. Needs `course pretrain` to have run. Nothing else should run beside it.
"""

import copy
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import results
import torch
from datasets import concatenate_datasets
from transformers import get_scheduler

from course_utils import artifacts, profiles
from course_utils.corpora.loading import HELD_OUT_EVERY
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import full_vs_lora_sft, losses, optimizers, running
from course_utils.training.trainer import Order

BASE = "common"
SEEDS = (42, 43)
LARGEST_DIFFERENCE = 1e-5  # of logits and of the loss, packed and alone


def side_by_side(rows: list[dict], size: int) -> list[list[dict]]:
    """Conversations in rows of at most ``size`` tokens, the longest first, each into the first row with room: at most
    11/9 of the fewest rows and one (Johnson 1973)."""
    packed, free = [], []
    for row in sorted(rows, key=lambda row: len(row["input_ids"]), reverse=True):
        length = len(row["input_ids"])
        place = next((i for i, left in enumerate(free) if left >= length), len(free))
        if place == len(free):
            packed.append([])
            free.append(size)
        packed[place].append(row)
        free[place] -= length
    return packed


@dataclass(frozen=True)
class Packer:
    """Packs a batch into rows as long as its longest conversation. -> int64 tensors ``(rows, longest)``. There is no
    attention mask: the positions say it all, and each token of padding is a conversation of its own."""

    pad_id: int

    def __call__(self, rows: list[dict]) -> dict:
        longest = max(len(row["input_ids"]) for row in rows)
        packed = side_by_side(rows, longest)
        ids = torch.full((len(packed), longest), self.pad_id)
        labels, positions = torch.full_like(ids, losses.IGNORED), torch.zeros_like(ids)
        for place, conversations in enumerate(packed):
            start = 0
            for row in conversations:
                end = start + len(row["input_ids"])
                ids[place, start:end] = torch.tensor(row["input_ids"])
                labels[place, start + 1 : end] = torch.tensor(row["labels"][1:])  # nothing foretells the first token
                positions[place, start:end] = torch.arange(end - start)
                start = end
        return {"input_ids": ids, "labels": labels, "position_ids": positions}


@torch.inference_mode()
def prove(model, tokenizer, rows: list[dict]) -> dict[str, float]:
    """-> the largest difference of logits between conversations packed and alone, the same where positions do not begin
    anew, and that of the losses packed and padded. In double precision, where what is left is no rounding. Raises
    CourseError where there is cross-talk."""
    model, packer = copy.deepcopy(model).double().eval(), Packer(tokenizer.pad_token_id)
    padder, batch = full_vs_lora_sft.Collator(tokenizer.pad_token_id), packer(rows)
    ids, told = batch["input_ids"], {}
    for name, positions in (("packed", batch["position_ids"]), ("one long text", None)):
        logits, apart = model(input_ids=ids, position_ids=positions, use_cache=False).logits, []
        for place, conversations in enumerate(side_by_side(rows, ids.shape[1])):
            start = 0
            for row in conversations:
                alone = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0]
                apart.append((logits[place, start : start + len(alone)] - alone).abs().max().item())
                start += len(alone)
        told[name] = max(apart)
    with losses.without_logits(model, "chunked"):
        told["loss"] = abs(model(**batch).loss.item() - model(**padder(rows)).loss.item())
    if max(told["packed"], told["loss"]) > LARGEST_DIFFERENCE or told["one long text"] <= LARGEST_DIFFERENCE:
        raise CourseError(f"packed conversations see each other, or the check cannot tell: {told}")
    return told


def conversations(profile: profiles.Profile, tokenizer, folder: Path) -> tuple[list[dict], list[dict]]:
    """-> (what fine-tuning of the base learns from, its texts to replay too; what it holds out)."""
    how = {"title": f"{BASE} instructions", "limit": profile.max_documents}
    sources, size = profile.instructions[BASE], profile.sft_max_length
    rows, _ = full_vs_lora_sft.encode_dataset(sources, tokenizer, size, folder, **how)
    kept = np.arange(len(rows)) % HELD_OUT_EVERY > 0
    train, held_out = (rows.select(np.flatnonzero(which)) for which in (kept, ~kept))
    count = round(profile.full.replay * len(train))
    replayed = full_vs_lora_sft.texts_to_replay(profile, BASE, tokenizer, count, folder, seed=profile.full.seed)
    return concatenate_datasets([train, replayed]).to_list(), held_out.to_list()


def learn(model, rows: list[dict], order: list[int], collate, settings: profiles.Tuning) -> tuple[float, int]:
    """One step a batch. -> (seconds, positions that were computed)."""
    size, device, positions = running.batch(settings), running.device_name(), 0
    steps = -(-len(order) // size)
    optimizer = optimizers.make(model.to(device).train(), settings)
    schedule = get_scheduler(settings.schedule, optimizer, max(1, round(settings.warmup_fraction * steps)), steps)
    started = time.perf_counter()
    for start in range(0, len(order), size):
        batch = collate([rows[i] for i in order[start : start + size]])
        batch = {name: part.to(device) for name, part in batch.items()}
        positions += batch["input_ids"].numel()
        with torch.autocast(device, torch.bfloat16, enabled=running.has_fast_bf16()):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    loss.item()  # on a GPU: wait for the last step
    return time.perf_counter() - started, positions


@torch.no_grad()
def held_out_loss(model, rows: list[dict], collate) -> float:
    """Nats a token."""
    total, counted = 0.0, 0
    for start in range(0, len(rows), 32):
        batch = {name: part.to(model.device) for name, part in collate(rows[start : start + 32]).items()}
        total += model.eval()(**batch, num_items_in_batch=1).loss.item()
        counted += (batch["labels"][:, 1:] != losses.IGNORED).sum().item()
    return total / counted


def compare(base: Path, tokenizer, settings: profiles.Tuning, train, held_out, steps: int, seed: int) -> list[dict]:
    """A row a layout."""
    padder, packer = full_vs_lora_sft.Collator(tokenizer.pad_token_id), Packer(tokenizer.pad_token_id)
    layouts = {"random order, padded": (False, padder), "grouped by length, padded": (True, padder),
               "random order, packed": (False, packer)}  # fmt: skip
    size, rows = running.batch(settings), []
    drawn = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[: steps * size]
    some = [train[i] for i in drawn]
    lengths = [len(row["input_ids"]) for row in some]
    for layout, (grouped, collate) in layouts.items():
        model = running.load_model(base)
        order = list(Order(len(some), lengths if grouped else None, size, seed))
        with losses.without_logits(model, settings.loss):
            seconds, positions = learn(model, some, order, collate, settings)
            loss = held_out_loss(model, held_out, padder)
        rows.append({"layout": layout, "seed": seed, "steps": -(-len(some) // size),
                     "seconds": round(seconds, 1), "useful_tokens_per_second": round(sum(lengths) / seconds),
                     "useful_share": round(sum(lengths) / positions, 3), "held_out_loss": round(loss, 4)})  # fmt: skip
        print(*(f"{name} {value}" for name, value in rows[-1].items()), sep="  ", flush=True)
    for row in rows:
        row["times_padded"] = round(row["useful_tokens_per_second"] / rows[0]["useful_tokens_per_second"], 2)
    return rows


def main(steps: str | None = None) -> None:
    profile = profiles.load("cpu-mini")
    base, settings = artifacts.require(profile, "pretraining", BASE), profile.full
    tokenizer, size = load_tokenizer(base), running.batch(settings)
    with tempfile.TemporaryDirectory() as folder:
        train, held_out = conversations(profile, tokenizer, Path(folder))
    steps = int(steps or running.steps_in(len(train), settings))
    proof = prove(running.load_model(base), tokenizer, train[:size] + train[-4:])  # the last are replayed
    print("no cross-talk:", ", ".join(f"{name} {value:.1e}" for name, value in proof.items()), flush=True)
    rows = [row for seed in SEEDS for row in compare(base, tokenizer, settings, train, held_out, steps, seed)]
    how = {"profile": profile.name, "base": BASE, "batch": size, "loss": settings.loss, "difference": proof}
    print("written:", results.write("packing", how, rows))


if __name__ == "__main__":
    results.run(lambda: main(*sys.argv[1:]))
