"""Answers in batches of sixteen beside one by one: the same questions, the same greedy texts, the ratio of the times.

    python benchmarks/generation.py [MODEL [QUESTIONS]]      (default: common-full, 192; a minute or two on two cores)

MODEL is a folder or a name of `course generate -m`; the questions are the exam's first. Both ways are
`generation.answer`, which puts questions of about one length together; each is timed ROUNDS times, in turn, and the
median counts. It writes results/generation.json, and ends with an error where a text differs.
"""

import statistics
import sys
import time
from itertools import islice

import results

from course_utils import profiles
from course_utils.cli import model_folder
from course_utils.corpora import read_jsonl
from course_utils.errors import CourseError
from course_utils.merge_and_chat import evaluation, generation
from course_utils.training.full_vs_lora_sft import conversation

SIZES = (1, 16)
ROUNDS = 3
GREEDY = {"temperature": 0.0, "beams": 1, "max_new_tokens": evaluation.ANSWER_TOKENS}


def main(name: str = "common-full", count: str = "192") -> None:
    profile = profiles.load("cpu-mini")
    model, tokenizer = generation.load(model_folder(profile, name))
    asked = [
        conversation(row["question"], history=row["history"])
        for row in islice(read_jsonl(profile.evaluation), int(count))
    ]
    generation.answer(model, tokenizer, asked[:2], **GREEDY)  # the first call of a process is slower
    seconds, texts = {size: [] for size in SIZES}, {}
    for _ in range(ROUNDS):  # in turn, so that a machine that slows down slows both
        for size in SIZES:
            started = time.perf_counter()
            texts[size] = generation.answer(model, tokenizer, asked, batch_size=size, **GREEDY)
            seconds[size].append(time.perf_counter() - started)
    differ = [turns[-1]["content"] for turns, *pair in zip(asked, *texts.values(), strict=True) if len(set(pair)) > 1]
    if differ:
        raise CourseError(f"{len(differ)} of {len(asked)} answers differ in a batch, the first to {differ[0]!r}")
    tokens = sum(map(len, tokenizer(texts[1], add_special_tokens=False)["input_ids"]))
    medians = {size: statistics.median(times) for size, times in seconds.items()}
    rows = [
        {"batch_size": size, "seconds": round(median, 2), "tokens_per_second": round(tokens / median),
         "times_one_by_one": round(medians[1] / median, 2)}
        for size, median in medians.items()
    ]  # fmt: skip
    for row in rows:
        print(*(f"{key} {value}" for key, value in row.items()), sep="  ")
    how = {"model": name, "questions": len(asked), "answer_tokens": tokens, "rounds": ROUNDS, **GREEDY}
    print("written:", results.write("generation", how, rows))


if __name__ == "__main__":
    results.run(lambda: main(*sys.argv[1:]))
