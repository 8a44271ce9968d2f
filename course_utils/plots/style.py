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


def show(fig, alternative: str, caption: str) -> None:
    """Show a figure in a notebook, with words for a reader who cannot see it, and a caption below."""
    import matplotlib.pyplot as plt
    from IPython.display import Markdown, display

    display(fig, metadata={"image/png": {"alt": alternative}})
    display(Markdown(f"*{caption}*"))
    plt.close(fig)
