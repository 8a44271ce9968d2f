"""Build the embedded world from the fact base: ``python data/builder [--out DIR]``.

Deterministic: the same facts give the same bytes. Takes about a minute, half of it the tokenizer.
"""

import argparse
import bz2
import gzip
import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import documents
import exam
import questions
import wiki
from facts import DOMAINS, KINDS, World
from tokenizer import build_retain_words, build_tokenizer

INSTRUCTIONS = {"common": questions.BELLE, "medical": questions.MEDICAL}
# Kinds of instructions that no text repeats: quizzes have the first two already, the others are no text's business.
NOT_REPEATED = {"facts", "unknown", "classification", "municipalities", "longer lists", "more complaints", "more lay names",
                "more diets"}  # fmt: skip
# Where the rows of a domain lie: instructions, conversations.
FILES = {
    "common": ("belle/train.jsonl", "belle/conversations.jsonl"),
    "medical": ("medical/finetune.jsonl", "medical/conversations.jsonl"),
}


def build(out: Path) -> dict:
    """Write every data file below ``out``. -> counts for the datasheet."""
    world = World.load()
    dump = wiki.dump(world)
    rows = {domain: list(questions.instructions(world, INSTRUCTIONS[domain], exam.DEMONSTRATED)) for domain in DOMAINS}
    repeated = {domain: [row for kind, row in rows[domain] if kind not in NOT_REPEATED] for domain in DOMAINS}
    baike = list(documents.baike(world, repeated["common"]))
    medical = list(documents.medical(world, repeated["medical"]))
    baike_copies = list(documents.copies_of_baike(baike))
    medical_copies = list(documents.copies_of_medical(medical, baike))
    talks = {domain: list(questions.conversations(world, domain, exam.DEMONSTRATED)) for domain in DOMAINS}
    asked, said = told(rows, talks)
    read = {"common": [text_of(row) for row in baike], "medical": [row["text"] for row in medical]}
    everything = "\n".join(text for texts in (*read.values(), *said.values()) for text in texts)
    taken = {}
    for domain in DOMAINS:
        known = set(map(questions.bare, asked[domain] | questions_in(read[domain])))
        taken[domain] = partial(is_taken, known=known, everything=everything)
    evaluation = list(exam.exam(world, taken, said))

    path = out / "wiki" / "zhwiki-mini-pages-articles.xml.bz2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bz2.compress(dump.encode(), 9))
    write_jsonl(out / "baike" / "baike.jsonl.gz", baike + baike_copies)
    write_jsonl(out / "medical" / "pretrain.jsonl.gz", medical + medical_copies)
    for domain, (single, several) in FILES.items():
        write_jsonl(out / single, [row for _, row in rows[domain]])
        write_jsonl(out / several, talks[domain])
    write_jsonl(out / "evaluation.jsonl", evaluation)
    write_jsonl(out / "demo_questions.jsonl", list(exam.demonstration()))
    build_retain_words(out / "retain_en.txt")
    build_tokenizer(out / "tokenizer" / "multilingual.model", texts(dump, baike, medical))

    counts = {
        "entities": {kind: len(entities) for kind, entities in world.entities.items()},
        "facts": dict(Counter(fact.relation.kind for fact in world.facts(KINDS))),
        "wiki_articles": sum(1 for _ in wiki.articles(world)) + sum(1 for _ in wiki.lists(world)),
        "wiki_pages_to_drop": sum(1 for _ in wiki.not_articles(world)),
        "baike": len(baike),
        "baike_copies": len(baike_copies),
        "medical_texts": len(medical),
        "medical_copies": len(medical_copies),
        "belle": dict(Counter(kind for kind, _ in rows["common"])),
        "medical_qa": dict(Counter(kind for kind, _ in rows["medical"])),
        "conversations": {domain: len(talk) for domain, talk in talks.items()},
        "evaluation": dict(Counter("{domain}, fact {fact}, phrasing {phrasing}".format(**row) for row in evaluation)),
    }
    (out / "statistics.json").write_text(json.dumps(counts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return counts


def told(rows: dict, talks: dict) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """-> (the questions of fine-tuning by domain, the text of each of its rows by domain)."""
    asked = {domain: {row["instruction"] for _, row in rows[domain]} for domain in rows}
    said = {domain: [[turn["content"] for turn in talk["messages"]] for talk in talks[domain]] for domain in rows}
    whole = {domain: ["\n".join(row.values()) for _, row in rows[domain]] for domain in rows}
    for domain, conversations in said.items():
        asked[domain] |= {text for texts in conversations for text in texts}
        whole[domain] += ["\n".join(texts) for texts in conversations]
    return asked, whole


def is_taken(question: str, *, known: set[str], everything: str) -> bool:
    """Whether a text or a row asks the question: with other marks, or as a part of what it says."""
    return questions.bare(question) in known or question in everything


def questions_in(read: list[str]) -> set[str]:
    """What texts ask: in quizzes, and as sentences of a paragraph."""
    found = set()
    for text in read:
        found.update(re.findall("问：(.*)\n答：", text))
        found.update(re.findall("[^。！？\n]*？", text))
    return found


def text_of(article: dict) -> str:
    """All that an article of Baike says."""
    return article["summary"] + "".join(part["content"] for part in article["sections"])


def texts(dump: str, baike: list, medical: list) -> list[str]:
    """What the tokenizer learns from: the corpora as a model will read them."""
    plain = re.findall(r">\n?([^<]*[。])[^<]*</text>", re.sub(r"\{\{[^{}]*\}\}|\[\[[^\]]*\]\]|&[^;]*;", "", dump))
    return plain + [text_of(row) for row in baike] + [row["text"] for row in medical]


def write_jsonl(path: Path, rows: list[dict]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, 9, mtime=0) if path.suffix == ".gz" else text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1])
    print(json.dumps(build(parser.parse_args().out), ensure_ascii=False, indent=2))
