"""Ask every model the same questions and count right answers.

A question has accepted answers and the number of them an answer must name. The board shows, for each model, the share
of right answers by domain (common, medical), by whether the fact was in fine-tuning or only in pretraining text, and by
the wording: one that was trained, a new one, one of everyday speech. Beside it stands how often a model says that it
does not know what no text told, and what it should know; how it does in a second turn; and its stability, the share of
facts that it tells in all five wordings. The base models and one with random weights are on it as controls.
``board`` adds to each share how sure it is, and what else the same answers show.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

from .. import artifacts
from ..artifacts import require
from ..corpora import read_jsonl, reading
from ..errors import CourseError
from ..parameter_budgeting import device_name
from ..profiles import Profile
from ..progress import say, track
from ..tokenizer_pruning import load_tokenizer
from ..training.full_vs_lora_sft import turns_of
from ..training.pretraining import make_model
from . import board, generation

FACT_NAMES = {"seen": "asked in SFT", "pretrain_only": "only read"}
WORDING_NAMES = {"seen": "trained wording", "new": "new wording", "everyday": "everyday wording"}
SPLITS = tuple((fact, phrasing) for fact in FACT_NAMES for phrasing in WORDING_NAMES)
# What else the board has: the share of right answers, but for the two of stability and wrongly declined.
OTHER_SPLITS = {
    "second turn": "second turn", "stable": "five wordings, all right", "unknown": "the unknown declined",
    "declined": "the known declined", **{kind: kind for kind in ("request", "manners", "complaint", "alarm")},
}  # fmt: skip
TITLES = {f"{fact} {words}": f"{FACT_NAMES[fact]}, {WORDING_NAMES[words]}" for fact, words in SPLITS} | OTHER_SPLITS
GREEDY = {"temperature": 0.0, "beams": 1, "repetition_penalty": 1.0}  # a board compares models, not searches
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


def read_exam(path: Path) -> list[dict]:
    """The questions of an exam. Raises CourseError, with file and line, for one that cannot be asked, marked, or shown
    on the board."""
    if not (rows := list(reading.read_as(path, _examined))):
        raise CourseError(f"{artifacts.shown(path)} has no question")
    return rows


def _examined(row: dict, place: str) -> dict:
    answers, needed = row.get("answers"), row.get("needed")
    if not isinstance(answers, list) or not all(isinstance(text, str) and text for text in answers):
        raise reading.Unusable("`answers` is no list of texts")
    if type(needed) is not int or not 1 <= needed <= len(answers):
        raise reading.Unusable("`needed` is no number from 1 to that of the answers")
    if not all(reading.string(row, name).strip() for name in ("question", "domain")) or _kind(row) not in TITLES:
        raise reading.Unusable("needs a question, a domain, and a fact and a phrasing that the board has")
    texts = {name: reading.string(row, name) for name in ("entity", "group")}
    return {**row, **texts, "history": turns_of({"messages": row.get("history", [])})}


def declines(answer: str) -> bool:
    """Whether an answer says that the model does not know."""
    return bool(DECLINES.search(answer))


def models(profile: Profile) -> list[tuple[str, Path | None, bool]]:
    """-> (name, folder, whether it learned to chat) of every model on the scoreboard; the untrained has no folder."""
    rows = [("untrained", None, True)]
    for base in profile.instructions:
        rows.append((f"{base} base", require(profile, "pretraining", base), False))
        rows.append((f"{base} full", require(profile, "full_vs_lora_sft", f"{base}-full"), True))
        rows.append((f"{base} LoRA", require(profile, "merge_and_chat", f"{base}-merged"), True))
    return rows


def learned_to_chat(folder: Path) -> bool:
    """Whether a model is asked in its chat template. A base model of the course has one and was never trained on it; a
    model without one is asked as a base model, with a line."""
    made, taught = artifacts.read_manifest(folder), bool(load_tokenizer(folder).chat_template)
    if not taught:
        say(f"{artifacts.shown(folder)} has no chat template: asked as a base model, behind its end-of-text token")
    return taught and not (made and made.stage.startswith("pretraining/"))


def evaluate(
    profile: Profile, chosen: dict[str, Path] | None = None, out: Path | None = None, *, force: bool = False
) -> artifacts.Manifest:
    """Let every model of the profile answer the evaluation and the demonstration questions, or the ``chosen`` ones
    (name -> folder of a model or adapter). Writes to ``merge_and_chat/scoreboard``, or to ``out``: ``answers.jsonl``,
    one line a model and question, ``scoreboard.json``, and the files of ``board.write``. Raises CourseError where a
    folder holds no model, the profile's tokenizer or corpora are missing, or ``out`` has other models' board (unless
    ``force``)."""
    weights = {name: _weights(folder) for name, folder in (chosen or {}).items()}
    rows = [(name, path, learned_to_chat(path)) for name, path in (chosen or {}).items()] or models(profile)
    read = [profile.evaluation, profile.demo_questions, require(profile, "deduplication")]
    require(profile, "tokenizer_pruning")
    old = artifacts.read_manifest(out) if out else None
    if old and old.settings.get("chosen", weights).keys() != weights.keys() and not force:
        place = artifacts.shown(out)
        raise CourseError(f"{place} holds the board of other models: name another place, or write over it with --force")

    def make(folder: Path) -> dict:
        exam, demo = read_exam(profile.evaluation), list(read_jsonl(profile.demo_questions))
        texts, found, scores = board.held_out(profile), {}, {}
        for _, path, _ in rows:  # one that cannot answer says so before the others are asked
            if path:
                generation.load(path)
        with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
            for name, path, chat in track(rows, "asking the models", len(rows)):
                model, tokenizer = generation.load(path) if path else _untrained(profile)
                how = {"chat": chat, "max_new_tokens": ANSWER_TOKENS if chat and path else 24}
                try:
                    answers, manner = board.examine(model, tokenizer, exam + demo, **how, **GREEDY)
                except CourseError as problem:
                    raise CourseError(f"{name}: {problem}") from problem
                right = {split: board.share(of) for split, of in marks(exam, answers[: len(exam)]).items()}
                scores[name] = {split: figure["share"] for split, figure in right.items()}
                foretold = board.foretell(model, tokenizer, texts, profile.pretraining.block_size)
                figures = {
                    f"{domain} {board.QUESTIONS}": {
                        title: right[split] for kind, title in TITLES.items() if (split := f"{domain} {kind}") in right
                    }
                    for domain in dict.fromkeys(row["domain"] for row in exam)
                } | {"answers": manner, "held-out text": foretold}
                shown = name if chat or not chosen else f"{name} (asked as base)"
                read_from = weights.get(name) or (_weights(path) if path else {})
                found[shown] = {"weights": read_from, "chat": chat, "figures": figures}
                for row, text in zip(exam + demo, answers, strict=True):
                    mark = is_right(text, row) if "answers" in row else None
                    line = {"model": name, "question": row["question"], "answer": text, "right": mark}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        artifacts.write_json(folder / "scoreboard.json", scores)
        board.write(folder, {"questions": len(exam), "sha256": artifacts.digest(profile.evaluation)}, found)
        tuned = [name for name in scores if not chosen and ("full" in name or "LoRA" in name)]
        asked = {name: f"{name.split()[0]} pretrain_only everyday" for name in tuned}
        return {name: scores[name][split] for name, split in asked.items() if split in scores[name]}

    return artifacts.build(
        out or profile.dir("merge_and_chat", "scoreboard"), make,
        stage="merge_and_chat/board" if chosen else "merge_and_chat/scoreboard",
        settings={**GREEDY, "max_new_tokens": ANSWER_TOKENS, "chosen": weights},
        inputs=[*read, *(path for _, path, _ in rows if path)], force=force,
    )  # fmt: skip


def _untrained(profile: Profile) -> tuple:
    tokenizer = load_tokenizer(require(profile, "tokenizer_pruning"))
    return make_model(profile.model, tokenizer).to(device_name()).eval(), tokenizer


def _weights(folder: Path) -> dict[str, str]:
    """File -> SHA-256 of a model's safetensors, and of an adapter's base, read anew."""
    files = sorted(file for place in {folder, generation.base_of(folder)} for file in place.glob("*.safetensors"))
    return {artifacts.shown(file): artifacts.digest(file) for file in files}


def score(questions: list[dict], answers: list[str]) -> dict[str, float]:
    """Share of right answers (0 … 1) in each split of ``marks``."""
    return {split: board.share(right)["share"] for split, right in marks(questions, answers).items()}


def marks(questions: list[dict], answers: list[str]) -> dict[str, list[bool]]:
    """Which answers are right, in each split, named ``'<domain> <fact> <phrasing>'``, and of the rest by domain:
    ``second turn``, ``unknown``, ``alarm``, ``manners``, ``stable`` (all wordings of a group right), ``declined`` (of
    what could be known)."""
    right, groups, declined = defaultdict(list), defaultdict(list), defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        domain, mark = question["domain"], is_right(answer, question)
        right[f"{domain} {_kind(question)}"].append(mark)
        if question.get("group"):
            groups[f"{domain} stable", question["group"]].append(mark)
        if question["fact"] in FACT_NAMES:
            declined[f"{domain} declined"].append(declines(answer))
    for (key, _), found in groups.items():
        right[key].append(all(found))
    return right | declined


def _kind(question: dict) -> str:
    """The split of a question, without its domain."""
    fact, phrasing = reading.string(question, "fact"), reading.string(question, "phrasing")
    return f"{fact} {phrasing}" if (fact, phrasing) in SPLITS else phrasing if phrasing in OTHER_SPLITS else fact


def read_board(folder: Path) -> dict[str, dict[str, float]]:
    """The scoreboard: model -> split -> share of right answers."""
    return json.loads((folder / "scoreboard.json").read_text(encoding="utf-8"))


def read_answers(folder: Path) -> list[dict]:
    """All answers: ``{"model", "question", "answer", "right"}``."""
    return list(read_jsonl(folder / "answers.jsonl"))
