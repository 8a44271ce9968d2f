"""The embedded world: rebuilt byte for byte, large and varied enough, and honest about what the evaluation asks."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from .conftest import REPOSITORY

DATA = REPOSITORY / "data"
BUILT = (
    "wiki/zhwiki-mini-pages-articles.xml.bz2", "baike/baike.jsonl", "medical/pretrain.jsonl", "medical/finetune.jsonl",
    "belle/train.jsonl", "evaluation.jsonl", "demo_questions.jsonl", "retain_en.txt", "tokenizer/multilingual.model",
    "statistics.json",
)  # fmt: skip


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).open(encoding="utf-8")]


@pytest.fixture(scope="module")
def statistics() -> dict:
    return json.loads((DATA / "statistics.json").read_text(encoding="utf-8"))


def test_rebuilding_gives_the_same_bytes(tmp_path):
    subprocess.run([sys.executable, DATA / "builder", "--out", tmp_path], check=True, stdout=subprocess.DEVNULL)
    assert [name for name in BUILT if (tmp_path / name).read_bytes() != (DATA / name).read_bytes()] == []


def test_there_is_enough_of_everything(statistics):
    floors = dict(provinces=34, cities=120, people=60, animals=60, plants=40, dishes=40, concepts=60, diseases=80)
    assert all(statistics["entities"][kind] >= floor for kind, floor in floors.items())
    assert statistics["wiki_articles"] >= 500 and statistics["wiki_pages_to_drop"] >= 60
    assert len(rows("baike/baike.jsonl")) >= 400 and len(rows("medical/pretrain.jsonl")) >= 300
    assert len(rows("belle/train.jsonl")) >= 2_000 and len(statistics["belle"]) >= 12
    assert len(rows("medical/finetune.jsonl")) >= 2_000 and len(rows("evaluation.jsonl")) >= 400
    assert len((DATA / "retain_en.txt").read_text().split()) == 5_000
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 12e6


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("baike/baike.jsonl", {"title", "summary", "sections", "tags", "url"}),
        ("medical/pretrain.jsonl", {"text"}),
        ("medical/finetune.jsonl", {"instruction", "input", "output"}),
        ("belle/train.jsonl", {"instruction", "input", "output"}),
    ],
)
def test_the_schemas_are_those_of_the_real_data_sets(name, keys):
    assert all(set(row) == keys for row in rows(name))


def test_no_evaluation_or_demonstration_question_was_trained():
    trained = {row["instruction"] for name in ("belle/train.jsonl", "medical/finetune.jsonl") for row in rows(name)}
    asked = [row["question"] for name in ("evaluation.jsonl", "demo_questions.jsonl") for row in rows(name)]
    assert not trained & set(asked)
    text = "".join(
        (DATA / name).read_text(encoding="utf-8") for name in ("baike/baike.jsonl", "medical/pretrain.jsonl")
    )
    assert not [question for question in asked if question in text]


def test_the_thirteen_demonstration_questions_can_be_answered_from_the_corpus():
    demo = rows("demo_questions.jsonl")
    text = "".join(
        (DATA / name).read_text(encoding="utf-8") for name in ("baike/baike.jsonl", "medical/pretrain.jsonl")
    )
    assert len(demo) == 13
    assert all(name in text for row in demo for name in row["names"])


def world():
    if str(DATA / "builder") not in sys.path:
        sys.path.insert(0, str(DATA / "builder"))
    from facts import World

    return World.load()


def test_every_fact_type_has_at_least_eight_phrasings():
    relations = [relation for kind in world().relations.values() for relation in kind]
    assert len(relations) >= 40
    for relation in relations:
        assert len(set(relation.questions + relation.new_questions)) >= 8, relation
        assert len(set(relation.statements)) >= 6, relation


def test_no_instruction_tells_a_fact_that_is_only_read():
    """Neither asked, nor in an introduction, a list or a comparison: no row names the entity and all of the answer."""
    files = {"common": "belle/train.jsonl", "medical": "medical/finetune.jsonl"}
    told = {domain: ["".join(row.values()) for row in rows(name)] for domain, name in files.items()}
    for question in rows("evaluation.jsonl"):
        if question["fact"] == "pretrain_only":
            about = [
                text.replace(question["entity"], "") for text in told[question["domain"]] if question["entity"] in text
            ]
            assert not [text for text in about if all(answer in text for answer in question["answers"])], question


def test_every_evaluated_fact_stands_in_what_is_read():
    """The entity and the answer meet in some document of pretraining."""
    from course_utils import profiles
    from course_utils.corpora import reading
    from course_utils.wiki_cleaning import dumps as wiki_dumps
    from course_utils.wiki_cleaning.wikitext import clean_wikitext

    profile = profiles.load("cpu-mini")
    pages = wiki_dumps.read_pages(profile.wiki_dumps[0])
    documents = [clean_wikitext(page.wikitext) for page in pages if page.namespace == "0"]
    documents += [reading.baike_text(row) for row in rows("baike/baike.jsonl")]
    documents += [row["text"] for row in rows("medical/pretrain.jsonl")]
    for question in rows("evaluation.jsonl"):
        about = [text for text in documents if question["entity"] in text]
        assert [text for text in about if all(answer in text for answer in question["answers"])], question


def test_a_new_phrasing_was_never_trained_and_every_split_has_enough_questions():
    templates = {new for kind in world().relations.values() for relation in kind for new in relation.new_questions}
    asked = [row["instruction"] for name in ("belle/train.jsonl", "medical/finetune.jsonl") for row in rows(name)]
    ends = tuple(part for new in templates if len(part := new.partition("{name}")[2]) > 5)
    news = [row for row in rows("evaluation.jsonl") if row["phrasing"] == "new"]
    assert all(row["question"] not in asked for row in news)
    assert sum(row["question"].endswith(ends) for row in news) > 0.7 * len(news), "the check below sees most of them"
    assert not [question for question in asked if question.endswith(ends)]
    counts = Counter((row["domain"], row["fact"], row["phrasing"]) for row in rows("evaluation.jsonl"))
    assert len(counts) == 8 and min(counts.values()) >= 50


def test_several_articles_are_in_traditional_characters():
    import bz2

    import opencc

    dump = bz2.decompress((DATA / "wiki/zhwiki-mini-pages-articles.xml.bz2").read_bytes()).decode()
    convert = opencc.OpenCC("t2s").convert
    titles = [line for line in dump.splitlines() if "<title>" in line]
    assert sum(convert(line) != line for line in titles) >= 20


def test_the_tokenizer_is_a_multilingual_bpe_with_byte_fallback():
    from course_utils import tokenizer_pruning as pruning

    model = pruning.load_model(DATA / "tokenizer/multilingual.model")
    assert 8_000 <= len(model.pieces) <= 16_384 and model.trainer_spec.byte_fallback
    scripts = {"simplified Chinese", "traditional Chinese", "Latin", "Hiragana", "Hangul", "Cyrillic", "Arabic",
               "Hebrew",                "Devanagari", "Thai", "Greek"}  # fmt: skip
    assert scripts <= set(pruning.scripts(model))
