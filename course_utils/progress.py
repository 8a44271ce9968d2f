"""A progress line for terminals, notebooks and files alike: what is done, how fast, how long it will take.

In a terminal it is rich's live display. In a notebook rich would show a widget, of which a saved notebook keeps only
the words "Output()"; so there the line is drawn as text into one output, updated in place, and stays when saved.
Elsewhere (``course run | tee log``) it is a line of text now and then.
"""

import datetime
import io
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from . import processes

REDRAW_SECONDS = 0.5  # in a notebook; each redraw is a message to the browser
PLAIN_SECONDS = 60  # between two lines of text where output is neither a terminal nor a notebook
QUICK_SECONDS = 1  # what takes less has no line but its last one there
BESIDE = 31  # columns that a bar, a share and two times take
MESSAGE = "course_progress"  # in what a notebook's display carries besides the output: the line as plain text


class Line(AbstractContextManager):
    """One line of progress towards ``total``, or of a count without end where the total is not known. A context.
    ``brief``: in a terminal it never takes a second line, and is gone when it is done."""

    def __init__(self, title: str, total: float | None = None, completed: float = 0, brief: bool = False):
        text = TextColumn("{task.description}", markup=False, table_column=Column())  # a long one goes on below
        shown = [text, TimeElapsedColumn()]
        if total:  # the narrowest terminal is 80 columns wide: a short bar, and time as tqdm writes it, elapsed < left
            shown[1:1] = [BarColumn(6), TextColumn("{task.percentage:>3.0f}%")]
            shown += [TextColumn("<"), TimeRemainingColumn()]
        console, on = Console(), processes.is_main()
        self._notebook, live = on and console.is_jupyter, on and console.is_terminal and not console.is_jupyter
        self._plain = on and not (self._notebook or live)
        page = Console(file=io.StringIO(), width=120, color_system=None, force_jupyter=False)
        console = None if live else page  # a terminal's own
        self._progress = Progress(*shown, console=console, auto_refresh=live, disable=not on, transient=brief)
        self._title, self._total, self._done, self._first, self._brief = title, total, completed, completed, brief
        self._task = self._progress.add_task(self._fitting(), total=total, completed=completed)
        self._began = self._drawn = time.monotonic()
        self._handle = None
        if self._plain:  # at once, but not for what is over at once
            self._timer = Timer(QUICK_SECONDS, self._draw)
            self._timer.daemon = True
            self._timer.start()
        elif self._notebook:
            self._draw()
        else:
            self._progress.start()

    def update(self, completed: float, title: str | None = None) -> None:
        """Say how much is done by now, and what the line should be called."""
        self._done, self._title = completed, title or self._title
        self._progress.update(self._task, completed=completed, description=self._fitting())
        pause = REDRAW_SECONDS if self._notebook else PLAIN_SECONDS
        if (self._notebook or self._plain) and time.monotonic() - self._drawn > pause:
            self._draw()

    def close(self) -> None:
        if self._plain:
            self._timer.cancel()
        if self._plain or self._notebook:
            self._draw()
        else:
            self._progress.stop()

    def _fitting(self) -> str:
        """As much of the title as there is room for, if there shall be one line."""
        text = Text(self._title)
        if self._brief:
            text.truncate(max(20, self._progress.console.width - BESIDE), overflow="ellipsis")
        return text.plain

    def _times(self) -> str:
        """So far, and left where the total is known: ``0:12:10 < 0:20:43``."""
        took, gone = time.monotonic() - self._began, self._done - self._first
        elapsed = datetime.timedelta(seconds=int(took))
        if not self._total:
            return str(elapsed)
        left = datetime.timedelta(seconds=int(took * (self._total - self._done) / gone)) if gone else "-:--:--"
        return f"{elapsed} < {left}"

    def _share(self) -> str:
        return f"{self._done / self._total:.0%} ".replace("%", " %") if self._total else ""

    def _text(self) -> str:
        """The line without a bar: ``pretraining  370/1,000  37 %  0:12:10 < 0:20:43``."""
        count = f"{self._done:,.0f}/{self._total:,.0f}  " if self._total else ""
        return f"{self._title}  {count}{self._share()} {self._times()}" if count else f"{self._title}  {self._times()}"

    def _message(self) -> str:
        """The same for whoever executes the notebook, the figures first: ``37 % 0:12:10 < 0:20:43 · pretraining``."""
        return f"{self._share()}{self._times()} · {self._title}"

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._plain:
            say(self._text())
            return
        from IPython.display import display

        page = self._progress.console.file
        page.seek(page.truncate(0))
        self._progress.console.print(self._progress.get_renderable())
        text, more = {"text/plain": page.getvalue().rstrip()}, {MESSAGE: self._message()}
        if self._handle:
            self._handle.update(text, raw=True, transient=more)
        else:
            self._handle = display(text, raw=True, display_id=True, transient=more)

    def __exit__(self, *error: object) -> None:
        self.close()


def track(items: Iterable, title: str, total: int) -> Iterator:
    """The items, with a line that counts them."""
    with Line(title, total) as line:
        for count, item in enumerate(items, 1):
            yield item
            line.update(count)


def say(text: str) -> None:
    """One line for the user at any time: in a terminal above a running line of progress, which rich then redraws, in a
    notebook as an output. Under `torchrun` the main process alone speaks."""
    if processes.is_main():
        with suppress(OSError):  # whoever read it is gone: no reason to stop
            print(text, flush=True)
