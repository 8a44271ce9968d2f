"""Ask every model the same questions and count right answers.

A question has accepted answers and the number of them an answer must name. The board shows, for each model, the share
of right answers by domain (common, medical), by whether the fact was in fine-tuning or only in pretraining text, and by
the wording: one that was trained, a new one, one of everyday speech. Beside it stands how often a model says that it
does not know what no text told, and what it should know; how it does in a second turn; and its stability, the share of
facts that it tells in all five wordings. The base models and one with random weights are on it as controls.
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
from ..training.full_vs_lora_sft import conversation
from ..training.pretraining import make_model
from . import generation

FACT_NAMES = {"seen": "asked in SFT", "pretrain_only": "only read"}
WORDING_NAMES = {"seen": "trained wording", "new": "new wording", "everyday": "everyday wording"}
SPLITS = tuple((fact, phrasing) for fact in FACT_NAMES for phrasing in WORDING_NAMES)
# What else the board has: the share of right answers, but for the two of stability and wrongly declined.
OTHER_SPLITS = {
    "second turn": "second turn", "stable": "five wordings, all right", "unknown": "the unknown declined",
    "declined": "the known declined",
}  # fmt: skip
LORA_BEAMS = 1  # like the others: a board compares models, not searches
ANSWER_TOKENS = 48  # longer than any answer that the questions ask for
DECLINES = re.compile("不知道|不清楚|不了解|没(?:有)?(?:听说|读到|学)过")
# 不是川菜: a plain negation just before what it names, in the same clause. 不仅, 不只 and 不但 are none.
NEGATION = re.compile(
    "(?:不|没|并非|而非)(?![仅只但光])(?:[是属在叫含用产靠归为有吃]|包括|属于|位于|出生|来自){0,2}[^，。；！？]{0,4}$"
)
AVOIDED = "diseases.diet_avoid"  # 不宜吃X is the right answer to what to avoid
ADMINISTRATIVE = re.compile("(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)$")


def is_right(answer: str, question: dict) -> bool:
    """Whether ``answer`` names at least ``needed`` of the accepted answers.

    The subject is taken out first (青海 is no answer for its short name 青). A name that is plainly negated does not
    count. An accepted answer that begins with a digit must not be the tail of a longer number (1701年 is not 701年),
    nor the same year before our era. Who does not know has not answered, but where nothing can be known is right.
    """
    accepted, subject = question["answers"], question.get("entity", "")
    if question.get("fact") == "unknown":
        return declines(answer)
    if declines(answer):
        return False
    short = ADMINISTRATIVE.sub("", subject)
    names = sorted({name for name in (subject, short) if len(name) > 1}, key=len, reverse=True)
    named = 0
    for item in accepted:
        text = answer
        for name in names:
            if name not in item:
                text = text.replace(name, "\0")
        negated = question.get("relation") != AVOIDED and not item.startswith("不")
        before = r"(?<![\d前])" if item[0].isdigit() else ""
        found = re.finditer(before + re.escape(item), text)
        named += any(not (negated and NEGATION.search(text[: match.start()])) for match in found)
    return named >= question["needed"]


def declines(answer: str) -> bool:
    """Whether an answer says that the model does not know."""
    return bool(DECLINES.search(answer))


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
        asked = [conversation(row["question"], history=row.get("history", ())) for row in questions]
        asked_models = [("untrained", None, True, 1), *rows]
        with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
            for name, path, chat, beams in track(asked_models, "asking the models", len(asked_models)):
                if path is None:
                    tokenizer = load_tokenizer(tokenizer_folder)
                    model = make_model(profile.model, tokenizer).eval()
                else:
                    model, tokenizer = generation.load(path)
                limit = 24 if not chat or path is None else ANSWER_TOKENS
                answers = generation.answer(model, tokenizer, asked, beams=beams, chat=chat, max_new_tokens=limit)
                board[name] = score(exam, answers[: len(exam)])
                for row, text in zip(questions, answers, strict=True):
                    right = is_right(text, row) if "answers" in row else None
                    line = {"model": name, "question": row["question"], "answer": text, "right": right}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        artifacts.write_json(folder / "scoreboard.json", board)
        tuned = [name for name in board if "full" in name or "LoRA" in name]
        return {name: board[name][f"{name.split()[0]} pretrain_only everyday"] for name in tuned}

    return artifacts.build(
        profile.dir("merge_and_chat", "scoreboard"), make, stage="merge_and_chat/scoreboard",
        settings={"lora_beams": LORA_BEAMS, "max_new_tokens": ANSWER_TOKENS},
        inputs=[profile.evaluation, profile.demo_questions, *(path for _, path, _, _ in rows)], force=force,
    )  # fmt: skip


def score(questions: list[dict], answers: list[str]) -> dict[str, float]:
    """Share of right answers (0 … 1) in each split, named ``'<domain> <fact> <phrasing>'``, and of the rest by domain:
    ``second turn``, ``unknown``, ``alarm``, ``manners``, ``stable`` (all wordings of a group right), ``declined`` (of
    what could be known)."""
    right, groups, declined = defaultdict(list), defaultdict(list), defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        domain, fact, phrasing = question["domain"], question["fact"], question["phrasing"]
        mark = is_right(answer, question)
        key = f"{domain} {fact} {phrasing}" if (fact, phrasing) in SPLITS else f"{domain} {_other(fact, phrasing)}"
        right[key].append(mark)
        if question.get("group"):
            groups[f"{domain} stable", question["group"]].append(mark)
        if fact in FACT_NAMES:
            declined[f"{domain} declined"].append(declines(answer))
    for (key, _), marks in groups.items():
        right[key].append(all(marks))
    return {key: round(sum(marks) / len(marks), 4) for key, marks in (right | declined).items()}


def _other(fact: str, phrasing: str) -> str:
    return phrasing if phrasing == "second turn" else fact


def read_board(folder: Path) -> dict[str, dict[str, float]]:
    """The scoreboard: model -> split -> share of right answers."""
    return json.loads((folder / "scoreboard.json").read_text(encoding="utf-8"))


def read_answers(folder: Path) -> list[dict]:
    """All answers: ``{"model", "question", "answer", "right"}``."""
    return list(read_jsonl(folder / "answers.jsonl"))
