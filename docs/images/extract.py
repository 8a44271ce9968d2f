"""The README's picture, taken out of the outputs of a notebook: python docs/images/extract.py (standard library)."""

import base64
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
# File -> the notebook, and what is in the cell that draws it.
PICTURES = {"road.png": ("00_start_here", "draw_road(")}


def extract(notebook: Path, drawn_by: str) -> bytes:
    """The first picture of the first cell with these words."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []) if drawn_by in "".join(cell["source"]) else []:
            if "image/png" in output.get("data", {}):
                return base64.b64decode("".join(output["data"]["image/png"]))
    raise SystemExit(f"error: no cell of {notebook.name} with {drawn_by!r} has a picture")


if __name__ == "__main__":
    for name, (notebook, drawn_by) in PICTURES.items():
        (HERE / name).write_bytes(extract(HERE.parents[1] / "notebooks" / f"{notebook}.ipynb", drawn_by))
