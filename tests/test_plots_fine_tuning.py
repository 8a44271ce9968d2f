"""The pictures of fine-tuning hold the numbers they were given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from course_utils import plots  # noqa: E402


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_shares_of_marks_are_per_cent_with_one_standard_error():
    fig = plots.fine_tuning.draw_grouped_bars(
        {"asked": {"full": [True] * 3 + [False]}, "read": {"full": [True] * 4}}, {"full": "g"}, "%"
    )
    (ax,) = fig.axes
    assert [bar.get_height() for bar in ax.patches] == [75, 100]
    (bars,) = ax.collections
    (low, high), (one, same) = (segment[:, 1] for segment in bars.get_segments())
    assert (high - low) / 2 == pytest.approx(100 * (0.75 * 0.25 / 4) ** 0.5) and one == same


def test_lengths_are_counted_and_averaged():
    (ax,) = plots.fine_tuning.draw_lengths({"question": [1, 3, 3], "answer": [5]}, ("k", "g"), most=10).axes
    assert sum(bar.get_height() for bar in ax.patches) == 4
    assert ax.get_legend().get_texts()[0].get_text() == "question: 2.3 on average"


def test_what_is_no_text_up_to_the_longest_row_of_a_batch_is_padding():
    fig = plots.fine_tuning.draw_padding(
        {"shuffled": [1, 3], "sorted": [2, 2]}, {"shuffled": 1 / 3, "sorted": 0}, most=4
    )
    assert fig.axes[0].images[0].get_array().tolist() == [[2, 1, 1, 0], [2, 2, 2, 0]]
    assert "33% padding" in fig.axes[0].get_title()


def test_losses_are_curves_from_zero_up():
    fig = plots.fine_tuning.draw_losses(
        {"": {"training": ([1, 2], [3.0, 2.0], "k", "-"), "held out": ([2], [2.5], "g", "o--")}}, "loss"
    )
    training, held_out = fig.axes[0].lines
    assert training.get_xydata().tolist() == [[1, 3], [2, 2]] and held_out.get_marker() == "o"
    assert fig.axes[0].get_ylim()[0] == 0 and training.get_alpha() < held_out.get_alpha()


def test_the_areas_of_the_matrices_are_to_scale():
    (ax,) = plots.fine_tuning.draw_low_rank(8, 4, 2).axes
    area = [patch.get_width() * patch.get_height() for patch in ax.patches]
    assert area == pytest.approx([32 / 16, 16 / 16, 8 / 16]) and "B: 8 × 2\n= 16" in texts(ax)


def test_singular_values_go_up_to_as_many_as_asked_with_a_line_behind_the_rank():
    (ax,) = plots.fine_tuning.draw_singular_values({"full": (np.array([3.0, 2.0, 1.0]), "k")}, 2, log=True, most=2).axes
    assert ax.lines[0].get_xydata().tolist() == [[1, 3], [2, 2]] and ax.lines[1].get_xdata() == [2.5, 2.5]
    assert ax.get_yscale() == "log"


def test_memory_is_stacked_and_its_sum_told():
    sizes = {
        "LoRA": {"weights": 2.0, "gradients": 0.5, "averages": 1.0},
        "full": {"weights": 2, "gradients": 2, "averages": 4},
    }
    fig = plots.fine_tuning.draw_training_memory({"7 B": sizes, "92 M": sizes})
    assert texts(fig.axes[0]) == ["3.5 GB", "8.0 GB"] and widths(fig.axes[1]) == [2, 2, 0.5, 2, 1, 4]


def test_the_dial_begins_at_the_base_and_names_its_places():
    curves = {"full": ([(2, 3), (1, 3.2)], "g"), "LoRA": ([(2, 3), (1.2, 3.4)], "m")}
    (ax,) = plots.fine_tuning.draw_dial(curves, (0, 1)).axes
    assert ax.lines[1].get_xydata().tolist() == [[2, 3], [1.2, 3.4]] and texts(ax) == ["1", "1", "base"]
