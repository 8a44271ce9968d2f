"""The pictures of answers show the numbers they were given."""

import matplotlib
import numpy as np

matplotlib.use("agg")

from matplotlib.colors import to_hex  # noqa: E402

from course_utils import plots  # noqa: E402


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_intervals_are_a_point_a_row_with_its_bar_in_the_colour_of_its_field_or_series():
    row = {"share": 0.5, "low": 0.4, "high": 0.7}
    fig = plots.answers.draw_intervals(
        {"common": {"full": {"a": row}, "guesser": {"a": row}}}, colours={"common": "common", "guesser": "plain"}
    )
    full, guesser = fig.axes[0].containers
    (segment,) = full.lines[2][0].get_segments()
    assert full.lines[0].get_xdata() == [50] and sorted(segment[:, 0]) == [40, 70]
    assert full.lines[0].get_color() == plots.COLOURS["common"]
    assert guesser.lines[0].get_color() == plots.COLOURS["plain"]


def test_matrices_and_boards_have_their_numbers_in_the_cells_and_nothing_where_there_is_none():
    assert texts(plots.answers.draw_matrices({"W": [[1.0, -2.5]], "B": [[0]]}).axes[0]) == ["1", "-2.5"]
    board = plots.answers.draw_board({"a": [0.5, None], "b": [1.0, 0.0]}, ["x", "y"])
    assert texts(board.axes[0]) == ["50", "100", "0"]


def test_bars_have_a_number_each_and_the_first_stands_above():
    fig = plots.answers.draw_bars({"A": {"x": 3, "y": 1}, "B": {"x": 2, "y": 5}}, "%", colours={"y": "accent"})
    left, right = fig.axes
    assert [bar.get_width() for bar in right.patches] == [2, 5] and texts(left) == ["3", "1"]
    assert left.yaxis_inverted() and right.yaxis_inverted()


def test_the_tree_names_each_end_with_its_product_and_marks_two():
    tree = {"": {"A": 0.6, "B": 0.4}, "A": {"x": 0.4, "y": 0.6}, "B": {"x": 1.0}}
    assert {"Ay: 0.6 × 0.6 = 0.36  greedy", "Bx: 0.4 × 1.0 = 0.40  best", "Ax: 0.6 × 0.4 = 0.24"} <= set(
        texts(plots.answers.draw_beam_tree(tree, "Ay", "Bx").axes[0])
    )


def test_pairs_show_those_that_differ_a_second_time():
    points = np.array([[-1.0, -1.0], [-2.0, -3.0]])
    everything, others = plots.answers.draw_pairs(points, [1], "x", "y").axes[0].collections
    assert everything.get_offsets().tolist() == points.tolist() and others.get_offsets().tolist() == [[-2, -3]]


def test_parts_stand_one_behind_the_other():
    fig = plots.answers.draw_parts(
        {"full": {"won": 3, "lost": 0}, "LoRA": {"won": 1, "lost": 2}}, "n", ("good", "accent")
    )
    assert [(bar.get_x(), bar.get_width()) for bar in fig.axes[0].patches] == [(0, 3), (0, 1), (3, 0), (1, 2)]
    assert [text for text in texts(fig.axes[0]) if text] == ["3", "1", "2"]


def test_counts_are_bars_beside_what_was_expected():
    ax = plots.answers.draw_counts({"a": ([0, 1], [2, 5], "common", [3, 4])}, "x", "y", "coins").axes[0]
    assert [bar.get_height() for bar in ax.patches] == [2, 5] and ax.lines[0].get_ydata().tolist() == [3, 4]


def test_a_chats_memory_is_a_bar_a_question_under_the_models_positions():
    ax = plots.answers.draw_memory([10, 30, 20], [0, 0, 1], 40).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [10, 30, 20]
    assert ax.patches[2].get_facecolor() != ax.patches[0].get_facecolor() and ax.lines[0].get_ydata()[0] == 40


def test_bars_stand_from_above_in_their_colours_with_a_line_to_compare():
    panels = {"base": {"question": 3.0, "answer": 1.5}, "tuned": {"question": 4.0, "answer": 0.5}}
    colours = {"question": "plain", "answer": "good"}
    fig = plots.answers.draw_bars(panels, "loss", "%.2f", colours, line=("articles", 2.0))
    base, tuned = fig.axes
    assert (base.get_title(), tuned.get_title()) == ("base", "tuned")
    assert [bar.get_width() for bar in base.patches] == [3, 1.5] and texts(tuned) == ["4.00", "0.50"]
    assert base.yaxis_inverted() and base.lines[0].get_xdata() == [2.0, 2.0]
    wanted = [plots.COLOURS["plain"], plots.COLOURS["good"]]
    assert [to_hex(bar.get_facecolor()).upper() for bar in tuned.patches] == wanted
    assert plots.answers.draw_bars({"": {"a": 1, "b": 1000}}, "rows", log=True).axes[0].get_xscale() == "log"


def test_bars_of_counts_are_grey_but_for_one_and_may_all_be_zero():
    ax = plots.answers.draw_bars({"": {"article": 5670, "redirect": 24}}, "pages", "{:,.0f}", {"article": "good"},
                                 rest="plain").axes[0]  # fmt: skip
    assert texts(ax) == ["5,670", "24"] and ax.get_xlim()[0] == 0 and ax.get_xlim()[1] > 1.2 * 5670
    wanted = [plots.COLOURS["good"], plots.COLOURS["plain"]]
    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches] == wanted
    assert texts(plots.answers.draw_bars({"": {"a": 0, "b": 0}}, "%").axes[0]) == ["0", "0"]
