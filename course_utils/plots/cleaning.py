"""Cleaning: what of a page stays, what three cleaners keep and leave, how alike two documents are."""

from .style import COLOURS, cjk_font

CLEANERS = {"naive": "plain", "gensim": "accent", "ours": "common"}  # their colours


def draw_source(source: str, kept: set[int], width: int = 470):
    """Draw a page's source, broken into lines of ``width`` points: the characters at ``kept`` in blue, others in grey.
    -> the figure."""
    import matplotlib.pyplot as plt
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(cjk_font()))
    font.set_size(10, 72)
    x = y = 0
    places = []
    for i, char in enumerate(source):
        advance = font.load_char(ord(char)).linearHoriAdvance / 65536 if char != "\n" else 0  # points
        if char == "\n" or x + advance > width:
            x, y = 0, y + 14
        if char.strip():
            places.append((x, y, char, COLOURS["common"] if i in kept else "#999999"))
        x += advance
    fig, ax = plt.subplots(figsize=((width + 20) / 72, (y + 30) / 72))
    for x, y, char, colour in places:
        ax.text(x, y, char, fontsize=10, color=colour, va="baseline")
    ax.set(xlim=(0, width), ylim=(y + 6, -14))
    ax.axis("off")
    return fig


def draw_cleaners(panels: dict[str, dict[str, dict[str, float]]]):
    """Draw title -> row -> cleaner -> per cent: a panel a title, a bar a cleaner. -> the figure."""
    import matplotlib.pyplot as plt

    rows = [len(panel) for panel in panels.values()]
    fig, axes = plt.subplots(len(panels), figsize=(7.5, 1.2 + 0.6 * sum(rows)), height_ratios=rows, squeeze=False)
    for ax, (title, panel) in zip(axes[:, 0], panels.items(), strict=True):
        for shift, (cleaner, colour) in zip((-0.27, 0, 0.27), CLEANERS.items(), strict=True):
            places = [place + shift for place in range(len(panel))]
            shares = [row[cleaner] for row in panel.values()]
            drawn = ax.barh(places, shares, 0.26, color=COLOURS[colour], label=cleaner)
            ax.bar_label(drawn, fmt="%.0f %%", padding=3, fontsize=8)
        ax.set_yticks(range(len(panel)), panel)
        ax.set(xlim=(0, 115), title=title)
        ax.invert_yaxis()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_lengths(ours: list[int], theirs: list[int], swallowed: list[bool]):
    """Draw a dot an article: its characters as ours cleans it, and as gensim does. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 4))
    for gone, label, colour in ((False, "survived", "common"), (True, "swallowed", "accent")):
        chosen = [(x, y) for x, y, lost in zip(ours, theirs, swallowed, strict=True) if lost == gone]
        x, y = zip(*chosen, strict=True) if chosen else ((), ())
        ax.scatter(x, y, s=14, alpha=0.7, color=COLOURS[colour], label=f"{label}: {len(chosen)} articles")
    longest = max(ours)
    ax.plot([0, longest], [0, longest], color="black", lw=1, ls=":", label="equally long")
    ax.set(xlabel="characters of clean text, ours", ylabel="characters left by gensim")
    ax.legend()
    return fig


def draw_times(sizes: list[int], races: dict[str, list[float]]):
    """Draw name -> milliseconds for pages of these ``sizes``, both axes logarithmic. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.2))
    for number, (name, took) in enumerate(races.items()):
        mine = name.startswith("ours")
        ax.loglog(sizes, took, "os"[number % 2] + ("-" if mine else "--"), ms=5, label=name,
                  color=COLOURS["common" if mine else "accent"])  # fmt: skip
    ax.set(xlabel="brackets on the page", ylabel="milliseconds")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.legend(fontsize=9)
    return fig


