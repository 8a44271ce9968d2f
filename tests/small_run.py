"""A training small enough to be killed often: the real ``running.train`` on made-up blocks.

    python tests/small_run.py FOLDER TOKENIZER '{"batch_size": 4, ...}'      (torchrun in front shares it)

`slow` seconds are slept in each step, so that a kill finds one at work.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from course_utils import profiles
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import pretraining, running

BLOCK, BLOCKS, STEPS = 32, 192, 24
SHAPE = profiles.ModelShape(32, 48, 2, 4, 64, tie_word_embeddings=False, initializer_range=0.05, num_key_value_heads=2)
SETTINGS = profiles.Pretraining(
    batch_size=8, gradient_accumulation_steps=1, epochs=1, learning_rate=2e-3, warmup_fraction=0.1, weight_decay=0.1,
    block_size=BLOCK, embedding_learning_rate=4e-3, precision="fp32", report_to="none", save_minutes=60,
)  # fmt: skip


def blocks():
    """Made-up blocks, of which much can be learned: few tokens, and one follows from another."""
    from datasets import Dataset

    random = np.random.default_rng(0)
    ids = 300 + (random.integers(0, 50, (BLOCKS + 8, 1)) + 7 * np.arange(BLOCK)) % 50
    lengths = random.integers(1, BLOCK, len(ids))  # made up too, for an order by length
    rows = Dataset.from_dict({"input_ids": ids.astype(np.int32), "length": lengths}).with_format("numpy")
    return rows.select(range(BLOCKS)), rows.select(range(BLOCKS, BLOCKS + 8))


def train(folder: Path, tokenizer, model=None, sampling="random", **changed) -> float:
    """-> held-out loss of a run in a folder, from its newest checkpoint if it has one."""
    settings = replace(SETTINGS, **changed)
    rows, held_out = blocks()
    folder.mkdir(parents=True, exist_ok=True)
    return running.train(
        model or pretraining.make_model(SHAPE, tokenizer), tokenizer, rows, held_out, settings, folder, title="a run",
        tokens=BLOCKS * BLOCK * settings.epochs, collate=pretraining.as_batch, prompt=[300, 307, 314],
        sampling=sampling,
    )  # fmt: skip


def same(a: dict, b: dict) -> bool:
    """Whether two state dicts hold the same weights, bit by bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


if __name__ == "__main__":
    out, tokens, changes = Path(sys.argv[1]), load_tokenizer(Path(sys.argv[2])), json.loads(sys.argv[3])
    if slow := changes.pop("slow", 0):
        from course_utils.training.trainer import CourseTrainer

        CourseTrainer.training_step = lambda self, *args, _step=CourseTrainer.training_step, **kwargs: (
            time.sleep(slow), _step(self, *args, **kwargs))[1]  # fmt: skip
    from course_utils.errors import CourseError

    running.together()
    try:
        train(out, tokens, **changes)
    except CourseError as error:
        print(error, file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))
