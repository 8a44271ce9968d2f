"""Pictures of tokens show each piece in its box."""

import matplotlib
import pytest

matplotlib.use("agg")

from matplotlib.colors import to_rgb  # noqa: E402

from course_utils import plots  # noqa: E402

pytestmark = pytest.mark.usefixtures("course_style")


def boxes(fig) -> list[tuple]:
    return [(box.get_x(), box.get_y(), box.get_width(), box.get_facecolor()[:3]) for box in fig.axes[0].patches]


def written(fig) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts if text.get_text()]


def test_each_piece_has_a_box_and_a_byte_another_colour():
    fig = plots.tokenizer.draw_pieces({"old": ["成都", "Д"], "new": ["成都", "<0xD0>", "<0x94>"]})
    assert written(fig) == ["成都", "Д", "成都", "D0", "94"]
    blue, orange = to_rgb(plots.COLOURS["common"]), to_rgb(plots.COLOURS["medical"])
    assert [colour for *_, colour in boxes(fig)] == [blue, blue, blue, orange, orange]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["old", "new"]


def test_a_merged_piece_lies_under_its_parts():
    (_, _, _, _), (x, _, one, _), (_, _, two, _), (start, _, merged, _) = boxes(
        plots.tokenizer.draw_pieces({"characters": ["南", "京", "市"], "merge 1": ["南京市"]})
    )
    assert start < x and merged == pytest.approx(2.3 * 3 - 0.2) and one == two


def test_a_long_row_goes_on_below_and_ids_stand_under_the_pieces():
    fig = plots.tokenizer.draw_pieces({"old": ["成都"] * 9}, ids={"old": list(range(5_000, 5_009))}, width=20)
    lines = {y for _, y, _, _ in boxes(fig)}
    assert len(lines) == 3 and "5,008" in written(fig) and fig.axes[0].get_xlim()[1] <= 20


def test_boxes_have_the_colours_that_are_given():
    fig = plots.tokenizer.draw_pieces({"": ["成都", "\n"]}, colours={"": ["#ff0000", ("#00ff00", 0.5)]})
    assert [box.get_facecolor() for box in fig.axes[0].patches] == [(1, 0, 0, 1), (0, 1, 0, 0.5)]
    assert written(fig) == ["成都", "⏎"]


def test_what_no_font_has_is_told_by_its_number():
    assert written(plots.tokenizer.draw_pieces({"old": ["ก猫"]})) == ["U+E01猫"]


def test_bars_before_are_grey_and_after_are_blue_with_their_numbers():
    fig = plots.tokenizer.draw_amounts(
        {"before": {"Chinese": 10, "Latin": 4}, "after": {"Chinese": 10, "Latin": 0}}, "pieces"
    )
    (ax,) = fig.axes
    assert [bar.get_width() for bar in ax.patches] == [10, 4, 10, 0]
    assert [text.get_text() for text in ax.texts] == ["10", "4", "10", "0"]
    assert ax.patches[0].get_facecolor()[:3] == to_rgb(plots.COLOURS["plain"])
    (alone,) = plots.tokenizer.draw_amounts({"pieces": {"1": 5}}, "pieces").axes
    assert alone.patches[0].get_facecolor()[:3] == to_rgb(plots.COLOURS["common"]) and not alone.figure.legends
