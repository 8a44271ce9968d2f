"""English for the Chinese of the small world, word for word, so that an answer can be followed without Chinese.

In comes what a model said, or a question of the exam; out goes a gloss, in the order of the Chinese. What the table
``glosses.toml`` and the English columns of the fact base do not know stays as it is, to be compared by its characters.
"""

import csv
import re
import tomllib
from functools import cache
from pathlib import Path

ENGLISH = ("english", "foreign_name", "latin")  # columns of the fact base
DATES = ((r"前(\d+)年", r"\1 BC"), (r"(\d+)年(\d+)月(\d+)日", r"\1-\2-\3"), (r"(\d+)年", r"\1"))


@cache
def _table(facts: Path) -> tuple[re.Pattern, dict[str, str], dict[str, str]]:
    """-> (a pattern of all Chinese with a gloss, Chinese -> English, column or question -> what is asked)."""
    known = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    words = {}
    for path in sorted(facts.glob("*.csv")):
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            english = next((row[column] for column in ENGLISH if row.get(column)), "")
            names = {row["name"], row.get("full_name"), row.get("alias")} - {None, ""}
            words |= {name: english for name in names if english and len(name) > 1}
    words |= known["names"] | known["words"]
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), words, known["ask"] | known["questions"]


def gloss(text: str, facts: Path) -> str:
    """``西安属于陕西省。`` -> ``Xi'an belongs to Shaanxi.``, with the English of the fact base in a folder."""
    pattern, words, _ = _table(facts)
    for date, english in DATES:
        text = re.sub(date, english, text)
    text = pattern.sub(lambda found: words[found[0]], text.replace("\n", " "))
    return re.sub(r" +([,.:;!?')]|$)", r"\1", re.sub(r"\s+", " ", text)).strip()


def gloss_question(row: dict, facts: Path) -> str:
    """What a row of the exam asks, of whom or what: ``Zunyi: special foods``."""
    asked = _table(facts)[2]
    ask = asked.get(row["relation"].rpartition(".")[2]) or asked.get(row.get("question"), row["fact"])
    return f"{gloss(row['entity'], facts)}: {ask}" if row["entity"] else ask
