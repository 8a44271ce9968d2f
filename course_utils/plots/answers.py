"""What models answer, and how sure one can be of it."""

from pathlib import Path

from .style import COLOURS, use_course_style


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
