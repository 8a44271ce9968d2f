"""A plot shows the rows it was given."""

import matplotlib
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

matplotlib.use("agg")

from course_utils import plots  # noqa: E402


def row(method: str, rate: float, seed: int, share: float, base: str = "common", variation: str = "") -> dict:
    rank = 16 if method == "lora" else 0
    return {"base": base, "method": method, "rank": rank, "learning_rate": rate, "seed": seed, "variation": variation,
            "pretrain_only everyday": share}  # fmt: skip


def test_the_study_of_learning_rates_is_a_line_a_method_with_the_seeds_spread_as_bars():
    rows = [row("full", 3e-3, 42, 0.5), row("full", 6e-4, 42, 0.8), row("full", 6e-4, 43, 0.9),
            row("lora", 6e-4, 42, 0.1), row("lora", 6e-4, 42, 1.0, variation="DoRA"),
            row("lora", 3e-3, 42, 0.7, base="medical")]  # fmt: skip
    fig = plots.training.learning_rate_curves(rows, "pretrain_only everyday")
    common, medical = fig.axes
    assert common.get_xscale() == "log" and "2 seeds" in fig.get_suptitle()
    drawn = {line.get_label(): line for line in common.containers if isinstance(line, ErrorbarContainer)}
    points, _, (bars,) = drawn["full"].lines
    assert points.get_xydata() == pytest.approx(np.array([(6e-4, 85), (3e-3, 50)])), "by rate, the mean of its seeds"
    (low, high), (one, same) = (segment[:, 1] for segment in bars.get_segments())
    assert (high - low) / 2 == pytest.approx(7.071, abs=1e-3) and one == same, "a single seed has no spread"
    assert drawn["LoRA, rank 16"].lines[0].get_xydata() == pytest.approx(np.array([(6e-4, 10)])), (
        "DoRA is no plain LoRA"
    )
    adapter = medical.containers[-1]
    assert medical.get_title() == "medical base" and adapter.lines[0].get_xydata() == pytest.approx(
        np.array([(3e-3, 70)])
    )
    assert adapter.lines[0].get_color() == drawn["LoRA, rank 16"].lines[0].get_color()


def test_the_picture_of_a_llama_names_its_seven_matrices_and_what_is_noted():
    fig = plots.llama.draw_llama_block(6, {"q": " 65,536"})
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert {"k", "v", "o", "gate", "up", "down", "q 65,536", "block 1 of 6"} <= set(texts)
    assert texts.count("RMSNorm") == 3 and texts.count("+") == 2


def test_attention_is_a_panel_a_title_with_the_weights_it_was_given():
    weights = np.tril(np.full((3, 3), 0.5))
    fig = plots.llama.draw_attention({"head 0": weights, "head 1": weights, "head 2": weights}, ["成都", "在", "四川"])
    assert [ax.get_title() for ax in fig.axes[:3]] == ["head 0", "head 1", "head 2"]
    assert np.array_equal(fig.axes[2].images[0].get_array(), weights)
    assert [label.get_text() for label in fig.axes[0].get_xticklabels()] == ["成都", "在", "四川"]


def test_a_shown_figure_carries_words_for_those_who_cannot_see_it(monkeypatch):
    import IPython.display
    from matplotlib import pyplot

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda item, metadata=None: shown.append((item, metadata)))
    fig = pyplot.figure()
    plots.show(fig, "two bars", "Blue: before.")
    assert shown[0] == (fig, {"image/png": {"alt": "two bars"}}) and shown[1][0].data == "*Blue: before.*"
    assert not pyplot.fignum_exists(fig.number), "it is not shown a second time"
