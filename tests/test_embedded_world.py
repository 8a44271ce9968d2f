"""The embedded world: rebuilt byte for byte, large and varied enough, and honest about what the evaluation asks."""

import bz2
import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache, reduce

import pytest

from course_utils.corpora import read_jsonl

from .conftest import REPOSITORY, data_text

DATA = REPOSITORY / "data"
BUILT = (
    "wiki/zhwiki-mini-pages-articles.xml.bz2", "baike/baike.jsonl.gz", "medical/pretrain.jsonl.gz",
    "medical/finetune.jsonl", "medical/conversations.jsonl", "belle/train.jsonl", "belle/conversations.jsonl",
    "evaluation.jsonl", "demo_questions.jsonl", "retain_en.txt", "tokenizer/multilingual.model", "statistics.json",
)  # fmt: skip


def rows(name: str) -> list[dict]:
    return list(read_jsonl(DATA / name))


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
    assert len(rows("baike/baike.jsonl.gz")) >= 400 and len(rows("medical/pretrain.jsonl.gz")) >= 300
    assert statistics["conversations"]["common"] >= 400
    assert len(rows("belle/train.jsonl")) >= 2_000 and len(statistics["belle"]) >= 12
    assert len(rows("medical/finetune.jsonl")) >= 2_000 and len(rows("evaluation.jsonl")) >= 400
    assert len((DATA / "retain_en.txt").read_text().split()) == 5_000


