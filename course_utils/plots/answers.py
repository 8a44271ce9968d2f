"""What models answer: how a next token is chosen, how right the answers are, and how sure one can be of it."""

from pathlib import Path

from .style import COLOURS, use_course_style


def draw_shares(panels: dict[str, dict[str, dict[str, dict[str, float]]]], path: Path) -> None:
    """``draw_intervals``, to a file: the picture of a board."""
    import matplotlib.pyplot as plt

    with plt.rc_context():
        use_course_style()
        fig = draw_intervals(panels)
        fig.savefig(path)
        plt.close(fig)


def draw_intervals(panels: dict, width: float = 6.5, colours: dict[str, str] | None = None, x: str = ""):
    """Draw title -> series -> row -> ``{"share", "low", "high"}`` (0 … 1): a panel a title, per cent, with intervals.
    The series have the same rows; ``colours`` gives some a name in ``COLOURS``, or a title -> name. -> the figure."""
    import matplotlib.pyplot as plt
    import numpy as np

    most = max(len(series) * len(rows) for series in panels.values() for rows in series.values())
    one = len({tuple(rows) for series in panels.values() for rows in series.values()}) == 1  # the same rows everywhere
    size = (width * len(panels), 2.5 + 0.11 * most)
    fig, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, sharey=one)
    for ax, (title, series) in zip(axes[0], panels.items(), strict=True):
        for number, (name, rows) in enumerate(series.items()):
            marks = [[row["share"], row["low"], row["high"]] for row in rows.values()]
            share, low, high = 100 * np.array(marks).T
            y = np.arange(len(rows)) + 0.8 * ((number + 0.5) / len(series) - 0.5)
            marker = "os^D"[(number if colours else number // len(COLOURS)) % 4]
            bars = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
            key = (colours or {}).get(name, (colours or {}).get(title))
            look = {"color": COLOURS[key]} if key else {}
            ax.errorbar(share, y, xerr=bars, fmt=marker, ms=4, capsize=2, label=name, **look)
        ax.set(title=title, xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), xlabel=x)
        ax.set_yticks(range(len(rows)), rows)
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return fig


def draw_matrices(panels: dict):
    """Draw title -> small matrix side by side, with its numbers: blue is above zero, red below. -> the figure."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 2.7))
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        ax.imshow(matrix, cmap="RdBu", vmin=-4, vmax=4)
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                ax.text(j, i, f"{float(value) + 0:g}", ha="center", va="center")
        ax.set_title(title)
        ax.axis("off")
    return fig


def draw_bars(
    panels: dict[str, dict[str, float]], x: str, number: str = "%.0f", colours: dict | None = None, top=None,
    *, rest: str = "common", log: bool = False, line: tuple[str, float] | None = None,
):  # fmt: skip
    """Draw title -> name -> value: a panel a title, a horizontal bar a name with its number. ``colours`` gives some
    names another colour than the ``rest``, ``top`` ends all axes, ``line`` is a name and a value to compare with.
    -> the figure."""
    import matplotlib.pyplot as plt

    rows = max(map(len, panels.values()))
    same = len({tuple(bars) for bars in panels.values()}) == 1
    fig, axes = plt.subplots(1, len(panels), figsize=(8, 0.9 + 0.31 * rows), squeeze=False, sharey=same)
    for ax, (title, bars) in zip(axes[0], panels.items(), strict=True):
        colour = [COLOURS[(colours or {}).get(name, rest)] for name in bars]
        ax.bar_label(ax.barh(range(len(bars)), list(bars.values()), color=colour), fmt=number, padding=3)
        ax.set(title=title, xlabel=x)
        if log:
            ax.set_xscale("log")
            ax.margins(x=0.2)
        elif top:
            ax.set_xlim(0, top)
        else:
            ax.margins(x=0.3)  # of what the bars need, for the numbers behind them
        if not log and max(bars.values()) >= 1000:
            ax.xaxis.set_major_formatter("{x:,.0f}")
        if line:
            ax.axvline(line[1], color="black", ls=":", label=line[0])
            ax.legend(loc="upper right")
        ax.set_yticks(range(len(bars)), list(bars))
        if not ax.yaxis_inverted():
            ax.invert_yaxis()
    return fig


def draw_beam_tree(tree: dict[str, dict[str, float]], greedy: str, best: str):
    """Draw a tree of two steps, beginning -> next -> probability, each end with its product. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 3.4))
    ends = [(first, second) for first in tree[""] for second in tree[first]]
    middle = {first: sum(i for i, end in enumerate(ends) if end[0] == first) / len(tree[first]) for first in tree[""]}
    start = sum(middle.values()) / len(middle)
    for first, p in tree[""].items():
        ax.plot([0, 1], [start, middle[first]], color=COLOURS["plain"], lw=1 + 6 * p)
        ax.text(1.04, middle[first], f"{first}  {p}", va="center", fontsize=12)
    for row, (first, second) in enumerate(ends):
        p, q = tree[""][first], tree[first][second]
        colour = {greedy: COLOURS["accent"], best: COLOURS["good"]}.get(first + second, COLOURS["plain"])
        note = {greedy: "  greedy", best: "  best"}.get(first + second, "")
        ax.plot([1.4, 2], [middle[first], row], color=colour, lw=1 + 6 * p * q)
        words = f"{first}{second}: {p} × {q} = {p * q:.2f}{note}"
        ax.text(2.05, row, words, va="center", color=colour if note else "black", fontsize=12)
    ax.text(-0.04, start, "start", ha="right", va="center", fontsize=12)
    ax.set(xlim=(-0.4, 3.6), ylim=(len(ends) - 0.5, -0.5))
    ax.axis("off")
    return fig


