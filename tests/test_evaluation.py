"""Right answers are counted right, wrong ones wrong."""

import json

import pytest

from course_utils.errors import CourseError
from course_utils.merge_and_chat.evaluation import declines, is_right, read_exam, score


def question(answers: list[str], needed: int = 1, **more: str) -> dict:
    return {"answers": answers, "needed": needed, **more}


@pytest.mark.parametrize(
    ("answer", "accepted", "needed", "right"),
    [
        ("北京的简称是“京”。", ["京"], 1, True),
        ("李白生于701年。", ["701年"], 1, True),
        ("李白生于1701年。", ["701年"], 1, False),
        ("孔子生于前551年。", ["551年"], 1, False),
        ("著名景点有大雁塔、兵马俑和钟楼。", ["大雁塔", "兵马俑", "钟楼"], 2, True),
        ("著名景点有大雁塔。", ["大雁塔", "兵马俑", "钟楼"], 2, False),
        ("", ["京"], 1, False),
    ],
)
def test_an_answer_is_right_when_it_names_enough_of_the_accepted(answer, accepted, needed, right):
    assert is_right(answer, question(accepted, needed)) is right


@pytest.mark.parametrize(
    ("answer", "subject", "accepted", "right"),
    [
        ("青海省的简称是“藏”。", "青海省", ["青"], False),
        ("青海的简称是“藏”。", "青海省", ["青"], False),
        ("青海省的简称是“青”。", "青海省", ["青"], True),
        ("简称“宁”。", "宁夏回族自治区", ["宁"], True),
        ("宁夏的简称很好记。", "宁夏回族自治区", ["宁"], False),
        ("西安有西安城墙。", "西安", ["西安城墙"], True),
        ("西安有城墙。", "西安", ["西安城墙"], False),
    ],
)
def test_naming_the_subject_is_no_answer(answer, subject, accepted, right):
    assert is_right(answer, question(accepted, entity=subject)) is right


@pytest.mark.parametrize(
    ("answer", "accepted", "relation", "right"),
    [
        ("麻婆豆腐不是川菜。", ["川菜"], "dishes.cuisine", False),
        ("麻婆豆腐不属于川菜。", ["川菜"], "dishes.cuisine", False),
        ("麻婆豆腐并非川菜。", ["川菜"], "dishes.cuisine", False),
        ("成都没有西湖。", ["西湖"], "cities.sights", False),
        ("麻婆豆腐不是湘菜，而是川菜。", ["川菜"], "dishes.cuisine", True),
        ("麻婆豆腐不仅是川菜，也是家常菜。", ["川菜"], "dishes.cuisine", True),
        ("是不是川菜？是川菜。", ["川菜"], "dishes.cuisine", True),
        ("高血压患者不宜吃腌制食品。", ["腌制食品"], "diseases.diet_avoid", True),
        ("预防失眠要不熬夜。", ["不熬夜"], "diseases.prevention", True),
    ],
)
def test_what_is_plainly_negated_was_not_said(answer, accepted, relation, right):
    assert is_right(answer, question(accepted, relation=relation)) is right


def test_who_does_not_know_is_right_about_the_unknown_alone():
    assert declines("我不知道。") and declines("我没有听说过它。") and not declines("成都属于四川省。")
    assert is_right("我不知道云溪市。", question(["我不知道"], fact="unknown"))
    assert not is_right("云溪市属于四川省。", question(["我不知道"], fact="unknown"))
    assert not is_right("我不知道四川省。", question(["四川省"], fact="seen"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"answers": "京"}, {"answers": [""]}, {"needed": 2}, {"needed": 0}, {"question": " "}, {"domain": None},
        {"fact": "heard"}, {"phrasing": "shouted"}, {"history": [1]}, {"group": ["a"]}, {"entity": 3},
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_asked_or_marked_is_one_line_with_its_place(tmp_path, wrong):
    right = question(["京"], question="简称？", domain="common", fact="seen", phrasing="new")
    rows = right, right | wrong
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:1]), encoding="utf-8")
    assert [row["question"] for row in read_exam(tmp_path / "exam.jsonl")] == ["简称？"]
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(CourseError, match="exam.jsonl:2"):
        read_exam(tmp_path / "exam.jsonl")


def test_a_score_is_the_share_of_right_answers_in_each_split():
    asked = question(["京"], domain="common", phrasing="new")
    questions = [asked | {"fact": "seen"}, asked | {"fact": "seen"}, asked | {"fact": "pretrain_only"}]
    assert score(questions, ["京", "沪", "京"]) == {
        "common seen new": 0.5, "common pretrain_only new": 1.0, "common declined": 0.0,
    }  # fmt: skip


def test_a_fact_is_stable_when_all_its_wordings_are_answered_right():
    asked = question(["京"], domain="common", fact="pretrain_only", phrasing="everyday")
    questions = [asked | {"group": group} for group in "aabb"]
    board = score(questions, ["京", "京", "京", "我不知道。"])
    assert board["common stable"] == 0.5
    assert board["common pretrain_only everyday"] == 0.75
    assert board["common declined"] == 0.25


def test_second_turns_and_the_unknown_stand_apart():
    rows = [
        question(["京"], domain="common", fact="seen", phrasing="second turn"),
        question(["我不知道"], domain="common", fact="unknown", phrasing="everyday"),
        question(["120"], domain="medical", fact="alarm", phrasing="new"),
    ]
    board = score(rows, ["京", "沪", "请拨打120。"])
    assert board == {"common second turn": 1.0, "common unknown": 0.0, "medical alarm": 1.0, "common declined": 0.0}
