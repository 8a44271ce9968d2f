"""``{{convert|8848.86|m|ft}}`` as the reader sees it: 8,848.86米（29,031.7英尺）.

Factors are exact definitions in SI units (BIPM, SI Brochure, 9th edition; international yard and pound, 1959).
The default precision is that of Module:Convert, as its documentation states it
(https://en.wikipedia.org/wiki/Template:Convert, "Default rounding").
"""

import math
import re

# unit: (name, symbol, kind, factor to the kind's SI unit, unit to convert to where the writer names none)
UNITS = {
    "km": ("公里", "km", "length", 1000.0, "mi"),
    "m": ("米", "m", "length", 1.0, "ft"),
    "cm": ("厘米", "cm", "length", 0.01, "in"),
    "mm": ("毫米", "mm", "length", 0.001, "in"),
    "nm": ("纳米", "nm", "length", 1e-9, ""),
    "μm": ("微米", "μm", "length", 1e-6, ""),
    "mi": ("英里", "mi", "length", 1609.344, "km"),
    "nmi": ("海里", "nmi", "length", 1852.0, "km"),
    "yd": ("码", "yd", "length", 0.9144, "m"),
    "ft": ("英尺", "ft", "length", 0.3048, "m"),
    "in": ("英寸", "in", "length", 0.0254, "mm"),
    "ly": ("光年", "ly", "length", 9.4607304725808e15, ""),
    "AU": ("天文单位", "AU", "length", 149597870700.0, "km"),
    "km2": ("平方公里", "km2", "area", 1e6, "sqmi"),
    "m2": ("平方米", "m2", "area", 1.0, "sqft"),
    "ha": ("公顷", "ha", "area", 1e4, "acre"),
    "acre": ("英亩", "acre", "area", 4046.8564224, "ha"),
    "sqmi": ("平方英里", "sq mi", "area", 2589988.110336, "km2"),
    "sqft": ("平方英尺", "sq ft", "area", 0.09290304, "m2"),
    "m3": ("立方米", "m3", "volume", 1.0, "cuft"),
    "cuft": ("立方英尺", "cu ft", "volume", 0.028316846592, "m3"),
    "km3": ("立方公里", "km3", "volume", 1e9, ""),
    "L": ("升", "L", "volume", 0.001, ""),
    "kg": ("公斤", "kg", "mass", 1.0, "lb"),
    "g": ("克", "g", "mass", 0.001, "oz"),
    "t": ("吨", "t", "mass", 1000.0, ""),
    "lb": ("磅", "lb", "mass", 0.45359237, "kg"),
    "oz": ("盎司", "oz", "mass", 0.028349523125, "g"),
    "km/h": ("公里每小时", "km/h", "speed", 1 / 3.6, "mph"),
    "mph": ("英里每小时", "mph", "speed", 0.44704, "km/h"),
    "m/s": ("米每秒", "m/s", "speed", 1.0, "ft/s"),
    "ft/s": ("英尺每秒", "ft/s", "speed", 0.3048, "m/s"),
    "kn": ("节", "kn", "speed", 1852 / 3600, "km/h"),
    "W": ("瓦", "W", "power", 1.0, "hp"),
    "kW": ("千瓦", "kW", "power", 1000.0, "hp"),
    "MW": ("兆瓦", "MW", "power", 1e6, "hp"),
    "hp": ("马力", "hp", "power", 745.69987158227, "kW"),
    "C": ("℃", "°C", "temperature", 1.0, "F"),
    "F": ("℉", "°F", "temperature", 1.0, "C"),
    "K": ("K", "K", "temperature", 1.0, "C"),
}
ALIASES = {
    "km²": "km2", "sqkm": "km2", "km^2": "km2", "m²": "m2", "sqm": "m2", "m^2": "m2", "kilometre": "km",
    "kilometres": "km", "kilometer": "km", "kilometers": "km", "metre": "m", "metres": "m", "meter": "m", "meters": "m",
    "mile": "mi", "miles": "mi", "foot": "ft", "feet": "ft", "inch": "in", "inches": "in", "hectare": "ha",
    "sq mi": "sqmi",
    "acres": "acre", "kilogram": "kg", "pound": "lb", "pounds": "lb", "tonne": "t", "tonnes": "t", "l": "L",
    "°C": "C", "°F": "F", "knots": "kn", "kph": "km/h", "kmh": "km/h", "NM": "nmi", "um": "μm", "µm": "μm",
    "公里": "km", "米": "m", "公尺": "m", "英里": "mi", "英尺": "ft", "公斤": "kg",
}  # fmt: skip
RANGES = {
    "-": "–", "–": "–", "to": "至", "to(-)": "–", "and": "和", "and(-)": "–", "by": "×", "x": "×", "×": "×",
    "or": "或", "+/-": "±", "±": "±",
}  # fmt: skip
TO_KELVIN = {"C": (1.0, 273.15), "F": (5 / 9, 459.67 * 5 / 9), "K": (1.0, 0.0)}  # kelvin = factor × degrees + offset


