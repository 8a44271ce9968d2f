"""The road as a whole: its stages, what the loss counts, a first training, minutes."""

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


def draw_turn(tokens: list[str], counted: list[bool], width: float = 5.6):
    """Draw the tokens of a conversation in lines: green is what the loss counts, grey what it does not.
    -> the figure."""
    import matplotlib.pyplot as plt

    x, y, places = 0.0, 0, []
    for token, counts in zip(tokens, counted, strict=True):
        text = token.replace("\n", "⏎")
        size = 0.1 + sum(0.19 if ord(char) > 0x2000 else 0.1 for char in text)  # inches
        if x + size > width:
            x, y = 0.0, y + 1
        places.append((x, y, size, text, COLOURS["good" if counts else "plain"]))
        x += size + 0.07
    fig, ax = plt.subplots(figsize=(width + 0.2, 0.42 * (y + 1)))
    for x, y, size, text, colour in places:
        ax.add_patch(plt.Rectangle((x, y - 0.36), size, 0.72, fc=colour, alpha=0.35))
        ax.text(x + size / 2, y, text, ha="center", va="center", fontsize=12)
    ax.axis((0, width, max(place[1] for place in places) + 0.5, -0.5))
    ax.axis("off")
    return fig


def draw_losses(losses: list[float], ignorance: float):
    """Draw the loss of each step, and the loss of somebody who knows nothing. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.5, 3))
    ax.plot(range(1, len(losses) + 1), losses, "o-", ms=4, color=COLOURS["common"], label="loss")
    ax.axhline(ignorance, ls=":", color="black", label="knows nothing")
    ax.set(xlabel="step", ylabel="loss", ylim=(0, 1.15 * max(ignorance, *losses)))
    ax.legend()
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
