"""The road as a whole: its stages, and its minutes."""

from .style import COLOURS


def draw_road(stages: list[dict[str, str]]):
    """Draw the stages from top to bottom. Each has ``number``, ``name``, ``before`` and ``after`` (the same words as
    they come in and go out), and ``makes``, what the next one reads; one without it writes no file and is grey.
    -> the figure."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    fig, ax = plt.subplots(figsize=(6.2, 1.35 * len(stages)))
    for i, stage in enumerate(stages):
        y, colour = -1.35 * i, COLOURS["common" if stage["makes"] else "plain"]
        box = {"boxstyle": "round,pad=0.05", "ec": colour, "lw": 1.5, "ls": "-" if stage["makes"] else "--"}
        ax.add_patch(FancyBboxPatch((0.1, y - 0.42), 6, 0.84, fc="white", **box))
        ax.text(0.25, y, f"{stage['number']}  {stage['name']}", fontsize=13, color=colour, va="center")
        ax.text(4.1, y + 0.2, stage["before"], fontsize=11, color="#555555", ha="center", va="center")
        ax.text(4.1, y - 0.18, f"→ {stage['after']}", fontsize=11, ha="center", va="center")
        if i + 1 < len(stages):
            arrow = {"arrowstyle": "-|>", "lw": 1.5, "color": COLOURS["common"]}
            ax.annotate("", (1, y - 0.9), (1, y - 0.46), arrowprops=arrow)
            ax.text(1.2, y - 0.68, stage["makes"], fontsize=10, color="#555555", va="center")
    ax.axis((0, 6.2, -1.35 * len(stages) + 0.8, 0.55))
    ax.axis("off")
    return fig


def draw_minutes(seconds: dict[str, dict[str, float]]):
    """Draw kind of time -> notebook -> seconds as bars of minutes side by side, with their times. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 3.2))
    for (name, times), colour, shift in zip(seconds.items(), ("plain", "common"), (-0.2, 0.2), strict=True):
        bars = ax.bar([i + shift for i in range(len(times))], [time / 60 for time in times.values()], 0.38,
                      label=name, color=COLOURS[colour])  # fmt: skip
        words = [f"{time / 60:.1f}" if time >= 60 else f"{time:.0f} s" if time else "" for time in times.values()]
        ax.bar_label(bars, words, padding=2, fontsize=8)
    ax.set_xticks(range(len(times)), times)
    ax.set(xlabel="notebook", ylabel="minutes of computing")
    ax.margins(y=0.15)
    ax.legend()
    return fig
