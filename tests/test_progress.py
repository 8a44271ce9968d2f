"""A line of progress is drawn by rich in a terminal, stays readable in a saved notebook, and is text in a file."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from course_utils import progress
from course_utils.progress import Line, say, track

from .conftest import REPOSITORY

CELL = """
from course_utils.progress import track

total = sum(track(range(4), "adding numbers", 4))
"""


def test_tracking_passes_every_item_on_and_shows_the_count(capsys):
    assert list(track(iter("abc"), "spelling", 3)) == ["a", "b", "c"]
    assert "spelling" in (shown := capsys.readouterr().out) and "3/3  100 %" in shown


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


class Clock:
    """Time that passes when a test says so; a timer rings then too."""

    def __init__(self, monkeypatch):
        self.now, self.timers = 1000.0, []
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(progress, "Timer", self.timer)

    def timer(self, seconds, ring):
        self.seconds, self.ring, self.daemon = self.now + seconds, ring, False
        return self

    def start(self):
        assert self.daemon, "it keeps no program alive"
        self.timers.append((self.seconds, self.ring))

    def cancel(self):
        self.timers.clear()

    def sleep(self, seconds):
        self.now += seconds
        for at, ring in list(self.timers):
            if self.now >= at:
                self.timers.clear()
                ring()


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_in_a_file_a_line_comes_at_once_then_one_a_minute_and_one_at_the_end(clock, capsys):
    with Line("training", 2000, 800) as line:
        for step in range(801, 2001):
            clock.sleep(0.25)
            line.update(step, "training · loss 3.214")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "training · loss 3.214  803/2,000  40 %  0:00:01 < 0:06:39"
    assert len(lines) == 1 + 4 + 1, "in five minutes"
    assert lines[-1] == "training · loss 3.214  2,000/2,000  100 %  0:05:00 < 0:00:00"


def test_what_is_over_at_once_has_one_line_in_a_file(clock, capsys):
    with Line("packing", 10) as line:
        clock.sleep(0.5)
        line.update(10)
    clock.sleep(99)
    assert capsys.readouterr().out == "packing  10/10  100 %  0:00:00 < 0:00:00\n"


def test_only_the_main_process_of_several_speaks(clock, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with Line("training", 10) as line:
        clock.sleep(99)
        line.update(10)
    say("to the user")
    assert capsys.readouterr().out == ""


def test_a_reader_who_is_gone_stops_no_training(monkeypatch):
    def gone(*args, **kwargs):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", gone)
    say("nobody hears")


IN_A_TERMINAL = """
from course_utils.progress import Line, say
with Line("training [x]", 100) as line:
    line.update(50)
    say("passed over [b]a damaged[/b] checkpoint")
    line.update(100)
"""


def in_a_terminal(code: str, columns: int) -> str:
    """What a terminal is sent, without colours."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environment, check=True, timeout=60)
    return re.sub(r"\x1b\[[\d;?]*\w", "", os.read(ours, 100_000).decode())


BRIEF = """
from course_utils.progress import Line
with Line("06, cells", 100, brief=True) as line:
    line.update(50, "06, cell 40 of 133 · 37 % 0:12:10 < 0:20:43 · fine-tuning of the common model · loss 3.2")
"""


def test_a_brief_line_is_cut_where_a_terminal_ends_and_not_continued():
    shown = in_a_terminal(BRIEF, 80)
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.strip()]
    assert all(line.startswith("06, cell") and len(line) <= 80 for line in lines), lines
    assert "06, cell 40 of 133 · 37 % 0:12:10 < 0:20:43 · " in shown and "…" in shown and "50%" in shown


def test_a_word_to_the_user_stands_above_the_line_in_a_terminal():
    shown = in_a_terminal(IN_A_TERMINAL, 100)
    words, line = shown.index("passed over [b]a damaged[/b] checkpoint\r\n"), shown.rindex("training [x]")
    assert words < line and "100%" in shown[line:]
