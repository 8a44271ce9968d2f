"""Ask every model the same questions and count right answers.

A question has accepted answers and the number of them an answer must name. The board shows, for each model, the share
of right answers by domain (common, medical), by whether the fact was in fine-tuning or only in pretraining text, and by
whether that way of asking was trained. The base models and one with random weights are on it as controls.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

from .. import artifacts
from ..artifacts import require
from ..corpora import read_jsonl
from ..profiles import Profile
from ..progress import track
from ..tokenizer_pruning import load_tokenizer
from ..training.pretraining import make_model
from . import generation

SPLITS = tuple((fact, phrasing) for fact in ("seen", "pretrain_only") for phrasing in ("seen", "new"))
LORA_BEAMS = 3
FACT_NAMES = {"seen": "asked in SFT", "pretrain_only": "only read"}


def is_right(answer: str, question: dict) -> bool:
    """Whether ``answer`` names at least ``needed`` of the accepted answers. An accepted answer that begins with a digit
    must not be the tail of a longer number (1701年 is not 701年), nor the same year before our era."""
    patterns = [(r"(?<![\d前])" if text[0].isdigit() else "") + re.escape(text) for text in question["answers"]]
    return sum(bool(re.search(pattern, answer)) for pattern in patterns) >= question["needed"]


def models(profile: Profile) -> list[tuple[str, Path, bool, int]]:
    """-> (name, folder, whether it learned to chat, beams) of every model on the board but the untrained one."""
    rows = []
    for base in profile.instructions:
        rows.append((f"{base} base", require(profile, "pretraining", base), False, 1))
        rows.append((f"{base} full", require(profile, "full_vs_lora_sft", f"{base}-full"), True, 1))
        rows.append((f"{base} LoRA", require(profile, "merge_and_chat", f"{base}-merged"), True, LORA_BEAMS))
    return rows


def evaluate(profile: Profile, *, force: bool = False) -> artifacts.Manifest:
    """Let every model of the profile answer the evaluation and the demonstration questions. Writes
    ``merge_and_chat/scoreboard``: ``scoreboard.json`` and ``answers.jsonl``, one line a model and question."""
    rows, tokenizer_folder = models(profile), require(profile, "tokenizer_pruning")

    def make(folder: Path) -> dict:
        exam, demo = list(read_jsonl(profile.evaluation)), list(read_jsonl(profile.demo_questions))
        questions, board = exam + demo, {}
        asked = [row["question"] for row in questions]
        asked_models = [("untrained", None, True, 1), *rows]
        with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
            for name, path, chat, beams in track(asked_models, "asking the models", len(asked_models)):
                if path is None:
                    tokenizer = load_tokenizer(tokenizer_folder)
                    model = make_model(profile.model, tokenizer).eval()
                else:
                    model, tokenizer = generation.load(path)
                limit = 32 if not chat or path is None else generation.MAX_NEW_TOKENS
                answers = generation.answer(model, tokenizer, asked, beams=beams, chat=chat, max_new_tokens=limit)
                board[name] = score(exam, answers[: len(exam)])
                for row, text in zip(questions, answers, strict=True):
                    right = is_right(text, row) if "answers" in row else None
                    line = {"model": name, "question": row["question"], "answer": text, "right": right}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        artifacts.write_json(folder / "scoreboard.json", board)
        tuned = [name for name in board if "full" in name or "LoRA" in name]
        return {name: board[name]["common pretrain_only seen"] for name in tuned}

    return artifacts.build(
        profile.dir("merge_and_chat", "scoreboard"), make, stage="merge_and_chat/scoreboard",
        settings={"lora_beams": LORA_BEAMS, "max_new_tokens": generation.MAX_NEW_TOKENS},
        inputs=[profile.evaluation, profile.demo_questions, *(path for _, path, _, _ in rows)], force=force,
    )  # fmt: skip


def score(questions: list[dict], answers: list[str]) -> dict[str, float]:
    """Share of right answers (0 … 1) in each split, named ``'<domain> <fact> <phrasing>'``."""
    right = defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        key = f"{question['domain']} {question['fact']} {question['phrasing']}"
        right[key].append(is_right(answer, question))
    return {key: round(sum(marks) / len(marks), 4) for key, marks in right.items()}


def read_board(folder: Path) -> dict[str, dict[str, float]]:
    """The scoreboard: model -> split -> share of right answers."""
    return json.loads((folder / "scoreboard.json").read_text(encoding="utf-8"))


def read_answers(folder: Path) -> list[dict]:
    """All answers: ``{"model", "question", "answer", "right"}``."""
    return list(read_jsonl(folder / "answers.jsonl"))
