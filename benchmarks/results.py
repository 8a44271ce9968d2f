"""Results files: what a benchmark measured, when, on what, with which versions and settings. Notebooks read them."""

import datetime
import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path

from course_utils import artifacts
from course_utils.errors import CourseError
from course_utils.parameter_budgeting import device_title as device

FOLDER = Path(__file__).with_name("results")


def write(name: str, settings: dict, rows: list[dict]) -> Path:
    """Write ``results/<name>.json``; rows of other devices than this one stay."""
    path, here = FOLDER / f"{name}.json", device()
    others = [run for run in read(name) if run["device"] != here] if path.exists() else []
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers", "accelerate")}
    run = {
        "device": here, "date": datetime.date.today().isoformat(), "versions": versions, "settings": settings,
        "rows": rows,
    }  # fmt: skip
    artifacts.write_text(path, "[\n" + ",\n".join(map(_text, [*others, run])) + "\n]\n")  # whole after a kill
    return path


def _text(run: dict) -> str:
    """A run as JSON, a line for each of its rows."""
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in run["rows"])
    head = json.dumps({name: value for name, value in run.items() if name != "rows"}, ensure_ascii=False, indent=1)
    return f'{head[:-2]},\n "rows": [\n  {rows}\n ]\n}}'


def read(name: str) -> list[dict]:
    """The runs of a results file, one a device."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def rows_here(name: str) -> list[dict]:
    """The rows of this device in a results file; none where there is no file."""
    runs = read(name) if (FOLDER / f"{name}.json").exists() else []
    return next((run["rows"] for run in runs if run["device"] == device()), [])


def run(main: Callable[[], None]) -> None:
    """Call a script's main. What its user can put right is one line and exit code 2, as of the ``course`` command."""
    try:
        main()
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
