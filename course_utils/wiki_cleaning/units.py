"""``{{convert|8848.86|m|ft}}`` as the reader sees it: 8,848.86米（29,031.7英尺）.

The units and their factors stand in ``units.toml``; a quotient such as kg/m3 and a multiple such as e6km2 are put
together from their parts. Options and default precision are those of Module:Convert, as its documentation states them
(https://en.wikipedia.org/wiki/Template:Convert and https://en.wikipedia.org/wiki/Help:Convert).
"""

import math
import re
from collections.abc import Iterable
from functools import lru_cache

from . import tables
from .formulas import superscript

RANGES, MIXED, PREFIXES = tables.UNITS["ranges"], tables.UNITS["mixed"], tables.UNITS["prefixes"]
QUOTIENTS, DISPLAYS = tables.UNITS["quotients"], tables.UNITS["displays"]
NOTHING = {"name": "", "symbol": "", "kind": "", "si": 1.0, "to": ""}  # above the line of /km2
WORDS = "|".join(sorted(map(re.escape, set(RANGES) - {"/", "+", ","}), key=len, reverse=True))
RANGE = re.compile(rf"(?<=[\d.])\s*({WORDS})\s*(?=[-−+]?\d)")  # within an argument, 3-5
FIRST_SHORT, BOTH_SHORT = ("on", "unit", "h", "hh", "values", "in"), ("on", "unit", "h", "hh", "values")
INTEGER = re.compile(r"-?[0-9]|1[0-9]")
FRACTION = re.compile(r"([-+]?)(?:(\d{1,9})\+)?(\d{1,9})//?([1-9]\d{0,8})")
NUMBER = re.compile(r"[-+]?(\d{0,30})(?:\.(\d{0,30}))?(?:[eE]([-+]?\d{1,2}))?")


def _with_prefix(sign: str, entry: dict) -> dict:
    """k and the metre -> the kilometre; e6 and the gallon -> a million gallons."""
    name, power = PREFIXES[sign]
    made = {**entry, "name": name + entry["name"], "symbol": sign + entry["symbol"], "si": entry["si"] * 10.0**power}
    if sign[1:].isdigit():
        made["symbol"] = f"×10{superscript(str(power))} {entry['symbol']}"
        made["to"] = " ".join(sign + code for code in entry["to"].split())
    return made


def _called() -> dict[str, dict]:
    """Every way to write a unit -> what is known of it. What is written out in the table goes before prefixes."""
    entries = {unit: {"symbol": unit, "to": "", **entry} for unit, entry in tables.UNITS["units"].items()}
    called = {
        spelled + unit: _with_prefix(sign, entry)
        for unit, entry in entries.items()
        for sign in entry.get("prefixes", "").split()
        for spelled in ("μuµ" if sign == "μ" else [sign])
    }
    return called | {name: entry for unit, entry in entries.items() for name in (*entry.get("also", ()), unit)}


CALLED = _called()


@lru_cache(maxsize=1000)
def unit(code: str) -> dict | None:
    """What is known of a unit, by any of its names."""
    if code in CALLED or len(code) > 30:
        return CALLED.get(code)
    if (multiple := re.fullmatch(r"(e\d\d?)(\D.*)", code)) and multiple[1] in PREFIXES:
        return (entry := unit(multiple[2])) and _with_prefix(multiple[1], entry)
    for sign in "/:":
        over, found, under = code.rpartition(sign)
        if found and (above := unit(over) if over else NOTHING) and (below := unit(under)):
            parts = {key: f"{above[key]}/{below[key]}" for key in ("kind", "symbol")}
            default = " ".join(f"{to}{sign}{under}" for to in above["to"].split())
            name, to = f"{above['name']}每{below['name']}", QUOTIENTS.get(code, default)
            return {**parts, "name": name, "si": above["si"] / below["si"], "to": to}
    return None


def _targets(code: str) -> list[list[dict]]:
    """What a target names: units, each a list, which has several members for 5英尺11英寸."""
    codes = [code] if unit(code) or code in MIXED else code.replace("+", " ").split()
    found = [[unit(part) for part in MIXED.get(one, [one])] for one in codes]
    return found if all(map(all, found)) else []


