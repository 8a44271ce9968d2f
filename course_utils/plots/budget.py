"""Parameters, memory and time: stacked bars with one colour a part, curves, estimates against measurements."""

from .style import COLOURS

# One colour a part in every budget: tables are blue, layers green, scores and loss orange.
PARTS = {
    "embedding": COLOURS["common"], "output": "#56B4E9", "attention": COLOURS["good"], "feed-forward": "#7FD1B4",
    "norms": "#444444", "weights": COLOURS["common"], "gradients": "#56B4E9", "optimizer": COLOURS["plain"],
    "16-bit weights": COLOURS["accent"], "layers": COLOURS["good"], "activations": COLOURS["good"],
    "logits and loss": COLOURS["medical"], "in passing": "#F0E442",
}  # fmt: skip


def draw_stacks(panels: dict[str, dict[str, dict[str, float]]], xlabel: str, lines=None, total: str = ""):
    """Draw title -> row -> part -> number: bars of parts side by side, a panel below the other for each title.
    ``lines`` are limits (label -> number), ``total`` is a format for the sum at a bar's end. -> the figure."""
    import matplotlib.pyplot as plt

    heights = [len(rows) + 1.5 for rows in panels.values()]
    size = 6, 0.3 * sum(heights) + 1.2
    fig, axes = plt.subplots(len(panels), 1, figsize=size, sharex=True, squeeze=False, height_ratios=heights)
    for ax, (title, rows) in zip(axes[:, 0], panels.items(), strict=True):
        for label, parts in rows.items():
            left = 0
            for part, number in parts.items():
                ax.barh(str(label), number, left=left, color=PARTS[part], label=part)
                left += number
            ax.text(left, str(label), " " + total.format(left), va="center")
        for style, (label, limit) in zip(("--", "-"), (lines or {}).items(), strict=False):
            ax.axvline(limit, color="black", ls=style, label=label)
        ax.set_title(title)
        ax.invert_yaxis()
    right = max(sum(parts.values()) for rows in panels.values() for parts in rows.values())
    ax.set(xlabel=xlabel, xlim=(0, (1.15 if total else 1.02) * max(right, *(lines or {"": 0}).values())))
    _legend(fig, axes[0, 0])
    return fig


def _legend(fig, ax) -> None:
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # each name once
    fig.legend(named.values(), named, loc="outside lower center", ncols=3, frameon=False)


def draw_plan(plans: dict[str, dict]):
    """Draw name -> ``{"GiB", "of", "hours", "words"}``: memory used of what a training may use, and time on a
    logarithmic axis. -> the figure."""
    import matplotlib.pyplot as plt

    fig, (top, below) = plt.subplots(2, 1, figsize=(6, 4.2))
    for y, plan in enumerate(plans.values()):
        top.barh(y, plan["of"], color="#e4e4e4")
        top.barh(y, plan["GiB"], color=COLOURS["common"])
        top.text(plan["GiB"], y, f" {plan['GiB']:.2f} of {plan['of']:.1f}", va="center")
        below.plot(plan["hours"], y, "o", color=COLOURS["common"])
        below.text(plan["hours"] * 1.25, y, plan["words"], va="center", backgroundcolor="white")
        for ax in (top, below):
            ax.set_yticks(range(len(plans)), plans)
    top.set(title="Will it fit?", xlabel="GiB")
    marks = {1 / 60: "a minute", 1: "an hour", 24: "a day", 24 * 30: "a month"}
    below.set(title="When will it be done?", xscale="log", xlim=(1 / 90, 24 * 90), ylim=(-0.6, len(plans) - 0.4))
    below.set_xticks(list(marks), marks.values())
    below.minorticks_off()
    return fig


def draw_against(curves: dict, xlabel: str, ylabel: str, *, points=None, log: str = "", ticks=None, lines=None):
    """Draw label -> (x, y) as curves, a part of a budget in its colour. ``points``: words -> (x, y), ``lines``: words
    -> x. ``log`` names logarithmic axes, ``ticks`` the marks of x. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 3.6))
    order = ("plain", "common", "good", "accent") if len(curves) > 1 else ("common",)
    for (label, (x, y)), colour in zip(curves.items(), order, strict=False):
        ax.plot(x, y, color=PARTS.get(label, COLOURS[colour]), label=label)
    for words, (x, y) in (points or {}).items():
        ax.plot(x, y, "o", color="black", ms=5)
        ax.annotate(words, (x, y), (6, 5), textcoords="offset points", fontsize=9)
    for words, x in (lines or {}).items():
        ax.axvline(x, color=COLOURS["plain"], ls=":")
        ax.annotate(f" {words}", (x, 0.03), xycoords=("data", "axes fraction"), fontsize=9)
    ax.set(xlabel=xlabel, ylabel=ylabel, **{f"{axis}scale": "log" for axis in log})
    if "y" not in log:
        ax.set_ylim(0)
    if ticks:
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
    if any(curves):
        ax.legend(fontsize=9)
    return fig


def draw_ratios(ratios: dict[str, float], tolerance: float):
    """Draw label -> estimate / measurement as points beside the line of 1, in a band of ± ``tolerance``.
    -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 0.32 * len(ratios) + 1.4))
    ax.axvspan(1 - tolerance, 1 + tolerance, color=COLOURS["good"], alpha=0.15)
    ax.axvline(1, color=COLOURS["plain"])
    ax.plot(list(ratios.values()), list(ratios), "o", color=COLOURS["common"])
    ax.set(xlim=(1 - 2 * tolerance, 1 + 2 * tolerance), xlabel="estimate / measurement")
    ax.invert_yaxis()
    return fig


def draw_budget(parameters: dict[str, float], held: dict[str, float], limit: float, title: str):
    """Draw a model's weights by part (in millions) and the peak of its training by part (in GiB) beside ``limit``, what
    the card leaves for it. -> the figure."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 1, figsize=(6, 4.4))
    units = "million weights", f"GiB in training, of {limit:,.1f} that may be used (dashed line)"
    for ax, parts, unit in zip(axes, (parameters, held), units, strict=True):
        left = 0
        for part, number in parts.items():
            ax.barh(0, number, left=left, color=PARTS[part], label=f"{part} {number:,.2f}")
            left += number
        ax.set(xlabel=unit, yticks=[], ylim=(-0.5, 0.5), xlim=(0, 1.05 * max(left, limit if ax is axes[1] else 0)))
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=9, frameon=False)
    axes[1].axvline(limit, color="black", ls="--")
    fig.suptitle(title, fontsize=11)
    return fig
