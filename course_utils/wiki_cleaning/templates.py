"""Templates that show text in a sentence: the functions that render them, and who is rendered by which.

The table of templates by family stands in ``zhwiki.toml``, a line a kind. A renderer gets the template's name in lower
case, its positional arguments and its named ones, all rendered already, and gives back what the reader sees. ``None``
in place of a renderer: the template shows no prose and is dropped. Names that the table does not know are dropped too
and counted as unknown, so that the report shows which rule is missing most.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache

from . import language_conversion as conversion
from . import units
from .formulas import chemical, readable, superscript
from .marks import ASIDE, ASIDE_END, HOLE, PIPE, SPOKEN, SPOKEN_END
from .tables import ZHWIKI

Renderer = Callable[[str, list[str], dict[str, str]], str]
Family = tuple[str, tuple[str, ...], Renderer | None]
UNKNOWN, RULES = "unknown", "conversion rules"
LANGUAGE_NAMES, LANGUAGE_CODES = ZHWIKI["languages"], ZHWIKI["iso639_3"]
CURRENCIES, COUNTRIES = ZHWIKI["currencies"], ZHWIKI["countries"] | ZHWIKI["country_names"]
LETTER, LATIN = re.compile(r"[^\W\d_]"), re.compile(r"[\W\d_]*[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
ELEMENTS = ZHWIKI["elements"]


def given(args: list[str], named: dict[str, str], *places: int | str) -> str:
    """The first of these arguments that is not empty: 2 is the second one, "text" the one of that name."""
    for place in places:
        if isinstance(place, str):
            if text := named.get(place):
                return text
        elif place <= len(args) and args[place - 1]:
            return args[place - 1]
    return ""


def first(args: list[str], named: dict[str, str]) -> str:
    return (args[0] if args else "") or named.get("text", "")


def last(args: list[str], named: dict[str, str]) -> str:
    return next(filter(None, reversed(args)), "") or named.get("text", "")


def birth_death(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}} -> 1881年9月25日－1936年10月19日; of the living only the birth.

    Years may be 前551年, 約1500年 or 不詳. The fifth argument is a sort key and never shown.
    """
    born, died = "".join(args[:2]), "".join(args[2:4])
    return f"{born or '？'}－{died}" if born or died else ""


def bracketed_birth_death(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{BD|…}} is {{bd|…}} with its own brackets."""
    text = birth_death(name, args, named)
    return text and f"{ASIDE}{text}{ASIDE_END}"


def date(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{birth date and age|1980|5|3}} -> 1980年5月3日. The age moves with the day of reading and stays away."""
    numbers = [arg for arg in args[:3] if re.fullmatch(r"\d{1,4}", arg)]
    if not numbers:
        return first(args, named)
    return "".join(f"{int(number)}{unit}" for number, unit in zip(numbers, "年月日", strict=False))


def age(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{age|1399|3|16|1435|1|31}} -> 35, the years between two dates. The age of today is not known here."""
    numbers = [int(arg) for arg in args[:6] if re.fullmatch(r"\d{1,4}", arg)]
    if len(numbers) < 6:
        return ""
    return str(numbers[3] - numbers[0] - (numbers[4:6] < numbers[1:3]))


def death_and_age(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{death date and age|1936|10|19|1881|9|25}} -> 1936年10月19日（55岁）."""
    years = age(name, args[3:6] + args[:3], named)
    return date(name, args, named) + (f"（{years}岁）" if years else "")


def as_written(*parts: str) -> str:
    """Text of another language, a ／ between its parts: its ideographs are not converted, 東京 stays 東京."""
    return conversion.as_written("／".join(filter(None, parts)))


def foreign_name(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lang-en|Beijing}}, {{langx|en|Beijing}} -> 英语：Beijing; {{rus|Киев|Kiyev}} -> 俄语：Киев，罗马化：Kiyev."""
    code = name.partition("-")[2]
    if not code and args:
        code, *args = args
    code = code.strip().lower()
    text, letters = as_written(first(args, named)), given(args, named, "translit", 2)
    if text and not LATIN.match(text) and LATIN.match(letters):
        text += f"，罗马化：{letters}"
    if text and (literal := given(args, named, "lit", "translation")):
        text += f"，直译：“{literal}”"
    code = LANGUAGE_CODES.get(code, code)
    language = LANGUAGE_NAMES.get(code) or LANGUAGE_NAMES.get(code.partition("-")[0])
    return f"{language}：{text}" if language and text and named.get("label") != "none" else text


def in_language(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lang|la|Panda}} -> Panda: the language's code stands first and is not shown."""
    text = named.get("text") or "".join(args[1:2] or args)
    return text if args and args[0].startswith("zh") else as_written(text)


