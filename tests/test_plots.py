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
    fig = plots.learning_rate_curves(rows, "pretrain_only everyday")
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