def convert(args: list[str], named: dict[str, str]) -> str:
    """The arguments of ``{{convert}}`` -> number and unit, and in brackets the same in the other unit if known."""
    numbers, joins, rest = [], [], list(args)
    while rest:
        numbers.append(rest.pop(0))
        if len(rest) > 1 and rest[0] in RANGES:
            joins.append(RANGES[rest.pop(0)])
        else:
            break
    if not rest:
        return _joined([grouped(number) for number in numbers], joins)
    unit = ALIASES.get(rest[0], rest[0])
    short = named.get("abbr") == "on" or "sp" in named.get("abbr", "")
    shown = _joined([grouped(number) for number in numbers], joins) + _unit(unit, short, rest[0])
    if unit not in UNITS or named.get("disp") in ("number", "preunit"):
        return shown
    target = next((ALIASES.get(name, name) for name in rest[1:] if ALIASES.get(name, name) in UNITS), UNITS[unit][4])
    if not target or UNITS[target][2] != UNITS[unit][2] or target == unit:
        return shown
    digits = next((int(arg) for arg in rest[1:] if re.fullmatch(r"-?\d", arg)), None)
    try:
        others = [_in_other_unit(number, unit, target, digits) for number in numbers]
    except ValueError:  # no number: the writer's words stand alone
        return shown
    other = _joined(others, joins) + _unit(target, True if named.get("abbr") == "on" else short, target)
    return other if named.get("disp") == "out" else f"{shown}（{other}）"


def _in_other_unit(number: str, unit: str, target: str, digits: int | None) -> str:
    plain = number.replace(",", "").replace("−", "-").strip()
    value = float(plain)
    if UNITS[unit][2] == "temperature":
        factor, offset = TO_KELVIN[unit]
        other_factor, other_offset = TO_KELVIN[target]
        result, ratio = (value * factor + offset - other_offset) / other_factor, 1.0
    else:
        ratio = UNITS[unit][3] / UNITS[target][3]
        result = value * ratio
    if digits is None:
        decimals = len(plain.partition(".")[2]) or -(len(plain) - len(plain.rstrip("0")))
        digits = decimals - math.floor(math.log10(ratio) + math.log10(5))  # 0.2 to 2: as precise; 2 to 20: one less
        if result:
            digits = max(digits, 1 - math.floor(math.log10(abs(result))))  # but never less than two figures
    rounded = round(result, digits)
    return f"{rounded:,.{max(digits, 0)}f}".replace("-", "−")


def grouped(number: str) -> str:
    """1234567.5 -> 1,234,567.5; what is no plain number stays as it is."""
    if not re.fullmatch(r"[-−+]?\d{4,}(\.\d+)?", number.strip()):
        return number.strip()
    whole, dot, decimals = number.strip().partition(".")
    return f"{int(whole.replace('−', '-')):,}".replace("-", "−") + dot + decimals


def _joined(numbers: list[str], joins: list[str]) -> str:
    return "".join(number + join for number, join in zip(numbers, [*joins, ""], strict=False))


def _unit(unit: str, short: bool, written: str) -> str:
    if unit not in UNITS:
        return written
    return " " + UNITS[unit][1].replace("2", "²").replace("3", "³") if short else UNITS[unit][0]
