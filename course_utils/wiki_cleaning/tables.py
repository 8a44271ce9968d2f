"""The tables of this room, which are data and stand as TOML beside the code, for readers to add to.

``zhwiki.toml``: names of the Chinese Wikipedia, its templates first. ``formulas.toml``: signs of TeX. ``units.toml``:
what ``{{convert}}`` knows. ``words.toml``: words of Taiwan and Hong Kong as a reader in mainland China knows them.
"""

import tomllib
from pathlib import Path


def _read(name: str) -> dict:
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8"))


ZHWIKI, WORDS, FORMULAS, UNITS = map(_read, ("zhwiki", "words", "formulas", "units"))