def draw_minima(same: list[bool], jaccard: float):
    """Draw the share of equal minima among the first 1, 2, 3 … hash functions, and the similarity. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 3))
    counts = range(1, len(same) + 1)
    ax.plot(counts, [sum(same[:n]) / n for n in counts], color=COLOURS["common"], label="minima that are the same")
    ax.axhline(jaccard, color="black", ls="--", label=f"Jaccard, {jaccard:.2f}")
    ax.set(xlabel="hash functions", ylabel="share", ylim=(0, 1.05))
    ax.legend(loc="lower right")
    return fig


def draw_estimates(exact: list[float], estimated: list[float], numbers: int):
    """Draw a dot a pair of texts: its similarity, and the estimate from ``numbers`` minima. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(4.6, 4))
    ax.plot([0, 1], [0, 1], color=COLOURS["plain"], ls="--", label="estimate = truth")
    ax.scatter(exact, estimated, s=22, color=COLOURS["common"])
    ax.set(xlabel="exact Jaccard similarity", ylabel=f"estimate from {numbers} numbers")
    ax.legend()
    return fig


def draw_signatures(one: list[int], two: list[int], rows: int):
    """Draw the beginnings of two signatures in bands of ``rows`` numbers: equal numbers are blue, and a band that is
    equal as a whole is framed. -> the figure."""
    import matplotlib.pyplot as plt

    bands = len(one) // rows
    fig, axes = plt.subplots(bands, figsize=(6, 1.1 * bands), squeeze=False)
    for band, ax in enumerate(axes[:, 0]):
        part = slice(band * rows, (band + 1) * rows)
        pairs = list(zip(one[part], two[part], strict=True))
        for i, pair in enumerate(pairs):
            for line, number in enumerate(pair):
                fill = COLOURS["common"] if pair[0] == pair[1] else "#dddddd"
                ax.add_patch(plt.Rectangle((i, -line), 0.94, 0.8, fc=fill, alpha=0.35))
                ax.text(i + 0.47, 0.4 - line, f"{number % 10000:04}", ha="center", va="center", fontsize=11)
        meet = all(a == b for a, b in pairs)
        if meet:
            ax.add_patch(plt.Rectangle((-0.06, -1.1), rows + 0.06, 2, fc="none", ec=COLOURS["common"], lw=2))
        ax.text(-0.2, -0.1, f"band {band + 1}\n{'equal' if meet else 'not equal'}", ha="right", va="center")
        ax.axis((-1.6, rows + 0.1, -1.2, 1))
        ax.axis("off")
    return fig


def draw_chances(curves: dict[str, list[float]], threshold: float):
    """Draw name -> chances to meet, at similarities from 0 to 1 in equal steps, and where pairs are called near. The
    first curve is the stage's, in blue. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 3.2))
    for (name, chances), line in zip(curves.items(), ("-", "--", ":"), strict=False):
        places = [i / (len(chances) - 1) for i in range(len(chances))]
        ax.plot(places, chances, ls=line, lw=2, color=COLOURS["common" if line == "-" else "plain"], label=name)
    ax.axvline(threshold, color="black", lw=1, ls="--", label="called near")
    ax.set(xlabel="Jaccard similarity", ylabel="chance to meet")
    ax.legend(fontsize=9)
    return fig


def draw_copies(corpora: dict[str, dict[str, int]]):
    """Draw corpus -> {"exact", "near"} documents that were dropped, as stacked bars. -> the figure."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 0.9 + 0.5 * len(corpora)))
    left = [0] * len(corpora)
    for kind, colour in (("exact", "common"), ("near", "accent")):
        values = [found[kind] for found in corpora.values()]
        drawn = ax.barh(list(corpora), values, left=left, color=COLOURS[colour], label=f"{kind} copies")
        ax.bar_label(drawn, [value or "" for value in values], label_type="center", color="white")
        left = [a + b for a, b in zip(left, values, strict=True)]
    ax.set(xlabel="documents dropped")
    ax.legend()
    ax.invert_yaxis()
    return fig