def test_the_world_stays_small():
    sizes = {path: path.stat().st_size for path in DATA.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert sum(sizes.values()) < 12_000_000


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("baike/baike.jsonl.gz", {"title", "summary", "sections", "tags", "url"}),
        ("medical/pretrain.jsonl.gz", {"text"}),
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


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """What each file for models holds, apart from the exam and the demonstration."""
    names = ("baike/baike.jsonl.gz", "medical/pretrain.jsonl.gz", *FINE_TUNING["common"], *FINE_TUNING["medical"])
    dump = bz2.decompress((DATA / BUILT[0]).read_bytes()).decode()
    return {"wiki": dump} | {name: data_text(name) for name in names}


def quizzes() -> list[tuple[str, str]]:
    """The questions and answers of all quizzes."""
    texts = [row["summary"] for row in rows("baike/baike.jsonl.gz") if "问答" in row["tags"]]
    texts += [row["text"] for row in rows("medical/pretrain.jsonl.gz") if re.match("..问答（", row["text"])]
    return [pair for text in texts for pair in re.findall("问：(.*)\n答：(.*)", text)]


def test_no_evaluation_or_demonstration_question_stands_in_a_text_or_was_trained(files):
    exam = [row["question"] for row in rows("evaluation.jsonl") if row["phrasing"] != "second turn"]
    asked = exam + [row["question"] for row in rows("demo_questions.jsonl")]
    assert not [(question, name) for name, text in files.items() for question in asked if question in text]


def test_the_thirteen_demonstration_questions_can_be_answered_from_the_corpus():
    demo = rows("demo_questions.jsonl")
    text = "".join(map(data_text, ("baike/baike.jsonl.gz", "medical/pretrain.jsonl.gz")))
    assert len(demo) == 13
    assert all(name in text for row in demo for name in row["names"])


@cache
def world():
    if str(DATA / "builder") not in sys.path:
        sys.path.insert(0, str(DATA / "builder"))
    from facts import World

    return World.load()


def unknown_names() -> tuple[set[str], set[str]]:
    """-> (the names of which no text tells that the exam asks about, the others)."""
    asked = {row["entity"] for row in rows("evaluation.jsonl") if row["fact"] == "unknown" and row["entity"]}
    files = [(DATA / f"builder/unknown/{kind}.txt").read_text(encoding="utf-8") for kind in world().entities]
    return asked, {name for text in files for name in text.split()} - asked


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


def test_fine_tuning_holds_out_whole_entities():
    entities = [entity for kind in world().entities.values() for entity in kind]
    assert 0.12 < sum(entity.pretrain_only for entity in entities) / len(entities) < 0.18
    assert all(fact.pretrain_only == fact.entity.pretrain_only for fact in world().facts(list(world().entities)))
    asked = {"seen": set(), "pretrain_only": set()}
    for row in rows("evaluation.jsonl"):
        if row["fact"] in asked:
            asked[row["fact"]].add((row["relation"].split(".")[0], row["entity"]))
    assert not asked["seen"] & asked["pretrain_only"]
    kept = {(entity.kind, entity.name) for entity in entities if entity.pretrain_only}
    assert asked["pretrain_only"] <= kept and len(asked["pretrain_only"]) >= 40


def test_fine_tuning_and_quizzes_ask_and_answer_nothing_of_an_entity_that_is_held_out():
    said = [text for domain in FINE_TUNING for texts in fine_tuning(domain) for text in texts]
    said += [text for pair in quizzes() for text in pair]
    asked, text = set(map(bare, said)), "\n".join(said)
    facts = [fact for fact in world().facts(list(world().entities)) if fact.pretrain_only]
    assert len(facts) >= 300 and len(quizzes()) >= 5_000
    for fact in facts:
        assert not {bare(fact.ask(template)) for template in fact.relation.questions} & asked, fact.key
        answers = [fact.answer(i) for i in range(len(fact.relation.answers))]
        assert not [answer for answer in answers if answer in text], fact.key


def test_texts_ask_and_answer_about_what_fine_tuning_does_not():
    """Popular science: the question, and at once an answer."""
    texts = [row["summary"] for row in rows("baike/baike.jsonl.gz") if "问答" not in row["tags"]]
    found = 0
    for fact in world().facts(["cities"]):
        about = [text for text in texts if fact.entity.name in text] if fact.pretrain_only else []
        questions = [fact.ask(template) for template in fact.fitting(fact.relation.questions)]
        answers = [fact.answer(i) for i in range(3)]
        found += any(question + answer in text for text in about for question in questions for answer in answers)
    held_out = [fact for fact in world().facts(["cities"]) if fact.pretrain_only]
    assert found > len(held_out) / 2


def test_what_the_exam_calls_unknown_stands_in_no_file(files):
    """Neither in what is read nor in what is trained, unless within another unknown name (海棠疹 for 海棠)."""
    unknown, others = unknown_names()
    assert len(unknown) >= 100
    for file, text in files.items():
        left = reduce(lambda text, word: text.replace(word, ""), others, text)
        assert not [name for name in unknown if name in left], file


def test_fine_tuning_and_quizzes_say_of_other_unknown_names_that_nobody_knows():
    _, others = unknown_names()
    declined = [row["instruction"] for row in rows("belle/train.jsonl") if "我不知道" in row["output"]]
    quizzed = [question for question, answer in quizzes() if answer == "我不知道，我读过的书里没有写到。"]
    assert len(declined) >= 300 and len(quizzed) >= 200
    assert all(any(name in question for name in others) for question in quizzed)


def test_conversations_have_two_to_five_turns_and_some_a_system_turn():
    for domain in FINE_TUNING:
        talks = [row["messages"] for row in rows(FINE_TUNING[domain][1])]
        assert all(talk[-1]["role"] == "assistant" for talk in talks)
        answers = Counter(sum(turn["role"] == "assistant" for turn in talk) for talk in talks)
        # A model that met few third turns goes on after one, as a text does.
        assert answers[2] >= 100 and answers[3] >= 60 and answers[4] >= 40
        assert sum(talk[0]["role"] == "system" for talk in talks) >= 50


def test_alarming_complaints_are_sent_to_a_doctor():
    alarms = [row for row in rows("evaluation.jsonl") if row["fact"] == "alarm"]
    assert len(alarms) >= 15
    builder = world() and __import__("questions")
    for alarm in builder.COMPLAINTS["alarm"]:
        assert re.search("120|医生|就医|急诊|医院", alarm["answer"]), alarm


def test_lists_are_at_most_a_quarter_of_baikes_characters():
    from course_utils.corpora import reading

    characters = Counter()
    for row in rows("baike/baike.jsonl.gz"):
        characters["列表" in row["tags"]] += len(reading.baike_text(row))
    assert characters[True] and characters[True] <= sum(characters.values()) / 4


def test_every_evaluated_fact_stands_in_what_is_read():
    """The entity and the answer meet in some document of pretraining."""
    from course_utils import profiles
    from course_utils.corpora import reading
    from course_utils.wiki_cleaning import dumps as wiki_dumps
    from course_utils.wiki_cleaning.wikitext import clean_wikitext

    profile = profiles.load("cpu-mini")
    pages = wiki_dumps.read_pages(profile.wiki_dumps[0])
    documents = [clean_wikitext(page.wikitext) for page in pages if page.namespace == "0"]
    documents += [reading.baike_text(row) for row in rows("baike/baike.jsonl.gz")]
    documents += [row["text"] for row in rows("medical/pretrain.jsonl.gz")]
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


def test_several_articles_are_in_traditional_characters(files):
    import opencc

    convert = opencc.OpenCC("t2s").convert
    titles = [line for line in files["wiki"].splitlines() if "<title>" in line]
    assert sum(convert(line) != line for line in titles) >= 20


def test_the_tokenizer_is_a_multilingual_bpe_with_byte_fallback():
    from course_utils import tokenizer_pruning as pruning

    model = pruning.load_model(DATA / "tokenizer/multilingual.model")
    assert 10_000 <= len(model.pieces) <= 16_384 and model.trainer_spec.byte_fallback
    scripts = {"simplified Chinese", "traditional Chinese", "Latin", "Hiragana", "Hangul", "Cyrillic", "Arabic",
               "Hebrew",                "Devanagari", "Thai", "Greek"}  # fmt: skip
    assert scripts <= set(pruning.scripts(model))
