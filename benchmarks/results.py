"""Results files: what a benchmark measured, when, on what, with which versions and settings. Notebooks read them."""

import datetime
import importlib.metadata
import json
from pathlib import Path

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
    FOLDER.mkdir(exist_ok=True)
    path.write_text(json.dumps([*others, run], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def read(name: str) -> list[dict]:
    """The runs of a results file, one a device."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
