"""Pictures of budgets show the numbers they were given."""

import matplotlib
import pytest

matplotlib.use("agg")

from course_utils import plots  # noqa: E402
from course_utils.plots.budget import PARTS  # noqa: E402

BILL = {"weights": 2.0, "layers": 3.0, "logits and loss": 4.0}


def widths(ax) -> list[float]:
    return [bar.get_width() for bar in ax.patches]


def test_stacks_are_parts_side_by_side_with_their_sum_and_the_limit():
    fig = plots.budget.draw_stacks(
        {"plain": {4: BILL, 8: BILL}, "chunked": {4: BILL}}, "GiB", {"left": 6}, "{:.1f} GiB"
    )
    above, below = fig.axes
    assert widths(above) == [2, 3, 4] * 2 and [bar.get_x() for bar in above.patches[:3]] == [0, 2, 5]
    assert [text.get_text() for text in below.texts] == [" 9.0 GiB"] and below.get_title() == "chunked"
    assert below.lines[0].get_xdata() == [6, 6] and below.get_xlim()[1] > 9
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert names == ["left", *BILL] or names == [*BILL, "left"], "each part once"


def test_every_part_of_a_budget_has_its_colour():
    from course_utils import parameter_budgeting as budgeting
    from course_utils.profiles import ModelShape

    shape = ModelShape(32, 48, 1, 2, 64, tie_word_embeddings=True, initializer_range=0.02)
    assert {*budgeting.parameters(shape, 9), *budgeting.memory(shape, 9, 8, 2)} <= set(PARTS)


def test_a_plan_tells_memory_and_time_of_each_model():
    fig = plots.budget.draw_plan({"big": {"GiB": 3.0, "of": 4.0, "hours": 26.0, "words": "1.1 days"}})
    top, below = fig.axes
    assert widths(top) == [4, 3] and top.texts[0].get_text() == " 3.00 of 4.0"
    assert below.lines[0].get_xdata() == [26] and below.texts[0].get_text() == "1.1 days"
    assert "an hour" in [label.get_text() for label in below.get_xticklabels()]


def test_curves_points_and_lines_stand_where_they_should():
    fig = plots.budget.draw_against(
        {"a": ([1, 2], [3, 4])}, "x", "y", points={"here": (2, 4)}, lines={"limit": 1.5}, ticks=[1, 2]
    )
    (ax,) = fig.axes
    assert [list(line.get_ydata()) for line in ax.lines[:2]] == [[3, 4], [4]] and ax.lines[2].get_xdata() == [1.5, 1.5]
    assert [text.get_text() for text in ax.texts] == ["here", " limit"] and ax.get_ylim()[0] == 0
    assert plots.budget.draw_against({"a": ([1, 2], [3, 4])}, "x", "y", log="xy").axes[0].get_yscale() == "log"


def test_ratios_are_points_around_one():
    (ax,) = plots.budget.draw_ratios({"small": 0.99, "large": 1.01}, 0.03).axes
    assert list(ax.lines[1].get_xdata()) == [0.99, 1.01] and ax.get_xlim() == pytest.approx((0.94, 1.06))


def test_a_budget_tells_each_part_in_numbers_and_what_may_be_used():
    fig = plots.budget.draw_budget({"embedding": 27.0, "attention": 14.2}, BILL, 4.28, "41.2 M")
    weights, memory = fig.axes
    assert (
        widths(weights) == pytest.approx([27, 14.2]) and widths(memory) == [2, 3, 4] and fig.get_suptitle() == "41.2 M"
    )
    assert [text.get_text() for text in memory.get_legend().get_texts()][2] == "logits and loss 4.00"
    assert memory.lines[0].get_xdata() == [4.28, 4.28] and "of 4.3 that" in memory.get_xlabel()