def convert(args: list[str], named: dict[str, str]) -> str:
    """The arguments of ``{{convert}}`` -> number and unit, and in brackets the same in the other units if known."""
    numbers, joins, rest = _numbers(args)
    shown = _joined(map(_as_typed, numbers), joins)
    if not rest:
        return shown
    abbreviation, display, adjective = (named.get(option, "") for option in ("abbr", "disp", "adj"))
    money = named.get("$", "$") if rest[0].startswith("$/") else ""  # $/km, a price per kilometre
    source, values = unit(rest[0].removeprefix("$")), [_value(number) for number in numbers]
    if not source:
        return shown + (" " if re.match(r"[A-Za-zµμ°/%]", rest[0]) else "") + rest[0]
    while len(rest) > 2 and values[0] and (part := unit(rest[2])) and _is_part(part, source) and _value(rest[1]):
        value, decimals = _value(rest[1])  # 5 feet 11 inches: 71 inches
        values = [(values[0][0] * round(source["si"] / part["si"]) + value, max(decimals, 0))]
        shown += _unit(source, abbreviation, FIRST_SHORT) + _as_typed(rest[1])
        source, rest = part, rest[2:]
    after = rest[1:]
    target = after.pop(0) if after and not INTEGER.fullmatch(after[0]) else ""
    digits = int(after.pop(0)) if after and INTEGER.fullmatch(after[0]) else None
    before = after if adjective == "pre" or display == "preunit" else []  # words of the writer before the unit
    name = _unit(source, abbreviation, FIRST_SHORT)
    shown = money + shown + "".join(before[:1]) + name + "".join(after[:1] if adjective == "mid" else [])
    others, bare, names = [], [], []
    for units in _targets((target or source["to"]).replace("$", "")):
        if None not in values and units[0]["kind"] == source["kind"] and units != [source]:
            names.append(_unit(units[-1], abbreviation, BOTH_SHORT))
            bare.append(money + _joined(_converted(values, joins, source, units, digits, named), joins))
            others.append(bare[-1] + "".join(before[1:2]) + names[-1])
    if not others:
        return shown
    other = "；".join(others)
    if "flip" in (named.get("order"), display):
        shown, other = other, shown
    if display == "x" and len(after) > 1:
        return shown + after[0] + other + after[1]
    form = DISPLAYS.get(display, DISPLAYS["b"])
    return form.format(shown, other, "；".join(bare), name.strip(), "；".join(names).strip())


