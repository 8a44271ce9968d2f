"""A line of progress is drawn by rich in a terminal, and stays readable in a saved notebook."""

import re

import nbformat
from nbclient import NotebookClient

from course_utils.progress import Line, track

CELL = """
from course_utils.progress import track

total = sum(track(range(4), "adding numbers", 4))
"""


def test_tracking_passes_every_item_on_and_shows_the_count(capsys):
    assert list(track(iter("abc"), "spelling", 3)) == ["a", "b", "c"]
    assert "spelling" in (shown := capsys.readouterr().out) and "100%" in shown


def test_a_line_without_a_total_shows_its_latest_title(capsys):
    with Line("cleaning") as line:
        line.update(7, "cleaned 7 pages")
    assert "cleaned 7 pages" in capsys.readouterr().out


def test_a_saved_notebook_holds_one_line_of_text_and_no_widget():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(book, kernel_name="python3").execute()
    (output,) = book.cells[0].outputs
    assert set(output.data) == {"text/plain"}
    assert re.fullmatch(r"adding numbers ━+ 100% \d:\d\d:\d\d < 0:00:00", output.data["text/plain"])
