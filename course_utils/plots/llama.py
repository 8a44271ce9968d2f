"""The Llama: its block, its attention, vectors of two numbers."""

import math

from .style import COLOURS

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


def draw_arrows(panels: dict[str, list[tuple[float, float, str, str]]], circle: float = 0):
    """Draw title -> arrows from the middle, each its tip ``x``, ``y``, a name of COLOURS and a text, side by side, with
    a ``circle`` of this radius where there is one. -> the figure."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(panels), figsize=(3.5 * len(panels), 3.6), squeeze=False, sharex=True, sharey=True)
    for ax, (title, arrows) in zip(axes[0], panels.items(), strict=True):
        for x, y, colour, text in arrows:
            ax.quiver(0, 0, x, y, angles="xy", scale_units="xy", scale=1, width=0.013, color=COLOURS[colour])
            far = 1 + 0.8 / math.hypot(x, y)
            ax.text(far * x, far * y, text, ha="center", va="center")
        ax.add_patch(plt.Circle((0, 0), circle, fill=False, ls="--", ec=COLOURS["plain"]))
        ax.set(title=title, xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), aspect="equal")
    return fig
