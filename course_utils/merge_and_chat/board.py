"""The board: what models make of the same questions and of the same text, in figures that say how sure they are.

In come a model and what it answered; out come its figures, and for several models ``board.json``, ``board.md`` (tables
for a README) and ``board.png``. A share of n questions is one of many that other questions of the kind would have
given: beside it stands its 95 % interval. Where one model's share lies in the other's, they are not told apart.
"""

import datetime
import importlib.util
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from .. import artifacts, plots
from ..corpora import load_corpus
from ..corpora.loading import HELD_OUT_EVERY
from ..parameter_budgeting import device_title
from ..profiles import Profile
from ..progress import say
from ..tokenizer_pruning import plain_ids
from ..training.full_vs_lora_sft import conversation
from .generation import answer_with_ids

Z = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution
HELD_OUT_CHARACTERS = 10_000  # of each corpus: seconds for a small model, and the perplexity is good to some 3 %
QUESTIONS = "questions"  # in the titles of figures that are all shares
COLUMNS = 6  # of a table, that a terminal has room for


def share(marks: Sequence[bool]) -> dict[str, float]:
    """The share of true marks among ``of``, and its 95 % interval ``low`` … ``high`` (Wilson 1927, "Probable Inference,
    the Law of Succession, and Statistical Inference", J. Am. Stat. Assoc. 22): right for few questions, and near 0 and
    1, where p ± 2σ is not."""
    n = len(marks)
    p, z = sum(marks) / n, Z * Z / n
    middle = (p + z / 2) / (1 + z)
    half = Z / (1 + z) * math.sqrt(p * (1 - p) / n + z / n / 4)
    found = {"share": p, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}
    return {"of": n, **{name: round(value, 4) for name, value in found.items()}}


def repeats(text: str) -> bool:
    """Whether one 4-gram of characters stands in the text three times or more. After ``rep-n`` of Welleck et al. 2020
    (https://arxiv.org/abs/1908.04319), which is a share of n-grams; an answer goes round in a circle or does not."""
    return max(Counter(text[i : i + 4] for i in range(len(text) - 3)).values(), default=0) >= 3


def held_out(profile: Profile) -> dict[str, list[str]]:
    """The first held-out documents of each corpus that pretraining reads, some ``HELD_OUT_CHARACTERS``."""
    found = {name: [] for mix in profile.mix.values() for name in mix}
    for name, texts in found.items():
        corpus = load_corpus(profile, name)
        for number in range(0, len(corpus), HELD_OUT_EVERY):
            if sum(map(len, texts)) < HELD_OUT_CHARACTERS:
                texts.append(corpus[number]["text"])
    return {name: texts for name, texts in found.items() if texts}


def foretell(model, tokenizer, texts: dict[str, Sequence[str]], window: int) -> dict[str, float | None]:
    """How well a model foretells the texts of each corpus, each text ended by the end-of-text token: ``perplexity`` is
    e to the mean loss in nats a token; ``bits/char`` count an end as one. A longer token is harder to foretell:
    between tokenizers only bits can be compared, and they are None where unknown tokens hide what was written.

    Each token is foretold once, from the up to ``window - 1`` tokens before it."""
    import torch

    end, window, figures = tokenizer.eos_token_id, min(window, model.config.max_position_embeddings), {}
    for corpus, some in texts.items():
        ids, nats = [end, *chain.from_iterable([*text, end] for text in plain_ids(tokenizer, some))], 0.0
        for start in range(0, len(ids) - 1, window - 1):
            row = torch.tensor([ids[start : start + window]], device=model.device)
            with torch.inference_mode():
                nats += model(input_ids=row, labels=row).loss.item() * (row.shape[1] - 1)
        bits, unknown = nats / math.log(2) / sum(len(text) + 1 for text in some), ids.count(tokenizer.unk_token_id)
        figures[f"{corpus}: perplexity"] = round(math.exp(nats / (len(ids) - 1)), 2)
        figures[f"{corpus}: bits/char"] = None if unknown else round(bits, 3)
        figures[f"{corpus}: unknown tokens"] = unknown
    return figures


def examine(model, tokenizer, questions: Sequence[dict], **how) -> tuple[list[str], dict[str, dict | float]]:
    """-> (the answers, figures of how they were given): which repeat themselves and which the limit cut off, tokens
    (the end not counted) and characters of the mean answer, tokens generated a second (ends counted, 128 answers at a
    time)."""
    asked = [conversation(row["question"], history=row.get("history", ())) for row in questions]
    started = time.perf_counter()
    texts, ids = zip(*answer_with_ids(model, tokenizer, asked, **how), strict=True)
    seconds, tokens = time.perf_counter() - started, sum(map(len, ids))
    cut = [answer[-1] != tokenizer.eos_token_id for answer in ids]
    return list(texts), {
        "repeat themselves, %": share(list(map(repeats, texts))), "cut off, %": share(cut),
        "limit": how["max_new_tokens"], "tokens": round((tokens - cut.count(False)) / len(ids), 1),
        "characters": round(sum(map(len, texts)) / len(texts), 1), "tokens/s": round(tokens / seconds),
    }  # fmt: skip


def tables(board: dict) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """-> (title, names of columns, rows, the model first) of each table of a board."""
    models = board["models"]
    for title in next(iter(models.values()))["figures"]:
        found = {name: list(model["figures"][title].items()) for name, model in models.items()}
        for start in range(0, max(map(len, found.values())), COLUMNS):
            some = {name: row[start : start + COLUMNS] for name, row in found.items()}
            columns = [
                f"{name} (n={x['of']})" if isinstance(x, dict) else name for name, x in next(iter(some.values()))
            ]
            more = ", % (95 % interval)" if QUESTIONS in title else ""
            yield title + more, ["model", *columns], [[name, *(_cell(x) for _, x in row)] for name, row in some.items()]


def _cell(figure: dict | float | None) -> str:
    """A number, or a share with its interval: ``75 (63–84)``, per cent."""
    if not isinstance(figure, dict):
        return "–" if figure is None else f"{figure:,}"
    return "{:.0f} ({:.0f}–{:.0f})".format(*(100 * figure[name] for name in ("share", "low", "high")))


def write(folder: Path, exam: dict, models: dict[str, dict]) -> None:
    """Write ``board.json``, ``board.md`` and ``board.png``: which exam was taken, and for each model ``figures``, title
    of a table -> column -> a number or what ``share`` gives."""
    board = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "device": device_title(),
        "versions": artifacts.versions(), "exam": exam, "models": models,
    }  # fmt: skip
    artifacts.write_json(folder / "board.json", board)
    text = [f"{exam['questions']:,} questions, {board['date'][:10]}, {board['device']}"]
    for title, columns, rows in tables(board):
        lines = [columns, ["---", *["---:"] * len(columns[1:])], *rows]
        text.append(f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    artifacts.write_text(folder / "board.md", "\n\n".join(text) + "\n")
    titles = [title for title in next(iter(models.values()))["figures"] if QUESTIONS in title]
    panels = {f"{title}, %": {name: model["figures"][title] for name, model in models.items()} for title in titles}
    if importlib.util.find_spec("matplotlib"):
        plots.answers.draw_shares(panels, folder / "board.png")
    else:  # a machine that trains may have none
        say("no matplotlib: board.png is not drawn")


def read(folder: Path) -> dict:
    """What ``write`` wrote."""
    return json.loads((folder / "board.json").read_text(encoding="utf-8"))
