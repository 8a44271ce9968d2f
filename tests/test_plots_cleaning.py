"""The pictures of cleaning show what they were given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from course_utils import plots  # noqa: E402

pytestmark = pytest.mark.usefixtures("course_style")


def bars(ax) -> list[tuple[str, float]]:
    """(name at the axis, length) of the bars, from the first on."""
    names = {place: label.get_text() for place, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)}
    return [(names[round(bar.get_y() + bar.get_height() / 2)], bar.get_width()) for bar in ax.patches]


def test_of_a_source_what_is_kept_is_blue_and_long_lines_are_broken():
    fig = plots.cleaning.draw_source("{{a}}甲乙\n丙" + "丁" * 60, {5, 6})
    drawn = [(text.get_text(), text.get_color()) for text in fig.axes[0].texts]
    blue = [char for char, colour in drawn if colour == plots.COLOURS["common"]]
    assert "".join(char for char, _ in drawn) == "{{a}}甲乙丙" + "丁" * 60 and blue == ["甲", "乙"]
    assert len({text.get_position()[1] for text in fig.axes[0].texts}) == 3, "a written line and one that is broken"


def test_each_cleaner_has_a_bar_in_each_row():
    fig = plots.cleaning.draw_cleaners({"kept": {"dates": {"naive": 0, "gensim": 10, "ours": 100}},
                               "left": {"marks": {"naive": 7, "gensim": 8, "ours": 0}}})  # fmt: skip
    assert [ax.get_title() for ax in fig.axes] == ["kept", "left"]
    assert [[length for _, length in bars(ax)] for ax in fig.axes] == [[0, 10, 100], [7, 8, 0]]


def test_lengths_are_a_dot_an_article_and_the_swallowed_are_counted():
    ax = plots.cleaning.draw_lengths([100, 200, 300], [150, 12, 12], [False, True, True]).axes[0]
    survived, swallowed = ax.collections
    assert survived.get_offsets().tolist() == [[100, 150]] and swallowed.get_label() == "swallowed: 2 articles"


def test_times_are_a_line_a_race_on_logarithmic_axes():
    ax = plots.cleaning.draw_times([100, 200], {"gensim": [1, 4], "ours": [1, 2]}).axes[0]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in ax.lines] == [[1, 4], [1, 2]]


def test_minima_are_the_share_so_far_and_estimates_a_dot_a_pair():
    ax = plots.cleaning.draw_minima([True, False, True, True], 0.75).axes[0]
    assert ax.lines[0].get_ydata() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4]) and ax.lines[1].get_ydata()[0] == 0.75
    ax = plots.cleaning.draw_estimates([1, 0.5], [1, 0.45], 120).axes[0]
    assert np.array_equal(ax.collections[0].get_offsets(), [(1, 1), (0.5, 0.45)]) and "120" in ax.get_ylabel()


def test_a_band_is_framed_where_all_its_numbers_are_equal():
    first, second = plots.cleaning.draw_signatures([1, 2, 3, 4], [1, 2, 3, 12345], 2).axes
    assert [text.get_text() for text in first.texts][-1] == "band 1\nequal" and len(first.patches) == 5
    assert [text.get_text() for text in second.texts] == ["0003", "0003", "0004", "2345", "band 2\nnot equal"]
    assert len(second.patches) == 4, "no frame"


def test_chances_are_drawn_over_similarity_and_copies_are_stacked():
    ax = plots.cleaning.draw_chances({"the stage": [0, 0.5, 1], "other": [0, 0, 1]}, 0.8).axes[0]
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [0.5, 0.5], [1, 1]]
    assert [line.get_color() for line in ax.lines[:2]] == [plots.COLOURS["common"], plots.COLOURS["plain"]]
    ax = plots.cleaning.draw_copies({"baike": {"exact": 421, "near": 197}, "wiki": {"exact": 0, "near": 0}}).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 421), (0, 0), (421, 197), (0, 0)]
