"""Execute notebooks from the command line: progress by cell, an executed copy, an error that names its cell."""

import os
import time
from itertools import count
from pathlib import Path

from .artifacts import shown
from .claims import false_claims
from .errors import CourseError
from .profiles import Profile
from .progress import Line

CELL_SECONDS = 24 * 3600  # a cell may pretrain


def execute(book: Path, profile: Profile) -> tuple[float, list[str]]:
    """Run a notebook top to bottom in its own folder and write the executed copy. -> (seconds, claims that are false).
    The copy, whole or up to the failing cell, goes to ``artifacts/<profile>/notebooks``; the notebook itself is not
    touched. Raises CourseError naming the cell that failed."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    if not book.is_file():
        raise CourseError(f"{shown(book)} is missing: name a notebook")
    notebook = nbformat.read(book, as_version=4)
    cells, done = sum(cell.cell_type == "code" for cell in notebook.cells), count(1)
    started = time.perf_counter()
    with Line(f"{book.stem}, cells", cells) as line:
        client = NotebookClient(
            notebook, timeout=CELL_SECONDS, kernel_name="python3",
            resources={"metadata": {"path": str(book.parent.resolve())}},
            on_cell_executed=lambda cell, cell_index, execute_reply: line.update(next(done)),
        )  # fmt: skip
        try:
            client.execute(env={**os.environ, "COURSE_PROFILE": profile.name})
        except CellExecutionError as error:
            message = f"{shown(book)}: {_failure(notebook)}: open it with `make lab` and run that cell"
            raise CourseError(message) from error
        finally:
            out = profile.dir("notebooks") / book.name
            out.parent.mkdir(parents=True, exist_ok=True)
            partial = out.with_name(f".{out.name}.partial")
            nbformat.write(notebook, partial)
            partial.replace(out)
    claims = [text for cell in notebook.cells for text in false_claims(cell.get("outputs", []))]
    return time.perf_counter() - started, claims


def _failure(notebook) -> str:
    """The failed cell's number and error in one line."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number} failed with {output.ename}: {output.evalue.partition(chr(10))[0]}"
    return "a cell failed"
