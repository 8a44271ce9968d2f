"""What teaches the mini model most for its time? Accuracy of the exam against compute and seconds of training.

Each arm changes one thing of the cpu-mini profile, pretrains both base models, fine-tunes each by both methods in a
folder of its own, and lets the four models sit the exam of their field. A seed changes first weights, what is drawn and
all orders: two trainings that differ in nothing else are several points apart in a split, so a small difference of one
pair is chance.

    python benchmarks/mini_world.py [ARM …] [--seeds 42 43] [--jobs 1]   (17 minutes an arm and seed on two CPU cores)

Without names, all arms. It adds its rows to results/mini_world.json; one that is there is made anew. A row names the
world, its data: figures of two worlds are not compared. Its seconds are a measure with one job alone, and nothing else
beside it. Needs the profile's data stages: `course run`.
"""

import argparse
import math
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import results
import trials

from course_utils import artifacts, profiles, steps
from course_utils.parameter_budgeting import flops_per_token
from course_utils.profiles import Profile
from course_utils.training import full_vs_lora_sft, losses, pretraining

NAME = "mini_world"
LINKED = ("deduplication", "tokenizer_pruning")  # what training reads, the same for all arms
SHOWN = ("seen seen", "pretrain_only seen", "pretrain_only new", "pretrain_only everyday", "stable", "unknown")
TRAININGS = ("pretraining", "full", "lora")


def changed(*kinds: str, **changes: object) -> Callable[[Profile], Profile]:
    """An arm: the same changes in these settings of a profile."""
    return lambda profile: replace(profile, **{kind: replace(getattr(profile, kind), **changes) for kind in kinds})


reading, tuning, shape = (partial(changed, *kinds) for kinds in (("pretraining",), ("full", "lora"), ("model",)))

ARMS = {
    "the profile": lambda profile: profile,
    # how much is read, and in which steps
    "half of the reading": reading(epochs=0.5),
    "0.75 of the reading": reading(epochs=0.75),
    "half the batch": reading(batch_size=4),
    "half the batch, 0.6 of the reading": reading(batch_size=4, epochs=0.6),
    "twice the batch": reading(batch_size=16),
    "twice the batch, 1.5 times the rates": reading(batch_size=16, learning_rate=3e-3, embedding_learning_rate=24e-3),
    "blocks of 64": reading(block_size=64, batch_size=16),
    # rates
    "half the rate": reading(learning_rate=1e-3),
    "twice the rate": reading(learning_rate=4e-3),
    "embeddings at half the rate": reading(embedding_learning_rate=8e-3),
    "embeddings at twice the rate": reading(embedding_learning_rate=32e-3),
    "embeddings at the rate of the rest": reading(embedding_learning_rate=2e-3),
    "twice both rates": reading(learning_rate=4e-3, embedding_learning_rate=32e-3),
    "cosine": reading(schedule="cosine"),
    "second beta 0.95": changed(*TRAININGS, adam_beta2=0.95),
    "no weight decay": reading(weight_decay=0.0),
    "four times the weight decay": reading(weight_decay=0.2),
    "Muon": reading(optimizer="muon", learning_rate=4e-3),
    "Muon, twice the batch": reading(optimizer="muon", learning_rate=8e-3, batch_size=16),
    "Muon, four times the batch": reading(
        optimizer="muon", learning_rate=16e-3, embedding_learning_rate=24e-3, batch_size=32
    ),
    # shapes
    "three layers": shape(num_hidden_layers=3),
    "one layer, twice as wide inside": shape(num_hidden_layers=1, intermediate_size=1024),
    "twice as wide inside": shape(intermediate_size=1024),
    "a quarter narrower": shape(hidden_size=192, intermediate_size=384),
    "a quarter narrower, one layer more": shape(hidden_size=192, intermediate_size=384, num_hidden_layers=3),
    "a quarter wider": shape(hidden_size=320, intermediate_size=640),
    "two heads": shape(num_attention_heads=2),
    "eight heads": shape(num_attention_heads=8),
    "first weights of 0.02": shape(initializer_range=0.02),
    "embeddings not tied": shape(tie_word_embeddings=False),
    # fine-tuning
    "half of the fine-tuning": tuning(epochs=0.5),
    "half of the fine-tuning in half batches": tuning(epochs=0.5, batch_size=16),
    "two epochs of fine-tuning": tuning(epochs=2),
    "fine-tuning by the sampled loss": tuning(loss="sampled"),
    "fine-tuning in half batches": tuning(batch_size=16),
    "no replay": tuning(replay=0.0),
    "three times the replay": tuning(replay=0.3),
}


