"""A progress line for terminals and notebooks alike: what is done, how fast, how long it will take.

In a terminal it is rich's live display. In a notebook rich would show a widget, of which a saved notebook keeps only
the words "Output()"; so there the line is drawn as text into one output, updated in place, and stays when saved.
"""

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import processes

REDRAW_SECONDS = 0.5  # in a notebook; each redraw is a message to the browser


class Line(AbstractContextManager):
    """One line of progress towards ``total``, or of a count without end where the total is not known. A context."""

    def __init__(self, title: str, total: float | None = None, completed: float = 0):
        shown = [TextColumn("{task.description}"), TimeElapsedColumn()]
        if total:  # the narrowest terminal is 80 columns wide: a short bar, and time as tqdm writes it, elapsed < left
            shown[1:1] = [BarColumn(6), TextColumn("{task.percentage:>3.0f}%")]
            shown += [TextColumn("<"), TimeRemainingColumn()]
        self._notebook, off = Console().is_jupyter, not processes.is_main()
        page = Console(file=io.StringIO(), width=120, color_system=None, force_jupyter=False)
        console = page if self._notebook else None  # a terminal's own
        self._progress = Progress(*shown, console=console, auto_refresh=not self._notebook, disable=off)
        self._task = self._progress.add_task(title, total=total, completed=completed)
        self._drawn, self._handle = 0.0, None
        begin = self._draw if self._notebook else self._progress.start
        begin()

    def update(self, completed: float, title: str | None = None) -> None:
        """Say how much is done by now, and what the line should be called."""
        self._progress.update(self._task, completed=completed, description=title)
        if self._notebook and time.monotonic() - self._drawn > REDRAW_SECONDS:
            self._draw()

    def close(self) -> None:
        end = self._draw if self._notebook else self._progress.stop
        end()

    def _draw(self) -> None:
        from IPython.display import display

        page = self._progress.console.file
        page.seek(page.truncate(0))
        self._progress.console.print(self._progress.get_renderable())
        text = {"text/plain": page.getvalue().rstrip()}
        if self._handle:
            self._handle.update(text, raw=True)
        else:
            self._handle = display(text, raw=True, display_id=True)
        self._drawn = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.close()


def track(items: Iterable, title: str, total: int) -> Iterator:
    """The items, with a line that counts them."""
    with Line(title, total) as line:
        for count, item in enumerate(items, 1):
            yield item
            line.update(count)
