"""``{{convert|8848.86|m|ft}}`` as the reader sees it: 8,848.86米（29,031.7英尺）.

The units and their factors stand in ``units.toml``. The default precision is that of Module:Convert, as its
documentation states it (https://en.wikipedia.org/wiki/Template:Convert, "Default rounding").
"""

import math
import re
from collections.abc import Iterable

from . import tables

UNITS, RANGES = tables.UNITS["units"], tables.UNITS["ranges"]
CALLED = {name: unit for unit, entry in UNITS.items() for name in (unit, *entry.get("also", ()))}


def convert(args: list[str], named: dict[str, str]) -> str:
    """The arguments of ``{{convert}}`` -> number and unit, and in brackets the same in the other unit if known."""
    numbers, joins, rest = args[:1], [], args[1:]
    while len(rest) > 1 and rest[0] in RANGES:
        joins.append(RANGES[rest[0]])
        numbers.append(rest[1])
        rest = rest[2:]
    shown = _joined(map(grouped, numbers), joins)
    if not rest:
        return shown
    abbreviation = named.get("abbr", "")
    short = abbreviation == "on" or "sp" in abbreviation
    unit = CALLED.get(rest[0])
    shown += _unit(unit, short) if unit else rest[0]
    if not unit or named.get("disp") in ("number", "preunit"):
        return shown
    target = next((CALLED[name] for name in rest[1:] if name in CALLED), UNITS[unit].get("to", unit))
    if UNITS[target]["kind"] != UNITS[unit]["kind"] or target == unit:
        return shown
    digits = next((int(arg) for arg in rest[1:] if re.fullmatch(r"-?\d", arg)), None)
    try:
        others = [_in_other_unit(number, UNITS[unit], UNITS[target], digits) for number in numbers]
    except ValueError:  # no number: the writer's words stand alone
        return shown
    other = _joined(others, joins) + _unit(target, short)
    return other if named.get("disp") == "out" else f"{shown}（{other}）"


def _in_other_unit(number: str, unit: dict, target: dict, digits: int | None) -> str:
    plain = number.replace(",", "").replace("−", "-").strip()
    value = float(plain)
    if unit["kind"] == "temperature":
        result, ratio = (value * unit["si"] + unit["zero"] - target["zero"]) / target["si"], 1.0
    else:
        ratio = unit["si"] / target["si"]
        result = value * ratio
    if digits is None:
        decimals = len(plain.partition(".")[2]) or -(len(plain) - len(plain.rstrip("0")))
        digits = decimals - math.floor(math.log10(ratio) + math.log10(5))  # 0.2 to 2: as precise; 2 to 20: one less
        if result:
            digits = max(digits, 1 - math.floor(math.log10(abs(result))))  # but never less than two figures
    return f"{round(result, digits):,.{max(digits, 0)}f}".replace("-", "−")


def grouped(number: str) -> str:
    """1234567.5 -> 1,234,567.5; what is no plain number stays as it is."""
    number = number.strip()
    if not re.fullmatch(r"[-−+]?\d{4,}(\.\d+)?", number):
        return number
    whole, dot, decimals = number.partition(".")
    return f"{int(whole.replace('−', '-')):,}".replace("-", "−") + dot + decimals


def _joined(numbers: Iterable[str], joins: list[str]) -> str:
    return "".join(number + join for number, join in zip(numbers, [*joins, ""], strict=False))


def _unit(unit: str, short: bool) -> str:
    entry = UNITS[unit]
    return " " + entry.get("symbol", unit).replace("2", "²").replace("3", "³") if short else entry["name"]
