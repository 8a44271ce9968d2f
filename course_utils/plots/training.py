"""Curves of training and of studies about it."""

from statistics import fmean, stdev

from .style import COLOURS


def learning_rate_curves(rows: list[dict], split: str):
    """Draw the rows of ``benchmarks/fine_tuning.py`` (its variations left out): accuracy in a split of the exam against
    the learning rate, a panel for each base model, a line for full fine-tuning (rank 0) and for each rank of LoRA. A
    point is the mean over seeds, its bar their standard deviation. -> the figure."""
    import matplotlib.pyplot as plt

    plain = [row for row in rows if not row["variation"]]
    bases, ranks = (sorted({row[key] for row in plain}) for key in ("base", "rank"))
    fig, axes = plt.subplots(1, len(bases), sharey=True, squeeze=False, figsize=(4.5 * len(bases), 3.6))
    for ax, base in zip(axes[0], bases, strict=True):
        for rank, colour in zip(ranks, COLOURS.values(), strict=False):
            curve = {}
            for row in plain:
                if (row["base"], row["rank"]) == (base, rank):
                    curve.setdefault(row["learning_rate"], []).append(100 * row[split])
            found = [curve[rate] for rate in sorted(curve)]
            bars = [stdev(shares) if len(shares) > 1 else 0 for shares in found]
            name = f"LoRA, rank {rank}" if rank else "full"
            points = sorted(curve), [fmean(shares) for shares in found]
            ax.errorbar(*points, bars, marker="o", ms=4, capsize=3, color=colour, label=name)
        ax.set(xscale="log", xlabel="learning rate", title=f"{base} base")
    seeds = len({row["seed"] for row in plain})
    fig.suptitle(f"{split}, mean ± standard deviation of {seeds} seeds")
    axes[0][0].set_ylabel("right answers, %")
    axes[0][-1].legend()
    return fig
