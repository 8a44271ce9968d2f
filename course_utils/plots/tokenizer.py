"""Pieces, their lengths and scripts, and what pruning keeps."""

from .style import COLOURS


def draw_pieces(rows: dict[str, list[str]], *, colours=None, ids=None, width: float = 62):
    """Draw label -> pieces as boxes, from left to right and on below where a row is longer than ``width``: blue is a
    piece, orange a byte, unless ``colours``: label -> a colour for each, as strong as it is given. ``ids``: label -> a
    number under each piece. Boxes are as wide as what stands in them, so that a merged piece lies under its parts.
    -> the figure."""
    import matplotlib.pyplot as plt

    boxes, starts, line = [], {}, 0
    for label, pieces in rows.items():
        x, starts[label] = 0, line
        for number, piece in enumerate(pieces):
            is_byte, below = piece.startswith("<0x"), f"{ids[label][number]:,}" if ids else ""
            text = piece[3:5] if is_byte else _drawable(piece.replace("\n", "⏎"))
            wide = max(sum(2.3 if ord(char) > 0x2E00 else 1.5 for char in text), 1.15 * len(below) + 0.4)
            if x and x + wide > width:
                x, line = 0, line + 1
            colour = COLOURS["medical" if is_byte else "common"], 0.2 + 0.18 * (number % 2)
            boxes.append((x, line, wide, text, below, colours[label][number] if colours else colour))
            x += wide
        line += 1
    fig, ax = plt.subplots(figsize=(6, (0.46 if ids else 0.32) * line + 0.5))
    for x, y, wide, text, below, colour in boxes:
        ax.add_patch(plt.Rectangle((x + 0.1, y - 0.42), wide - 0.2, 0.84, color=colour, lw=0))
        ax.text(x + wide / 2, y - (0.14 if ids else 0), text, ha="center", va="center", fontsize=10)
        ax.text(x + wide / 2, y + 0.27, below, ha="center", va="center", fontsize=8)
    ax.set(xlim=(0, max(x + wide for x, _, wide, *_ in boxes)), ylim=(line - 0.5, -0.5), xticks=[])
    ax.set_yticks(list(starts.values()), starts)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return fig


def _drawable(text: str) -> str:
    """A text in which a character that no font of the course has is told by its number."""
    from matplotlib import font_manager, rcParams

    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in rcParams["font.family"]]
    return "".join(c if any(font.get_char_index(ord(c)) for font in fonts) else f"U+{ord(c):X}" for c in text)


def draw_amounts(series: dict[str, dict[str, float]], xlabel: str, number: str = "{:,.0f}"):
    """Draw name -> row -> number as bars, their ``number`` written at the end: two series as before (grey) and after
    (blue). -> the figure."""
    import matplotlib.pyplot as plt

    rows = list(next(iter(series.values())))
    fig, ax = plt.subplots(figsize=(6, (0.24 + 0.12 * len(series)) * len(rows) + 1.1))
    for place, (name, bars) in enumerate(series.items()):
        y = [i + 0.8 * ((place + 0.5) / len(series) - 0.5) for i in range(len(rows))]
        colour = COLOURS["plain" if place < len(series) - 1 else "common"]
        drawn = ax.barh(y, [bars[row] for row in rows], 0.76 / len(series), label=name, color=colour)
        ax.bar_label(drawn, [number.format(bars[row]) for row in rows], padding=3, fontsize=9)
    ax.set(xlabel=xlabel, xlim=(0, 1.18 * max(max(bars.values()) for bars in series.values())))
    ax.set_yticks(range(len(rows)), rows)
    ax.invert_yaxis()
    if len(series) > 1:
        fig.legend(loc="outside lower center", ncols=2, frameon=False)
    return fig
