"""The embedded world: rebuilt byte for byte, large and varied enough, and honest about what the evaluation asks."""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import reduce

import pytest

from .conftest import REPOSITORY

DATA = REPOSITORY / "data"
BUILT = (
    "wiki/zhwiki-mini-pages-articles.xml.bz2", "baike/baike.jsonl", "medical/pretrain.jsonl", "medical/finetune.jsonl",
    "medical/conversations.jsonl", "belle/train.jsonl", "belle/conversations.jsonl", "evaluation.jsonl",
    "demo_questions.jsonl", "retain_en.txt", "tokenizer/multilingual.model", "statistics.json",
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
    assert statistics["conversations"]["common"] >= 400
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
        ("belle/conversations.jsonl", {"messages"}),
        ("medical/conversations.jsonl", {"messages"}),
    ],
)
def test_the_schemas_are_those_of_the_real_data_sets(name, keys):
    assert all(set(row) == keys for row in rows(name))


FINE_TUNING = {
    "common": ("belle/train.jsonl", "belle/conversations.jsonl"),
    "medical": ("medical/finetune.jsonl", "medical/conversations.jsonl"),
}


def turns(row: dict) -> list[str]:
    """The texts of a row of fine-tuning, the questions first where it is no conversation."""
    if "messages" in row:
        return [turn["content"] for turn in row["messages"]]
    return [row["instruction"], row["input"], row["output"]]


def fine_tuning(domain: str) -> list[list[str]]:
    return [turns(row) for name in FINE_TUNING[domain] for row in rows(name)]


def test_no_evaluation_or_demonstration_question_was_trained():
    trained = {text for domain in FINE_TUNING for texts in fine_tuning(domain) for text in texts}
    exam = [row["question"] for row in rows("evaluation.jsonl") if row["phrasing"] != "second turn"]
    asked = exam + [row["question"] for row in rows("demo_questions.jsonl")]
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


def bare(question: str) -> str:
    """A question without marks, spaces and particles: what is left must differ."""
    return re.sub(r"[？?。！～，、\s]|请问|请|一下|[呢呀啊吗嘛的]", "", question)


def test_every_fact_type_is_told_and_asked_in_many_ways():
    relations = [relation for kind in world().relations.values() for relation in kind]
    assert len(relations) >= 40
    for relation in relations:
        assert len(set(relation.statements + relation.continued)) >= 12, relation
        assert len(set(map(bare, relation.questions))) >= 25, relation
        kept = set(map(bare, relation.new_questions + relation.everyday_questions))
        assert len(kept) >= 8, relation
        assert not kept & set(map(bare, relation.questions)), relation
        assert not set(relation.follow_ups) & set(relation.new_follow_ups), relation


def test_no_instruction_tells_a_fact_that_is_only_read():
    """Neither asked, nor in an introduction, a list or a comparison: no row names the entity and all of the answer.
    A name or value that merely contains the answer (青岛 and 青海湖 for 青) tells nothing."""
    told = {domain: ["\n".join(texts) for texts in fine_tuning(domain)] for domain in FINE_TUNING}
    facts = world().facts(list(world().entities))
    words = {fact.entity.name for fact in facts} | {item for fact in facts for item in fact.items}
    for question in rows("evaluation.jsonl"):
        if question["fact"] == "pretrain_only":
            about = [text for text in told[question["domain"]] if question["entity"] in text]
            for answer in question["answers"]:
                longer = sorted((word for word in words if answer in word and word != answer), key=len, reverse=True)
                hidden = [reduce(lambda text, word: text.replace(word, ""), [question["entity"], *longer], text)
                          for text in about]  # fmt: skip
                about = [text for text, rest in zip(about, hidden, strict=True) if answer in rest]
            assert not about, (question, about[0])


def test_what_the_exam_calls_unknown_stands_in_no_file():
    """Neither in what is read nor in what is trained; and what fine-tuning does not know, no text tells."""
    read = "".join((DATA / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("baike/baike", "medical/pretrain"))
    trained = "".join("\n".join(texts) for domain in FINE_TUNING for texts in fine_tuning(domain))
    unknown = {row["entity"] for row in rows("evaluation.jsonl") if row["fact"] == "unknown" and row["entity"]}
    assert len(unknown) >= 100
    assert not [name for name in unknown if name in read or name in trained]
    declined = [row["instruction"] for row in rows("belle/train.jsonl") if "我不知道" in row["output"]]
    assert len(declined) >= 300 and sum(question in read for question in declined) == 0


def test_conversations_have_two_and_three_turns_and_some_a_system_turn():
    for domain in FINE_TUNING:
        talks = [row["messages"] for row in rows(FINE_TUNING[domain][1])]
        assert all(talk[-1]["role"] == "assistant" for talk in talks)
        answers = Counter(sum(turn["role"] == "assistant" for turn in talk) for talk in talks)
        assert answers[2] >= 100 and answers[3] >= 20
        assert sum(talk[0]["role"] == "system" for talk in talks) >= 50


def test_alarming_complaints_are_sent_to_a_doctor():
    alarms = [row for row in rows("evaluation.jsonl") if row["fact"] == "alarm"]
    assert len(alarms) >= 15
    builder = world() and __import__("questions")
    for alarm in builder.COMPLAINTS["alarm"]:
        assert re.search("120|医生|就医|急诊|医院", alarm["answer"]), alarm


def test_lists_are_at_most_a_quarter_of_baike():
    articles = rows("baike/baike.jsonl")
    assert sum("列表" in row["tags"] for row in articles) <= len(articles) / 4


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
        if question["fact"] in ("seen", "pretrain_only"):
            about = [text for text in documents if question["entity"] in text]
            assert [text for text in about if all(answer in text for answer in question["answers"])], question


def test_every_split_has_enough_questions():
    exam = rows("evaluation.jsonl")
    counts = Counter((row["domain"], row["fact"], row["phrasing"]) for row in exam)
    for domain in FINE_TUNING:
        for fact in ("seen", "pretrain_only"):
            assert all(counts[domain, fact, phrasing] >= 30 for phrasing in ("seen", "new", "everyday"))
        assert sum(n for (where, fact, _), n in counts.items() if (where, fact) == (domain, "unknown")) >= 40
        assert sum(n for (where, _, how), n in counts.items() if (where, how) == (domain, "second turn")) >= 40
    groups = Counter(row["group"] for row in exam if row["group"])
    assert set(groups.values()) == {5} and len(groups) >= 80
    assert all(row["history"] for row in exam if row["phrasing"] == "second turn")


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