def _numbers(args: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The numbers in front, what stands between them, and the other arguments."""
    if args and "/" not in args[0]:
        args = [*RANGE.split(args[0]), *args[1:]]
    numbers, joins, rest = args[:1], [], args[1:]
    while len(rest) > 1 and rest[0] in RANGES:
        joins.append(RANGES[rest[0]])
        numbers.append(rest[1])
        rest = rest[2:]
    return numbers, joins, rest


def _value(text: str) -> tuple[float, int] | None:
    """A number as written -> its value, and to how many decimals it is meant: 1200 to -2, 1.23e3 to -1."""
    plain = text.replace(",", "").replace("−", "-").strip()
    if match := FRACTION.fullmatch(plain):
        value = int(match[2] or 0) + int(match[3]) / int(match[4])
        return (-value if match[1] == "-" else value), max(1, round(math.log10(int(match[4]))))
    match = NUMBER.fullmatch(plain)
    if not match or not (match[1] or match[2]):
        return None
    decimals = len(match[2]) if match[2] else -(len(match[1]) - len(match[1].rstrip("0")))
    return float(plain), decimals - int(match[3] or 0)


def _is_part(part: dict, whole: dict) -> bool:
    """Inches are part of feet: a foot is a whole number of them."""
    ratio = whole["si"] / part["si"]
    return part["kind"] == whole["kind"] and ratio > 1.5 and abs(ratio - round(ratio)) < 1e-9


def _converted(values, joins, source: dict, units: list[dict], digits: int | None, named: dict) -> list[str]:
    """The numbers in the last of the units, rounded as the writer says or else all to the most precise default."""
    target, results, texts = units[-1], [], []
    for (value, _), join in zip(values, ["", *joins], strict=False):
        zeros = [0.0 if join == "±" else entry.get("zero", 0.0) for entry in (source, target)]  # a tolerance has none
        si = source["si"] / (value or math.inf) if "over" in source else value * source["si"] + zeros[0]
        results.append(target["si"] / (si or math.inf) if "over" in target else (si - zeros[1]) / target["si"])
    if (step := _value(named.get("round", ""))) and step[0] > 0:
        results, digits = [_half_up(result / step[0], 0) * step[0] for result in results], max(step[1], 0)
    defaults = [_default(*value, result, source, target) for value, result in zip(values, results, strict=True)]
    figures = int(named["sigfig"]) if re.fullmatch("[1-9]", named.get("sigfig", "")) else 0
    scientific = any(abs(result) >= 1e9 or 0 < abs(result) < 1e-4 for result in results)
    for result, default in zip(results, defaults, strict=True):
        places = digits if digits is not None else default if named.get("round") == "each" else max(defaults)
        if figures and result:
            places = figures - 1 - math.floor(math.log10(abs(result)))
        texts.append(_written(result, units, digits or 0 if len(units) > 1 else places, scientific))
    return texts


def _default(value: float, decimals: int, result: float, source: dict, target: dict) -> int:
    """Decimals by default: as precise as the input, and at least two figures, or three of a temperature in kelvin."""
    if "zero" in source:
        kelvin = abs(value * source["si"] + source["zero"])
        return max(decimals, 2 - math.floor(math.log10(kelvin)) if kelvin > 1e-8 else 2)
    if not value or not result:
        return 0
    least = 1 - math.floor(math.log10(abs(result)) + 1e-14)
    return max(math.floor(decimals + math.log10(abs(value / result)) + math.log10(2)), least)


def _half_up(value: float, places: int) -> float:
    return math.copysign(math.floor(abs(value) * 10.0**places + 0.5) / 10.0**places, value)


def _written(value: float, units: list[dict], places: int, scientific: bool) -> str:
    if len(units) > 1:  # 71 inches: 5 feet 11
        rest, text = _half_up(value, places), ""
        for larger in units[:-1]:
            whole, rest = divmod(rest, round(larger["si"] / units[-1]["si"]))
            text += f"{whole:,.0f}{larger['name']}" if whole else ""
        return text + f"{rest:.{max(places, 0)}f}"
    power = math.floor(math.log10(abs(value))) if scientific and value else 0
    text = f"{_half_up(value / 10.0**power, places + power) + 0.0:,.{max(places + power, 0)}f}".replace("-", "−")
    return text + (f"×10{superscript(str(power).replace('-', '−'))}" if power else "")


def grouped(number: str) -> str:
    """1234567.5 -> 1,234,567.5; what is no plain number stays as it is."""
    number = number.strip()
    if not re.fullmatch(r"[-−+]?\d{4,30}(\.\d+)?", number):
        return number
    whole, dot, decimals = number.partition(".")
    return f"{int(whole.replace('−', '-')):,}".replace("-", "−") + dot + decimals


def _as_typed(number: str) -> str:
    """The writer's number: grouped, its exponent raised, 1.2e6 -> 1.2×10⁶."""
    mantissa, e, power = number.strip().lower().partition("e")
    if e and _value(number):
        return f"{mantissa}×10{superscript(power.replace('-', '−').lstrip('+'))}"
    return re.sub("^-", "−", grouped(number)).replace("//", "/")


def _joined(numbers: Iterable[str], joins: list[str]) -> str:
    return "".join(number + join for number, join in zip(numbers, [*joins, ""], strict=False))


def _unit(entry: dict, abbreviation: str, short: tuple[str, ...]) -> str:
    """A unit's name, or its symbol where the writer says so."""
    symbol = "" if abbreviation == "values" else entry["symbol"]
    return (" " if symbol and symbol[0] not in "/×" else "") + symbol if abbreviation in short else entry["name"]
