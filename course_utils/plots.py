"""One look for every plot of the course, with a font that has the Chinese characters."""

from pathlib import Path

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
