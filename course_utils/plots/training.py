"""Curves of training, the formats of numbers, and studies about both."""

import math
from statistics import fmean, stdev

from .style import COLOURS


def draw_curves(curves: dict, x: str, y: str, colours=(), *, at: tuple[float, str] | None = None, **axes):
    """Draw name -> values by number, or -> (places, values); values that are held out or few are points on a dashed
    line. ``colours`` are names of COLOURS in the order of the curves; or a curve has its own look, (places, values,
    colour, style). ``at`` is a place with its name; ``axes`` goes to ``Axes.set``. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    for (name, values), colour in zip(curves.items(), colours or COLOURS, strict=False):
        places, heights, *look = values if isinstance(values, tuple) else (range(len(values)), values)
        colour, style = look or (colour, "o--" if len(heights) <= 16 else "-")
        ax.plot(places, heights, style, ms=4, color=COLOURS[colour], label=name)
    if at:
        ax.axvline(at[0], ls=":", color="black")
        ax.annotate(f" {at[1]}", (at[0], 0.5), xycoords=("data", "axes fraction"))
    ax.set(xlabel=x, ylabel=y, **axes)
    ax.legend()
    return fig


def draw_surprise(tokens: list[str], surprise):
    """Draw how surprising each token was, in nats. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 3))
    ax.barh(range(len(tokens)), surprise, color=COLOURS["common"])
    ax.set_yticks(range(len(tokens)), tokens)
    ax.set(xlabel="−ln p (nats)")
    ax.invert_yaxis()
    return fig


def draw_formats(formats: dict, low: float = 1.0, high: float = 1.02):
    """Draw torch's dtypes by name: above the range of sizes that each can hold, below all its numbers from ``low`` to
    ``high``. -> the figure."""
    import matplotlib.pyplot as plt
    import torch

    fig, (ranges, numbers) = plt.subplots(2, 1, figsize=(6.4, 4.2))
    colour = COLOURS["common"]
    for row, dtype in enumerate(formats.values()):
        limits = torch.finfo(dtype)
        ends = math.log10(limits.smallest_normal * limits.eps), math.log10(limits.max)
        ranges.barh(row, ends[1] - ends[0], left=ends[0], color=colour)
        step = limits.eps * 2 ** math.floor(math.log2(low))
        ticks = [low + k * step for k in range(math.floor((high - low) / step + 1e-9) + 1)]
        if len(ticks) > 200:  # as good as everywhere
            numbers.barh(row, high - low, left=low, height=0.5, color=colour)
        else:
            numbers.vlines(ticks, row - 0.25, row + 0.25, color=colour)
    for ax, label in ((ranges, "power of ten: from its smallest to its largest number"),
                      (numbers, f"all its numbers from {low:g} to {high:g}")):  # fmt: skip
        ax.set_yticks(range(len(formats)), formats)
        ax.set_xlabel(label)
        ax.margins(x=0.03)
        ax.invert_yaxis()
    return fig


def draw_probabilities(table, rows: list[str], columns: list[str]):
    """Draw a table of probabilities with its numbers, a column of it a line of text below. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 0.9 + 0.62 * len(columns)))
    ax.imshow(table.T, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    ax.set_xticks(range(len(rows)), rows)
    ax.set_yticks(range(len(columns)), columns)
    ax.grid(False)
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            ax.text(i, j, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
    return fig


def learning_rate_curves(rows: list[dict], split: str):
    """Draw the rows of ``benchmarks/fine_tuning.py`` (its variations left out): accuracy in a split of the exam against
    the learning rate, a panel for each base model, a green line for full fine-tuning (rank 0), a pink one for each rank
    of LoRA. A point is the mean over seeds, its bar their standard deviation. -> the figure."""
    import matplotlib.pyplot as plt

    plain = [row for row in rows if not row["variation"]]
    bases, ranks = (sorted({row[key] for row in plain}) for key in ("base", "rank"))
    fig, axes = plt.subplots(1, len(bases), sharey=True, squeeze=False, figsize=(4.5 * len(bases), 3.6))
    for ax, base in zip(axes[0], bases, strict=True):
        for number, rank in enumerate(ranks):
            curve, marker = {}, "os^Dv"[number % 5]
            for row in plain:
                if (row["base"], row["rank"]) == (base, rank):
                    curve.setdefault(row["learning_rate"], []).append(100 * row[split])
            found = [curve[rate] for rate in sorted(curve)]
            bars = [stdev(shares) if len(shares) > 1 else 0 for shares in found]
            name = f"LoRA, rank {rank}" if rank else "full"
            points = sorted(curve), [fmean(shares) for shares in found]
            colour = COLOURS["accent" if rank else "good"]
            ax.errorbar(*points, bars, marker=marker, ms=5, capsize=3, color=colour, label=name)
        ax.set(xscale="log", xlabel="learning rate", title=f"{base} base")
    seeds = len({row["seed"] for row in plain})
    fig.suptitle(f"{split}, mean ± standard deviation of {seeds} seeds")
    axes[0][0].set_ylabel("right answers, %")
    axes[0][-1].legend()
    return fig