def draw_pairs(points, differ: list[int], x: str, y: str):
    """Draw points (x, y), those numbered ``differ`` in another colour, and the diagonal. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(5.2, 4.2))
    low = min(points.min() * 1.05, -1)
    ax.plot([low, 0], [low, 0], ":", color="black", lw=1)
    ax.scatter(*points.T, s=22, alpha=0.7, color=COLOURS["common"], label="same answer")
    ax.scatter(*points[differ].T, s=30, marker="s", color=COLOURS["accent"], label="different answers")
    ax.set(xlabel=x, ylabel=y)
    ax.legend()
    return fig


def draw_board(rows: dict[str, list[float | None]], columns: list[str], lines: tuple[int, ...] = ()):
    """Draw a table of shares (0 … 1): a row a name, the higher the greener; None stays empty. ``lines`` are drawn below
    these rows. -> the figure."""
    import matplotlib.pyplot as plt
    import numpy as np

    table = np.array([[np.nan if share is None else 100 * share for share in shares] for shares in rows.values()])
    fig, ax = plt.subplots(figsize=(8, 1 + 0.36 * len(rows)))
    ax.imshow(table, cmap="Greens", vmin=0, vmax=130, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        if not np.isnan(value):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if value > 85 else "black")
    for line in lines:
        ax.axhline(line + 0.5, color="black", lw=1)
    ax.set_xticks(range(len(columns)), columns, fontsize=9)
    ax.set_yticks(range(len(rows)), list(rows), fontsize=9)
    ax.xaxis.tick_top()
    ax.grid(False)
    return fig


def draw_parts(rows: dict[str, dict[str, int]], x: str, colours: tuple):
    """Draw name -> part -> count as bars of parts, with their numbers, a colour a part: a name in ``COLOURS``, or a
    pair of it and how strong it is. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7.5, 1.5 + 0.36 * len(rows)))
    left = [0] * len(rows)
    for part, colour in zip(next(iter(rows.values())), colours, strict=True):
        counts = [parts[part] for parts in rows.values()]
        name, strength = (colour, 1) if isinstance(colour, str) else colour
        bars = ax.barh(range(len(rows)), counts, left=left, color=(COLOURS[name], strength), label=part)
        ax.bar_label(bars, [count or "" for count in counts], label_type="center", fontsize=9)
        left = [a + b for a, b in zip(left, counts, strict=True)]
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel=x)
    ax.invert_yaxis()
    fig.legend(loc="outside lower center", ncols=3, fontsize=9)
    return fig


def draw_counts(panels: dict, x: str, y: str, expected: str = ""):
    """Draw title -> (values, counts, colour name, expected counts or None): bars, and dots for what was expected, which
    the legend calls ``expected``. -> the figure."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(panels), figsize=(7.5, 3), squeeze=False, sharey=True)
    for ax, (title, (values, counts, colour, dots)) in zip(axes[0], panels.items(), strict=True):
        gap = min(b - a for a, b in zip(values, values[1:], strict=False))
        ax.bar(values, counts, width=0.8 * gap, color=COLOURS[colour], label="counted")
        if dots is not None:
            ax.plot(values, dots, "o:", color="black", label=expected)
            ax.legend(fontsize=8)
        ax.set(xlabel=x, title=title)
    axes[0][0].set_ylabel(y)
    return fig


def draw_memory(sizes: list[int], forgotten: list[int], positions: int):
    """Draw the tokens of each prompt of a chat, paler where something was forgotten, under the model's positions.
    -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.5, 3))
    for gone, colour, label in ((False, "common", "all remembered"), (True, "plain", "something forgotten")):
        at = [i for i, count in enumerate(forgotten) if bool(count) == gone]
        ax.bar([i + 1 for i in at], [sizes[i] for i in at], color=COLOURS[colour], label=label)
    ax.axhline(positions, color=COLOURS["accent"], label="positions of the model")
    ax.set(xlabel="question", ylabel="tokens of the prompt", ylim=(0, 1.35 * positions))
    ax.legend(ncols=3, fontsize=8, loc="upper center")
    return fig