def japanese_name(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{nihongo|东京|東京|Tōkyō}} -> 东京（日语：東京，Tōkyō）."""
    names = [as_written(*args[1:2]), named.get("romaji", ""), *args[2:4], named.get("extra", "")]
    shown, foreign = given(args, named, 1), "，".join(filter(None, names))
    return (f"{shown}（日语：{foreign}）" if shown and foreign else shown or foreign) + named.get("extra2", "")


def ruby(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{ruby|漢字|かんじ}} -> 漢字（かんじ）, as a browser that cannot stack them shows it."""
    base, reading = given(args, named, 1), given(args, named, 2)
    return f"{base}（{reading}）" if base and reading else base


def interlanguage_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{link-en|本地名|Foreign|显示}} shows 显示, or 本地名 where it is not given."""
    shown = named.get("d")
    if shown and not re.fullmatch(r"Q\d+", shown):  # the number of a Wikidata item
        return shown
    return given(args, named, "zh", 3, 1, "text", 2)


def multilingual_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{ill|本地名|en|Foreign|lt=显示}}; the older form is {{ill|en|本地名|Foreign|显示}}."""
    older = args and re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?", args[0])
    return given(args, named, "lt", 4, 2) if older else given(args, named, "lt", 1, "text")


def web_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{URL|https://example.org/|官网}} -> 官网, or the address without its scheme."""
    return given(args, named, 2) or re.sub(r"^\w+://", "", first(args, named)).rstrip("/")


def regional_word(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{地区用词|cn=硅|tw=矽|start=英语：silicon}} -> 硅（英语：silicon）."""
    word = given(args, named, "cn", "sg") or next(iter(named.values()), "")
    return word + (f"（{named['start']}）" if named.get("start") else "")


def claim(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{fact|a sentence|time=…}} shows the sentence; with a date alone it shows nothing of the text."""
    text = first(args, named)
    return "" if re.fullmatch(r"[\d\s年月日:+TZ-]*", text) else text


def grouped_number(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{formatnum:1234567}} -> 1,234,567; with |R the other way round."""
    text = first(args, named)
    return text.replace(",", "") if "R" in args[1:] else units.grouped(text)


def value(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{val|1.67|0.01|e=-27|u=kg}} -> 1.67±0.01×10⁻²⁷ kg, {{val|5|to|16|u=km2}} -> 5至16 km²."""
    numbers = [arg.replace(",", "") for arg in args]
    if named.get("fmt") == "commas":
        numbers = list(map(units.grouped, numbers))
    power = "×10" + exponent(named["e"]) if named.get("e") else ""
    text = "".join(numbers[:1])
    if len(args) > 2 and args[1] in units.RANGES:
        text += f"{power}{units.RANGES[args[1]]}{numbers[2]}"
    elif len(args) > 2:
        text += f"+{numbers[1]}−{numbers[2]}"
    elif len(args) > 1 and args[1]:
        text += args[1] if args[1].startswith("(") else f"±{numbers[1]}"
    unit = given(args, named, "u", "ul")
    if per := given(args, named, "up", "upl"):
        unit += f"/{per}"
    unit = re.sub(r"(?<=[A-Za-z])[-−]?\d\b", lambda match: exponent(match[0]), unit)
    return f"{named.get('p', '')}{text}{power}{' ' + unit if unit and unit != '%' else unit}{named.get('s', '')}"


def fraction(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{frac|1|2}} -> 1/2, {{frac|3|1|2}} -> 3+1/2, {{frac|2}} -> 1/2."""
    args = [arg for arg in args if arg]
    if len(args) > 2:
        return f"{args[0]}+{args[1]}/{args[2]}"
    return "/".join(args) if len(args) == 2 else f"1/{args[0]}" if args else ""


def exponent(text: str) -> str:
    """-6 -> ⁻⁶: in the templates' use what is raised is an exponent."""
    return superscript(text.replace("-", "−"))


def coordinates(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{coord|39|54|N|116|23|E}} -> 39°54′N 116°23′E; in the title of the page it shows nothing in the text."""
    if not re.fullmatch(r"|i|it|ti|.*inline.*", named.get("display", "")):
        return ""
    if len(args) > 1 and not {"N", "S", "E", "W"} & {arg.upper() for arg in args}:  # decimal degrees with signs
        pairs = [arg for arg in args[:2] if re.fullmatch(r"[-−]?[\d.]+", arg)]
        return " ".join(
            f"{arg.lstrip('-−')}°{ways[arg[0] in '-−']}" for arg, ways in zip(pairs, ("NS", "EW"), strict=False)
        )
    text, numbers = "", 0
    for arg in args:
        if re.fullmatch(r"-?[\d.]+", arg):
            text += arg + "°′″"[min(numbers, 2)]
            numbers += 1
        elif not arg:  # 34°00′ without seconds
            numbers += 1
        elif arg.upper() in ("N", "S", "E", "W"):
            text += arg.upper() + " "
            numbers = 0
        else:
            break
    return text.strip()


def flag(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{flag|USA}} -> 美国: the picture is dropped, the name stays."""
    place = given(args, named, "name", 1, "text")
    return COUNTRIES.get(place.lower(), place)


def country(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{CHN}} and {{USA|1896}}, a flag of that time -> 中国, 美国. What another template of that name shows stays."""
    text = given(args, named, "name", 1)
    return text if LETTER.search(text) and not text.isascii() else COUNTRIES[name.lower()]


ERAS = (("令和", 2019), ("平成", 1989), ("昭和", 1926), ("大正", 1912), ("明治", 1868))


def japanese_year(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{和暦|1942}} -> 1942年（昭和17年）; the year an era begins belongs to two and is shown alone."""
    year = first(args, named)
    begins = {int(year) - start + 1: era for era, start in ERAS if re.fullmatch(r"\d{4}", year) and int(year) >= start}
    nth = min(begins, default=1)
    return year and f"{year}年" + (f"（{begins[nth]}{nth}年）" if nth > 1 else "")


def plus_minus(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{±|0.1}} -> ±0.1, {{±|2|1}} -> +2−1; {{pm|text}} is another template."""
    if LETTER.search("".join(args)):
        return first(args, named)
    return "+" + "−".join(args) if len(args) > 1 else "±" + "".join(args)


def percentage(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{percentage|1|3|1}} -> 33.3%: the third argument says how many decimals."""
    try:
        share, whole, *places = (float(arg.replace(",", "")) for arg in args[:3])
        return f"{100 * share / whole:.{int(*places)}f}%"
    except (ValueError, ArithmeticError):
        return first(args, named) and first(args, named).rstrip("%") + "%"


def quotation(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{quote|text|author|work}} -> the text in a paragraph of its own, then ——author，work."""
    text = given(args, named, 1, "text", "quote", "content")
    signature = given(args, named, "author", "sign", 2), given(args, named, "source", 3)
    signed = "，".join(filter(None, signature)).lstrip("—－-– ")
    return "\n\n" + text.replace("\n", "\n\n") + "\n\n" + (f"——{signed}\n\n" if signed else "")


# Renderers of one expression, a line a kind.
SHORT: dict[str, Renderer] = {
    # {{as of|2020|1}} -> 截至2020年1月
    "as_of": lambda name, args, named: named.get("alt") or "截至" + date(name, args, named),
    "arxiv": lambda name, args, named: (
        "arXiv:" + "/".join(filter(None, (named.get("archive"), given(args, named, 1, "id", "eprint"))))
    ),
    "block": lambda name, args, named: f"\n\n{last(args, named) or named.get('content', '')}\n\n",
    "braket": lambda name, args, named: (
        ("⟨" if first(args, named).startswith("bra") else PIPE)
        + PIPE.join(args[1:3])
        + ("⟩" if first(args, named).endswith("ket") else PIPE)
    ),  # {{braket|ket|ψ}} -> |ψ⟩
    "chemistry": lambda name, args, named: chemical("".join(args)),  # {{chem|H|2|O}} and {{chem2|H2O}} -> H2O
    # {{化學式|鈀|氯|2}} -> PdCl2
    "chemistry_by_name": lambda name, args, named: chemical(
        "".join(ELEMENTS.get(conversion.to_simplified()(arg), arg) for arg in args)
    ),
    "circa": lambda name, args, named: "约" + "–".join(filter(None, args[:2])),  # {{circa|1500}} -> 约1500
    "condition": lambda name, args, named: given(args, named, 2 if first(args, named) else 3),  # {{#if:text|then|else}}
    "convert": lambda name, args, named: units.convert(args, named),  # {{convert|30|m|ft}} -> 30米（98英尺）
    "convert_short": lambda name, args, named: units.convert(args, {"abbr": "on", **named}),
    # {{currency|5|USD}} -> $5
    "currency": lambda name, args, named: (
        CURRENCIES.get("".join(args[1:2]).lower(), "") + units.grouped(first(args, named))
    ),
    "formula": lambda name, args, named: readable(first(args, named)),
    "inline_items": lambda name, args, named: f"\n\n{args[0]}\n\n" if len(args) == 1 else " · ".join(args),
    "items": lambda name, args, named: "\n\n" + "\n\n".join(args) + "\n\n",  # {{ubl|甲|乙}} -> a line an item
    "joined": lambda name, args, named: "".join(args),  # {{gaps|1|234}} -> 1234
    "keys": lambda name, args, named: "+".join(args),  # {{key press|Ctrl|C}} -> Ctrl+C
    "language_template": lambda name, args, named: foreign_name(f"lang-{name}", args, named),
    "last": lambda name, args, named: last(args, named),  # {{color|red|红}} -> 红
    "money": lambda name, args, named: CURRENCIES[name] + units.grouped(first(args, named)),  # {{US$|5}} -> $5
    "nuclide": lambda name, args, named: given(args, named, 2) + first(args, named),  # {{nuclide|U|235}} -> 235U
    "power": lambda name, args, named: "10" + exponent(first(args, named)),  # {{10^|6}} -> 10⁶
    "raised": lambda name, args, named: exponent(first(args, named)),  # {{sup|2}} -> ²
    "root": lambda name, args, named: "√" + first(args, named),
    "spoken": lambda name, args, named: f"{SPOKEN}{last(args, named)}{SPOKEN_END}",
    "stacked": lambda name, args, named: exponent(given(args, named, "p", 1)) + given(args, named, "b", 2),
    "sub_and_sup": lambda name, args, named: "".join(args[:2]) + exponent("".join(args[2:3])),  # {{subsup|x|1|2}}
    # {{e|6}} -> ×10⁶
    "times_power": lambda name, args, named: (
        "×10" + exponent(args[0]) if args and len(args[0]) < 5 else first(args, named)
    ),
    "written_first": lambda name, args, named: as_written(first(args, named)),  # {{lj|東京}} -> 東京
}


def _renderer(line: dict) -> Renderer | None:
    """What a line of the table in ``zhwiki.toml`` says of its templates; its head says what it can hold."""

    def in_scripts(name: str, args: list[str], named: dict[str, str]) -> str:
        texts = ((form, as_written(given(args, named, *places))) for form, *places in line["forms"])
        shown = "".join(form.format(text) for form, text in texts if text).lstrip("；，／ ")
        return shown and line.get("label", "") + shown

    def formatted(name: str, args: list[str], named: dict[str, str]) -> str:
        shown = [given(args, named, *line["shows"])] if "shows" in line else args
        return line["format"].format(*shown, "", "") if shown and shown[0] else ""

    def constant(name: str, args: list[str], named: dict[str, str]) -> str:
        return args[0] if args and LETTER.search(args[0]) else line["text"]

    if "renderer" in line:
        return SHORT.get(line["renderer"]) or globals()[line["renderer"]]
    kinds = {"forms": in_scripts, "format": formatted, "text": constant}
    kinds["words"] = lambda name, args, named: line["words"].get(first(args, named).lower(), "")
    kinds["shows"] = lambda name, args, named: given(args, named, *line["shows"])
    return next((kinds[kind] for kind in kinds if kind in line), None)


def _names(line: dict) -> tuple[str, ...]:
    """The templates of a line. Those of countries are in upper case: {{vie}} is not {{VIE}}; but {{China}} is."""
    names = line["names"]
    if names != "countries":
        return tuple(ZHWIKI[names] if isinstance(names, str) else names)
    return tuple(name if len(name) > 4 and name.replace(" ", "").isalpha() else name.upper() for name in ZHWIKI[names])


FAMILIES: tuple[Family, ...] = tuple((line["family"], _names(line), _renderer(line)) for line in ZHWIKI["families"])


@cache
def finder(families: tuple[Family, ...]) -> Callable[[str], tuple[str, str, Renderer | None]]:
    """A function: template name as written -> (name in lower case, family, renderer or None). Earlier families win."""
    exact: dict[str, tuple[str, Renderer | None]] = {}
    patterns: list[tuple[str, str, Renderer | None]] = []
    for family, names, render in families:
        for name in names:
            if "*" in name:
                patterns.append((name, family, render))
            else:
                exact.setdefault(name, (family, render))

    @lru_cache(maxsize=20_000)  # the Chinese Wikipedia calls some ten thousand templates; a bound keeps memory constant
    def find(written: str) -> tuple[str, str, Renderer | None]:
        spelled = " ".join(written[:80].replace("_", " ").replace(HOLE, " ").split())
        spelled = re.sub(r"^(?:template|模板|樣板|msg|subst|safesubst)\s*:\s*", "", spelled, flags=re.I)
        for name in (spelled, spelled.lower()):
            if name in exact:
                return name, *exact[name]
        for pattern, family, render in patterns:
            if (name.startswith if pattern.endswith("*") else name.endswith)(pattern.strip("*")):
                return name, family, render
        return name, UNKNOWN, None

    return find
