"""Execute notebooks from the command line: progress by cell, an executed copy, an error that names its cell."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ..artifacts import shown, write_text
from ..claims import false_claims
from ..errors import CourseError, Stopped
from ..profiles import Profile
from ..progress import MESSAGE, Line


def execute(book: Path, profile: Profile) -> tuple[float, list[str]]:
    """Run a notebook top to bottom in its own folder and write the executed copy. -> (seconds, claims that are false).
    A cell may take days. The copy, whole or up to the failing cell, goes to ``artifacts/<profile>/notebooks``; the
    notebook itself is not touched. Raises CourseError naming the cell that failed, Stopped after Ctrl-C or SIGTERM."""
    import nbformat
    from nbclient.exceptions import CellExecutionError

    if not book.is_file():
        raise CourseError(f"{shown(book)} is missing: name a notebook")
    notebook = nbformat.read(book, as_version=4)
    started = time.perf_counter()
    with Line(f"{book.stem}, cells", sum(cell.cell_type == "code" for cell in notebook.cells), brief=True) as line:
        client = _client(notebook, book, line)
        try:
            client.execute(env={**os.environ, "COURSE_PROFILE": profile.name})
        except (CellExecutionError, RuntimeError) as error:
            if client.signal:
                where = f"{shown(book)}: stopped in cell {client.cell}"
                message = f"{where}; what was finished is kept, the same command goes on"
                raise Stopped(message, 128 + client.signal) from error
            cause = _failure(notebook) or f"its kernel ended in cell {client.cell} (out of memory?)"
            raise CourseError(f"{shown(book)}: {cause}: open it with `make lab` and run that cell") from error
        finally:
            out = profile.dir("notebooks") / book.name
            write_text(out, nbformat.writes(notebook) + "\n")
    claims = [text for cell in notebook.cells for text in false_claims(cell.get("outputs", []))]
    return time.perf_counter() - started, claims


def _client(notebook, book: Path, line: Line):
    """Runs the cells, and shows the running cell's own line of progress, which comes with what the cell displays. Told
    to stop, it interrupts the cell and waits for it, so that a training can save; told twice it ends the kernel."""
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    class Client(NotebookClient):
        cell, done, signal = 0, 0, 0  # number of the running cell; how much has run; what told it to stop
        share = _shares(notebook)

        def process_message(self, message, cell, cell_index):
            if text := (message["content"].get("transient") or {}).get(MESSAGE):
                line.update(self.done, f"{self.title} · {text}")
            return super().process_message(message, cell, cell_index)

        def starts(self, cell, cell_index):
            if self.signal:
                raise DeadKernelError("stopped between two cells")
            self.cell = cell_index + 1
            self.title = f"{book.stem.partition('_')[0]}, cell {self.cell} of {len(notebook.cells)}"
            line.update(self.done, self.title)

        def ran(self, cell, cell_index, execute_reply):
            self.done += self.share[cell_index]
            line.update(self.done, self.title)

        async def async_start_new_kernel(self, **kwargs):
            with suppress(NotImplementedError, RuntimeError):  # on Windows, and outside the main thread
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, self.stop, number)
            await super().async_start_new_kernel(**kwargs)

        def stop(self, number):
            end = self.km.shutdown_kernel(now=True) if self.signal else self.km.interrupt_kernel()
            self.signal = number
            self.ending = asyncio.ensure_future(end)

    client = Client(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(book.parent.resolve())}},
        extra_arguments=["--log-level=CRITICAL"],
    )  # fmt: skip
    client.on_cell_execute, client.on_cell_executed = client.starts, client.ran
    return client


def _seconds_before(notebook) -> dict[int, float]:
    """Index -> seconds of each code cell when its outputs were made, as far as the notebook says."""
    found = {}
    for index, cell in enumerate(notebook.cells):
        when = cell.metadata.get("execution", {})
        if cell.cell_type == "code" and {"iopub.execute_input", "shell.execute_reply"} <= when.keys():
            begun, ended = map(datetime.fromisoformat, (when["iopub.execute_input"], when["shell.execute_reply"]))
            found[index] = max((ended - begun).total_seconds(), 0.01)
    return found


def _shares(notebook) -> dict[int, float]:
    """Index -> how much of the notebook's work a code cell is. They add up to the number of the cells. What time each
    took before tells it, or else they are alike: a training is not one of a hundred."""
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    before = _seconds_before(notebook)
    if set(before) != set(code):
        return dict.fromkeys(code, 1)
    return {index: len(code) * seconds / sum(before.values()) for index, seconds in before.items()}


def _failure(notebook) -> str:
    """The failed cell's number and error in one line, or nothing."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number} failed with {output.ename}: {output.evalue.partition(chr(10))[0]}"
    return ""
