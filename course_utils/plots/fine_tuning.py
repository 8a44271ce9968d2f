"""Fine-tuning: shares of marks, LoRA's matrices, curves of loss, the dial between two models.

Every function takes the numbers and returns a figure; colours are given where one stands for a model.
"""

from collections.abc import Mapping, Sequence

from .style import COLOURS


def draw_grouped_bars(groups: Mapping[str, Mapping[str, Sequence[bool]]], colours: Mapping[str, str], ylabel: str):
    """Draw group -> series -> marks (right or not) as shares in per cent, with one standard error of a share,
    sqrt(p (1 - p) / n). -> the figure."""
    import matplotlib.pyplot as plt
    import numpy as np

    fig, ax = plt.subplots(figsize=(8, 3.8))
    width = 0.8 / len(colours)
    for number, (name, colour) in enumerate(colours.items()):
        marks = [np.array(series[name], float) for series in groups.values()]
        shares = np.array([some.mean() for some in marks])
        errors = np.sqrt(shares * (1 - shares) / [len(some) for some in marks])
        places = np.arange(len(groups)) + width * (number + 0.5) - 0.4
        style = {"elinewidth": 1, "alpha": 0.6}
        bars = ax.bar(places, 100 * shares, 0.9 * width, yerr=100 * errors, color=colour, label=name, error_kw=style)
        ax.bar_label(bars, fmt="%.0f", padding=2)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel, ylim=(0, 122))
    ax.legend(loc="upper right", ncols=len(colours))
    return fig


def draw_lengths(lengths: Mapping[str, Sequence[int]], colours: Sequence[str], most: int = 100):
    """Draw name -> lengths in tokens as histograms over one axis up to ``most``. -> the figure."""
    import matplotlib.pyplot as plt
    import numpy as np

    fig, ax = plt.subplots(figsize=(8, 3))
    for (name, values), colour in zip(lengths.items(), colours, strict=True):
        label = f"{name}: {np.mean(values):.1f} on average"
        ax.hist(values, bins=range(0, most + 1, 2), alpha=0.65, color=colour, label=label)
    ax.set(xlabel="tokens", ylabel="conversations")
    ax.legend()
    return fig


def draw_padding(batches: Mapping[str, Sequence[int]], shares: Mapping[str, float], most: int = 100):
    """Draw title -> lengths of the rows of a batch: green is text, orange padding up to the longest of them, whose
    share in all batches stands above. -> the figure."""
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import ListedColormap

    fig, axes = plt.subplots(1, len(batches), figsize=(8, 2.8), sharey=True)
    for ax, (title, lengths) in zip(axes, batches.items(), strict=True):
        sizes, place = np.array(lengths)[:, None], np.arange(most)[None]
        what = (place < sizes.max()) * 1 + (place < sizes)  # 0 nothing, 1 padding, 2 text
        ax.imshow(what, aspect="auto", cmap=ListedColormap(["white", "#f3c9ae", COLOURS["good"]]), vmin=0, vmax=2)
        ax.set(xlabel="position", xlim=(0, most))
        ax.set_title(f"{title}\n{shares[title]:.0%} padding overall", size=10)
        ax.grid(False)
    axes[0].set_ylabel("conversation of one batch")
    return fig


def draw_losses(panels: Mapping[str, Mapping[str, tuple]], ylabel: str, top: float | None = None):
    """Draw title -> line's name -> (steps, losses, colour, format) as curves from zero up, a panel a title; a format
    with a mark ("o--") is a measurement now and then, one without a line of single steps. -> the figure."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(panels), sharey=True, squeeze=False, figsize=(8, 3.6))
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, (steps, losses, colour, form) in lines.items():
            ax.plot(steps, losses, form, color=colour, alpha=1 if "o" in form else 0.5, label=name)
        ax.set(title=title, xlabel="step", ylim=(0, top))
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0][0].set_ylabel(ylabel)
    axes[0][-1].legend(fontsize=9)
    return fig


def draw_low_rank(out: int, into: int, r: int):
    """Draw W, B and A to scale, with their sizes: grey is frozen, pink learns. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(8, 3.2))
    grey, pink = COLOURS["plain"], COLOURS["accent"]
    matrices = (0, "W", out, into, grey), (1.25, "B", out, r, pink), (1.55, "A", r, into, pink)
    for x, name, height, width, colour in matrices:
        w, h = width / into, height / into
        ax.add_patch(plt.Rectangle((x, 1 - h), w, h, color=colour, alpha=0.8))
        label = f"{name}: {height} × {width}\n= {height * width:,}"
        ax.text(x + w / 2, -0.12 if h > 0.5 else 0.85 - h, label, ha="center", va="top")
    ax.text(1.12, 0.5, "+", fontsize=22, ha="center")
    ax.set(xlim=(-0.1, 2.7), ylim=(-0.4, 1.05), aspect="equal")
    ax.axis("off")
    return fig


def draw_singular_values(series: Mapping[str, tuple], r: int, log: bool = False, most: int = 256):
    """Draw name -> (singular values by size, colour), at most so many, and a line behind the r-th. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(8, 3))
    for name, (values, colour) in series.items():
        ax.plot(range(1, len(values[:most]) + 1), values[:most], ".-", color=colour, label=name)
    ax.axvline(r + 0.5, color="black", ls=":", label=f"r = {r}")
    if log:
        ax.set_yscale("log")
    ax.set(xlabel="singular value, by size", ylabel="size (logarithmic)" if log else "size")
    ax.legend()
    return fig


def draw_training_memory(panels: Mapping[str, Mapping[str, Mapping[str, float]]]):
    """Draw title -> method -> part -> gigabytes as stacked bars with their sum, a panel a title, each with an axis of
    its own. -> the figure."""
    import matplotlib.pyplot as plt

    parts = (COLOURS["plain"], COLOURS["common"], COLOURS["medical"])
    fig, axes = plt.subplots(1, len(panels), figsize=(8, 2.8))
    for ax, (title, methods) in zip(axes, panels.items(), strict=True):
        left = [0.0] * len(methods)
        names = next(iter(methods.values()))
        for part, colour in zip(names, parts, strict=True):
            sizes = [sizes[part] for sizes in methods.values()]
            bars = ax.barh(list(methods), sizes, left=left, color=colour, label=part)
            left = [before + size for before, size in zip(left, sizes, strict=True)]
        ax.bar_label(bars, [f"{total:.1f} GB" for total in left], padding=3)
        ax.set(title=title, xlabel="GB, without activations", xlim=(0, 1.3 * max(left)))
    axes[-1].legend(loc="lower right")
    return fig


def draw_dial(curves: Mapping[str, tuple], dial: Sequence[float]):
    """Draw name -> ((loss on answers, perplexity on articles) at each place of the dial, colour): to the left is better
    at answering, low is better at reading; all begin at the base. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(8, 4))
    for number, (name, (points, colour)) in enumerate(curves.items()):
        ax.plot(*zip(*points, strict=True), "o-", color=colour, label=name)
        for s, point in zip(dial, points, strict=True):
            if s:
                place = (7, 5) if number else (-13, -13)
                ax.annotate(f"{s:g}", point, xytext=place, textcoords="offset points", color=colour)
    ax.annotate("base", points[0], xytext=(-8, 10), textcoords="offset points")
    ax.set(xlabel="loss on held-out answers (nats a token)", ylabel="perplexity on articles")
    ax.legend()
    return fig
