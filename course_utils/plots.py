"""One look for every plot of the course, with a font that has the Chinese characters."""

from pathlib import Path
from statistics import fmean, stdev

# Colour-blind safe, after Okabe & Ito (https://jfly.uni-koeln.de/color/).
COLOURS = {"common": "#0072B2", "medical": "#D55E00", "good": "#009E73", "plain": "#999999", "accent": "#CC79A7"}


def use_course_style() -> str:
    """Set matplotlib's defaults for the course. -> the name of the CJK font in use (it has one weight, no bold)."""
    import matplotlib.pyplot as plt

    font = cjk_font()
    plt.rcParams.update(
        {
            "font.family": [font, "DejaVu Sans"],
            "axes.unicode_minus": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.25,
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
            "figure.figsize": (8, 3.6),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "savefig.bbox": "tight",
        }
    )
    return font


def cjk_font() -> str:
    """Name of a font with Chinese characters, registered with matplotlib.

    The pinned package ``zhplot`` carries one, so plots look the same on every machine.
    """
    import importlib.util

    from matplotlib import font_manager

    package = Path(importlib.util.find_spec("zhplot").origin).parent
    path = next(file for file in sorted(package.rglob("*")) if file.suffix.lower() in {".ttf", ".otf", ".ttc"})
    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()


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


def draw_shares(panels: dict[str, dict[str, dict[str, dict[str, float]]]], path: Path) -> None:
    """Draw title -> series -> row -> ``{"share", "low", "high"}`` (0 … 1) to a file: a panel a title, per cent, with
    intervals. The series have the same rows."""
    import matplotlib.pyplot as plt
    import numpy as np

    with plt.rc_context():
        use_course_style()
        most = max(len(series) * len(rows) for series in panels.values() for rows in series.values())
        fig, axes = plt.subplots(1, len(panels), figsize=(6.5 * len(panels), 2.5 + 0.11 * most), squeeze=False)
        for ax, (title, series) in zip(axes[0], panels.items(), strict=True):
            for number, (name, rows) in enumerate(series.items()):
                marks = [[row["share"], row["low"], row["high"]] for row in rows.values()]
                share, low, high = 100 * np.array(marks).T
                y = np.arange(len(rows)) + 0.8 * ((number + 0.5) / len(series) - 0.5)
                marker = "os^D"[number // len(COLOURS) % 4]
                ax.errorbar(share, y, xerr=[share - low, high - share], fmt=marker, ms=4, capsize=2, label=name)
            ax.set(title=title, xlim=(-2, 102), ylim=(-0.5, len(rows) - 0.5))
            ax.set_yticks(range(len(rows)), rows)
            ax.invert_yaxis()
        fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
        fig.savefig(path)
        plt.close(fig)


def show(fig, alternative: str, caption: str) -> None:
    """Show a figure in a notebook, with words for a reader who cannot see it, and a caption below."""
    import matplotlib.pyplot as plt
    from IPython.display import Markdown, display

    display(fig, metadata={"image/png": {"alt": alternative}})
    display(Markdown(f"*{caption}*"))
    plt.close(fig)


# The parts of a Llama: name -> (left, bottom, width, text), in brackets what has no weights; its long and short wires.
LLAMA = {
    "embed_tokens": (0.2, 0, 3.6, "embedding table"), "input_layernorm": (4.4, 2, 5.2, "RMSNorm"),
    "q": (4.4, 3.2, 1.6, "q"), "k": (6.2, 3.2, 1.6, "k"), "v": (8, 3.2, 1.6, "v"), "o": (4.4, 6.8, 5.2, "o"),
    "rope": (4.4, 4.4, 3.4, "(turn by position)"), "softmax": (4.4, 5.6, 5.2, "(mask, softmax, mix the v)"),
    "post_attention_layernorm": (4.4, 8.4, 5.2, "RMSNorm"), "gate": (4.4, 9.6, 2.5, "gate"),
    "up": (7.1, 9.6, 2.5, "up"), "silu": (4.4, 10.8, 5.2, "(silu(gate) × up)"), "down": (4.4, 12, 5.2, "down"),
    "norm": (0.2, 13.6, 3.6, "RMSNorm"), "lm_head": (0.2, 14.8, 3.6, "output table"),
}  # fmt: skip
LONG = (2, -0.6, 2, 16.2), (2, 2.4, 4.4, 2.4), (4.4, 7.2, 2.2, 7.2), (2, 8.8, 4.4, 8.8), (4.4, 12.4, 2.2, 12.4)
UP = {2.8: (5.2, 7, 8.8), 4: (5.2, 7), 5.2: (7,), 6.4: (7,), 9.2: (5.6, 8.4), 10.4: (5.6, 8.4), 11.6: (7,)}


def draw_llama_block(layers: object = "L", notes: dict[str, str] | None = None):
    """Draw a Llama from token ids below to logits above, one of its ``layers`` blocks opened: blue is what has weights.
    ``notes`` adds a text to parts, by their names in ``LLAMA``. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(5.6, 8))
    ax.add_patch(plt.Rectangle((0.1, 1.45), 9.7, 11.75, fc="none", ec=COLOURS["plain"], ls="--"))
    for x, y, *end in (*LONG, (8.8, 4, 8.8, 5.6), *((x, y, x, y + 0.4) for y, row in UP.items() for x in row)):
        ax.annotate("", end, (x, y), arrowprops={"arrowstyle": "-|>", "color": "#555555", "shrinkA": 0, "shrinkB": 0})
    words = [(2, -1, "token ids"), (2, 16.6, "logits"), (1, 10.5, "residual\nstream"), (2, 7.2, "+"), (2, 12.4, "+")]
    for name, (x, y, width, text) in LLAMA.items():
        edge, fill = (COLOURS["plain"], "#eeeeee") if text[0] == "(" else (COLOURS["common"], "#d9e9f3")
        ax.add_patch(plt.Rectangle((x, y), width, 0.8, ec=edge, fc=fill, zorder=4))
        words.append((x + width / 2, y + 0.4, text.removeprefix("(").removesuffix(")") + (notes or {}).get(name, "")))
    for x, y, text in (*words, (3, 1.75, f"block 1 of {layers}")):
        ring = {"bbox": {"boxstyle": "circle", "fc": "w"}} if text == "+" else {}
        ax.text(x, y, text, ha="center", va="center", zorder=5, **ring)
    ax.axis((-0.2, 10, -1.4, 17))
    ax.axis("off")
    return fig


def draw_attention(panels: dict, tokens: list[str], size: float = 2.6):
    """Draw title -> weights (query, key), two panels a line: rows look, columns are looked at. -> the figure."""
    import matplotlib.pyplot as plt

    grid, places = ((len(panels) + 1) // 2, min(2, len(panels))), range(len(tokens))
    fig, axes = plt.subplots(*grid, figsize=(size * grid[1] + 1, size * grid[0] + 0.8), squeeze=False, sharey=True)
    for ax, (title, weights) in zip(axes.flat, panels.items(), strict=False):
        ax.imshow(weights, vmin=0, vmax=1, cmap="Blues")
        ax.set(title=title, xticks=places, yticks=places, xticklabels=tokens, yticklabels=tokens)
        ax.tick_params("x", rotation=90)
        ax.grid(False)
    return fig
