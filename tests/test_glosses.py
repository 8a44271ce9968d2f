"""What a model says gets English beside it, word for word."""

from course_utils import profiles
from course_utils.corpora import read_jsonl
from course_utils.merge_and_chat import gloss, gloss_question

FACTS = profiles.load("cpu-mini").evaluation.parent / "facts"


def test_names_of_the_fact_base_and_the_words_around_them_become_english():
    assert gloss("西安的特色美食有羊肉泡馍、肉夹馍和凉皮。", FACTS) == (
        "Xi'an's special foods: bread in mutton soup, pork in flat bread and cold noodles."
    )
    assert gloss("爱迪生去世于1931年10月18日。", FACTS) == "Thomas Edison died in 1931-10-18."
    assert gloss("孔子出生于前551年。", FACTS) == "Confucius was born in 551 BC."


def test_what_has_no_english_stays_and_the_longest_name_wins():
    assert gloss("兰州牛肉面临着槿川", FACTS).endswith("lies by 槿川")
    assert "beef" in gloss("兰州牛肉面", FACTS).lower() and "Lanzhou's" not in gloss("兰州牛肉面", FACTS)


def test_a_question_of_the_exam_is_told_by_what_it_asks():
    row = {"relation": "cities.foods", "entity": "遵义", "fact": "seen"}
    assert gloss_question(row, FACTS) == "Zunyi: special foods"
    assert gloss_question({"relation": "", "entity": "", "fact": "alarm"}, FACTS) == "alarm"


def test_every_alarm_of_the_exam_has_an_english_gloss():
    rows = [row for row in read_jsonl(FACTS.parent / "evaluation.jsonl") if row["fact"] == "alarm"]
    glosses = [gloss_question(row, FACTS) for row in rows]
    assert rows and all(text != "alarm" and text.isascii() for text in glosses)
