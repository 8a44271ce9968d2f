"""A picture with controls: in JupyterLab and Colab it follows them, everywhere else it stands still and complete."""

import html
from collections.abc import Callable

from ..errors import CourseError

STILL = "(In JupyterLab or Colab controls stand here, and the output above follows them.)"


def explore(draw: Callable, alternative: str, caption: str, **controls: object) -> None:
    """Show ``draw(**values)``, a figure or whatever a notebook can display, and below it its ``controls``.

    A control is an `ipywidgets` widget, or what `ipywidgets.interact` makes one of: ``(low, high)`` or
    ``(low, high, step)`` for a slider, a list to choose from, a text, a truth value. ``alternative`` describes a figure
    at the controls' first values, which is also what a page without a kernel shows. A CourseError that ``draw`` raises
    for other values is told below the controls, and the output stays as it was.
    """
    import ipywidgets
    from IPython.display import Markdown, display
    from matplotlib import pyplot

    def draws(**values) -> object:
        return draw(**values)  # has no names of its own, so that the controls keep their order

    widgets = ipywidgets.interactive(draws, {"manual": True}, **controls).kwargs_widgets
    told = ipywidgets.HTML()

    def drawn() -> object:
        return draw(**{name: widget.value for name, widget in zip(controls, widgets, strict=True)})

    picture = display(drawn(), metadata={"image/png": {"alt": alternative}}, display_id=True)
    pyplot.close("all")
    display(Markdown(f"*{caption}*"))

    def redraw(_change: object) -> None:
        try:
            picture.update(drawn())
        except CourseError as error:
            told.value = f"<b>{html.escape(str(error))}</b>"
        else:
            told.value = ""
        finally:
            pyplot.close("all")

    for widget in widgets:
        if widget.has_trait("continuous_update"):
            widget.continuous_update = False  # a drawing may take longer than a move
        widget.observe(redraw, "value")
    form = ipywidgets.VBox([*widgets, told])
    view = {"version_major": 2, "version_minor": 0, "model_id": form.model_id}  # so too in Colab's ipywidgets 7
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": STILL}, raw=True)
