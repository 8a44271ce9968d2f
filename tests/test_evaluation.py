"""Right answers are counted right, wrong ones wrong."""

import pytest

from course_utils.merge_and_chat.evaluation import is_right, score


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
    assert is_right(answer, {"answers": accepted, "needed": needed}) is right


def test_a_score_is_the_share_of_right_answers_in_each_split():
    asked = {"answers": ["京"], "needed": 1, "domain": "common", "phrasing": "new"}
    questions = [asked | {"fact": "seen"}, asked | {"fact": "seen"}, asked | {"fact": "pretrain_only"}]
    assert score(questions, ["京", "沪", "京"]) == {"common seen new": 0.5, "common pretrain_only new": 1.0}
