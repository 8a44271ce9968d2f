"""What teaches the mini model most for its time? Accuracy of the exam against compute and seconds of training.

Each arm changes one thing of the cpu-mini profile, walks the road from the data to the common, fully fine-tuned model
in a folder of its own, and lets it answer the exam's common questions.

    python benchmarks/mini_world.py [ARM …]      (five to fifteen minutes an arm; without names, all)

It adds its rows to results/mini_world.json. Nothing else should run beside it.
"""

import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import results

from course_utils import profiles, road, steps
from course_utils.corpora import read_jsonl
from course_utils.merge_and_chat import evaluation, generation
from course_utils.parameter_budgeting import flops_per_token
from course_utils.profiles import Profile
from course_utils.training import losses
from course_utils.training.full_vs_lora_sft import conversation

NEEDED = ("wiki_cleaning", "deduplication", "tokenizer_pruning")
SHOWN = ("seen seen", "pretrain_only seen", "pretrain_only everyday", "stable", "unknown", "declined")


def pretraining(**changes: object) -> Callable[[Profile], Profile]:
    return lambda profile: replace(profile, pretraining=replace(profile.pretraining, **changes))


def shape(**changes: object) -> Callable[[Profile], Profile]:
    return lambda profile: replace(profile, model=replace(profile.model, **changes))


def epochs(share: float) -> Callable[[Profile], Profile]:
    return lambda profile: pretraining(epochs=share)(profile)


ARMS = {
    "the profile": lambda profile: profile,
    "half of the reading": epochs(0.5),
    "three layers": shape(num_hidden_layers=3),
    "one layer, twice as wide inside": shape(num_hidden_layers=1, intermediate_size=1024),
    "a third narrower": shape(hidden_size=192),
    "embeddings not tied": shape(tie_word_embeddings=False),
    "half the batch": pretraining(batch_size=4),
    "half the batch, 0.6 of the reading": pretraining(batch_size=4, epochs=0.6),
    "twice the rate": pretraining(learning_rate=4e-3),
    "embeddings at the rate of the rest": pretraining(embedding_learning_rate=2e-3),
    "cosine": pretraining(schedule="cosine"),
    "two epochs of fine-tuning": lambda profile: replace(profile, full=replace(profile.full, epochs=2)),
    "no replay": lambda profile: replace(profile, full=replace(profile.full, replay=0.0)),
}


def measure(name: str, profile: Profile) -> dict:
    """-> one row: what the arm learned, and how long it took."""
    walk = {str(step): step for step in steps.STEPS}
    for stage in NEEDED:
        road.do(next(step for step in walk.values() if step.stage == stage), profile)
    base = road.do(steps.step("pretraining", "common"), profile)
    tuned = road.do(steps.step("full_vs_lora_sft", "common-full"), profile)
    model, tokenizer = generation.load(profile.dir("full_vs_lora_sft", "common-full"))
    exam = [row for row in read_jsonl(profile.evaluation) if row["domain"] == "common"]
    asked = [conversation(row["question"], history=row["history"]) for row in exam]
    board = evaluation.score(exam, generation.answer(model, tokenizer, asked))
    flops = flops_per_token(profile.model, losses.CANDIDATES, profile.pretraining.block_size)
    return {
        "arm": name, "parameters": base.summary["parameters"], "tokens": base.summary["tokens_seen"],
        "pretraining_teraflop": round(base.summary["tokens_seen"] * flops / 1e12, 1),
        "pretraining_seconds": base.seconds, "fine_tuning_seconds": tuned.seconds,
        "held_out_loss": round(math.log(base.summary["held_out_perplexity"]), 3),
        **{split: board[f"common {split}"] for split in SHOWN},
    }  # fmt: skip


def main() -> None:
    names = sys.argv[1:] or list(ARMS)
    found = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, ARMS[name](replace(profiles.load("cpu-mini"), artifacts=Path(folder))))
        found.append(row)
        print(*(f"{key} {value}" for key, value in row.items()), sep=" · ", flush=True)
        kept = [row for row in results.rows_here("mini_world") if row["arm"] not in {row["arm"] for row in found}]
        results.write("mini_world", {"profile": "cpu-mini"}, [*kept, *found])


if __name__ == "__main__":
    main()
