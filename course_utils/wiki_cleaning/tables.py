"""The tables of this room, which are data and stand as TOML beside the code, for readers to add to.

``zhwiki.toml``: names of the Chinese Wikipedia, its templates first. ``symbols.toml``: signs of formulas and units.
"""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
ZHWIKI, SYMBOLS = (tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")) for name in ("zhwiki", "symbols"))