def measure(name: str, seed: int) -> dict:
    """-> one row: what the arm learned with this seed, and how long it took."""
    profile = profiles.load("cpu-mini")
    with tempfile.TemporaryDirectory() as folder:
        alike = changed(*TRAININGS, seed=seed, precision="fp32", report_to="none")  # so that devices can be compared
        own = alike(ARMS[name](replace(profile, artifacts=Path(folder))))
        trials.link(profile, own, LINKED)
        bases = {base: pretraining.pretrain(own, base) for base in steps.CORPORA}
        tuned = {
            f"{base}-{method}": full_vs_lora_sft.fine_tune(own, base, method)
            for base in steps.CORPORA for method in steps.METHODS
        }  # fmt: skip
        shares = {model: trials.exam(own, model) for model in tuned}
    tokens = sum(base.summary["tokens_seen"] for base in bases.values())
    flops = flops_per_token(own.model, losses.CANDIDATES, own.pretraining.block_size)
    perplexity = {base: made.summary["held_out_perplexity"] for base, made in bases.items()}
    return {
        "world": world(profile), "arm": name, "seed": seed, "parameters": bases["common"].summary["parameters"],
        "tokens": tokens, "pretraining_teraflop": round(tokens * flops / 1e12, 1),
        "pretraining_seconds": sum(base.seconds for base in bases.values()),
        "fine_tuning_seconds": sum(model.seconds for model in tuned.values()),
        "held_out_loss": {base: round(math.log(value), 3) for base, value in perplexity.items()},
        "exam": shares,
    }  # fmt: skip


def world(profile: Profile) -> str:
    """A short name for what the models learn from and are asked."""
    files = *profile.baike, *profile.medical, *chain(*profile.instructions.values()), profile.evaluation
    return artifacts.fingerprint(NAME, {}, {str(path): artifacts.sha256(path) for path in files})[:8]


def show(rows: list[dict]) -> None:
    """Print the arms of this world: accuracy in percent, the mean of seeds, of common full, common
    LoRA, medical full and medical LoRA."""
    print("\n| arm | seeds | Tflop | pretraining, fine-tuning |", " | ".join(SHOWN), "|")
    print("|---" * (4 + len(SHOWN)) + "|")
    here = world(profiles.load("cpu-mini"))
    for name in ARMS:
        if found := [row for row in rows if (row.get("world"), row["arm"]) == (here, name)]:
            shares = (
                "/".join(f"{100 * statistics.fmean(row['exam'][model][split] for row in found):.0f}"
                         for model in found[0]["exam"]) for split in SHOWN
            )  # fmt: skip
            seconds = (
                statistics.fmean(row[f"{kind}_seconds"] for row in found) for kind in ("pretraining", "fine_tuning")
            )
            took = ", ".join(f"{value:.0f} s" for value in seconds)
            print(f"| {name} | {len(found)} | {found[0]['pretraining_teraflop']} | {took} |", " | ".join(shares), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*", metavar="ARM", help="; ".join(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, for a GPU that one does not fill")
    chosen = parser.parse_args()
    if strange := set(chosen.arms) - set(ARMS):
        parser.error(f"no arm is called {', '.join(map(repr, strange))}")
    for stage in LINKED:
        artifacts.require(profiles.load("cpu-mini"), stage)
    wanted = [(name, seed) for seed in chosen.seeds for name in chosen.arms or ARMS]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.jobs, mp_context=spawn, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(measure, *which) for which in wanted]):
            row = done.result()
            print(*(f"{name} {value}" for name, value in row.items()), sep=" · ", flush=True)
            kept = [other for other in results.rows_here(NAME) if key(other) != key(row)]
            results.write(NAME, {"profile": "cpu-mini"}, [*kept, row])
    show(results.rows_here(NAME))


def key(row: dict) -> tuple:
    return row.get("world"), row["arm"], row.get("seed")


if __name__ == "__main__":
    results.run(main)
