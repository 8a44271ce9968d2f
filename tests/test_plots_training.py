"""What the notebook of pretraining draws shows the numbers it was given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from course_utils import plots  # noqa: E402


def test_curves_are_lines_and_few_points_are_dots_that_stand_where_they_were_measured():
    curves = {"training": list(range(30)), "held-out": ([10, 20], [3.5, 2.5])}
    fig = plots.training.draw_curves(curves, "step", "loss", ("common", "accent"), ylim=(0, 40))
    training, held_out = fig.axes[0].lines
    assert training.get_ydata().tolist() == list(range(30)) and training.get_linestyle() == "-"
    assert held_out.get_xydata().tolist() == [[10, 3.5], [20, 2.5]] and held_out.get_marker() == "o"
    assert held_out.get_color() == plots.COLOURS["accent"] and fig.axes[0].get_ylim() == (0, 40)


def test_a_curve_may_have_its_own_look_and_a_place_its_name():
    lines = {"base": ([0, 1], [4, 1], "plain", "s-")}
    ax = plots.training.draw_curves(lines, "x", "y", at=(0.5, "rank 1"), yscale="log").axes[0]
    assert ax.lines[0].get_xydata().tolist() == [[0, 4], [1, 1]] and ax.lines[0].get_marker() == "s"
    assert ax.lines[0].get_color() == plots.COLOURS["plain"] and ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == [" rank 1"]


def test_surprise_has_a_bar_a_token():
    ax = plots.training.draw_surprise(["的", "景点"], np.array([2.5, 0.1])).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [2.5, 0.1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["的", "景点"]


def test_a_format_of_numbers_is_a_range_and_the_numbers_it_has():
    import torch

    fig = plots.training.draw_formats({"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}, 1, 1.01)
    ranges, numbers = fig.axes
    high = [bar.get_x() + bar.get_width() for bar in ranges.patches]
    assert high == pytest.approx(np.log10([torch.finfo(d).max for d in (torch.float32, torch.float16, torch.bfloat16)]))
    assert len(numbers.patches) == 1, "fp32 has them everywhere"
    shown = [[segment[0][0] for segment in lines.get_segments()] for lines in numbers.collections]
    assert [len(some) for some in shown] == [11, 2]
    for dtype, some in zip((torch.float16, torch.bfloat16), shown, strict=True):
        assert torch.equal(torch.tensor(some).to(dtype).double(), torch.tensor(some, dtype=torch.float64))


def test_a_table_of_probabilities_is_drawn_with_its_numbers():
    table = np.array([[0.1, 0.9, 0.5], [0.2, 0.3, 0.4]])
    ax = plots.training.draw_probabilities(table, ["common", "medical"], ["a", "b", "c"]).axes[0]
    assert np.array_equal(ax.images[0].get_array(), table.T)
    assert [text.get_text() for text in ax.texts] == ["0.10", "0.90", "0.50", "0.20", "0.30", "0.40"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
