"""A picture with controls stands still without a kernel, and follows its controls with one."""

import ipywidgets
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course_utils import plots
from course_utils.errors import CourseError

CELL = """
from course_utils import plots
plots.use_course_style()
from matplotlib import pyplot as plt
def bars(height=3, colour="k"):
    fig, ax = plt.subplots()
    ax.bar(0, height, color=colour)
    return fig
plots.explore(bars, "one bar", "A bar.", height=(1, 5), colour=["k", "b"])
"""


def test_a_page_without_a_kernel_has_the_picture_its_words_and_a_line_about_the_controls():
    notebook = new_notebook(cells=[new_code_cell(CELL)])
    NotebookClient(notebook, store_widget_state=False).execute()
    picture, caption, controls = notebook.cells[0].outputs
    assert "image/png" in picture.data and picture.metadata["image/png"]["alt"] == "one bar"
    assert caption.data["text/markdown"] == "*A bar.*"
    assert controls.data["text/plain"].startswith("(In JupyterLab") and len(controls.data) == 2


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order: ``("first" | "again", object)``; the form's widgets by name."""
    import IPython.display

    class Handle:
        def update(self, output):
            log.append(("again", output))

    def display(output, **kwargs):
        log.append(("first", output))
        return Handle()

    log, forms, box = [], [], ipywidgets.VBox
    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(ipywidgets, "VBox", lambda children: forms.append(box(children)) or forms[-1])
    return log, forms


def test_a_control_that_moves_draws_anew_and_a_refusal_is_told_and_changes_nothing(shown):
    def words(width, name):
        if width > 8:
            raise CourseError("width > 8: <b> choose less")
        return f"{name} {width}"

    log, forms = shown
    plots.explore(words, "", "", name=["甲", "乙"], width=(1, 9, 2))
    assert log[0] == ("first", "甲 5")
    name, width, told = forms[0].children
    name.value = "乙"
    width.value = 9
    assert log[3:] == [("again", "乙 5")]
    assert told.value == "<b>width &gt; 8: &lt;b&gt; choose less</b>" and not width.continuous_update
    width.value = 7
    assert log[4:] == [("again", "乙 7")] and told.value == ""
