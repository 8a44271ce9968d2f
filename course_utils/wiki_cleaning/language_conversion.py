"""The language converter of the Chinese Wikipedia, as a reader who chose 大陆简体 (zh-cn) sees its result.

In comes the text of a page and the conversion rules written in it, out goes simplified text. Writers mark words that
regions say differently, ``-{zh-cn:信息;zh-tw:資訊}-``, and give rules for the page, ``-{H|…}-`` or ``{{NoteTA|…}}``.
The semantics are those of MediaWiki's ``LanguageConverter`` and ``ConverterRule``
(https://www.mediawiki.org/wiki/Writing_systems/Syntax, https://zh.wikipedia.org/wiki/Help:高级字词转换语法).

The one idea: what a rule produced is final. So rules are looked up longest first in one pass, their results are fenced
with two characters that no text contains, and OpenCC converts what lies outside the fences.

Left out on purpose: the public rule groups (``{{NoteTA|G1=IT}}`` loads a page that the dump of articles does not hold);
and a rule counts for the whole page, where MediaWiki applies ``-{A|…}-`` from its place onwards.
"""

import re
from collections.abc import Callable
from functools import cache

from .tables import ZHWIKI

READER = "zh-cn"
VARIANTS = ZHWIKI["variants"]  # of each its name, and where it is looked for when a rule does not name it
_VARIANT = r"zh(?:-(?:hans|hant|cn|hk|mo|my|sg|tw))?"
# Alternatives end at a semicolon that another alternative, or nothing, follows. A word may hold a semicolon itself.
SEPARATOR = re.compile(rf";\s*(?=(?:[^;]{{0,80}}?=>\s*)?{_VARIANT}\s*:|\s*$)", re.I)
ENTITY_END = re.compile(r"(&#?\w{1,10});")

FENCE, FENCE_END = "\ufdd0", "\ufdd1"  # noncharacters: Unicode keeps them free for a program's own use
FENCED = re.compile(f"({FENCE}[^{FENCE_END}]*{FENCE_END}?|{FENCE_END})")
# OpenCC's t2s leaves 著 alone, because it is simplified too, in 著作 and 显著. Elsewhere it is 着: 随着, 着陆.
PARTICLE = re.compile("(?<![所合编原名专论遗巨昭卓显土译拙撰主])著(?![作名称者书述录译《〈于成文有明])")


@cache
def to_simplified() -> Callable[[str], str]:
    """OpenCC's converter from traditional to simplified characters (https://github.com/BYVoid/OpenCC)."""
    import opencc

    return opencc.OpenCC("t2s").convert


def simplified(text: str) -> str:
    """Traditional text, or a page that mixes both, in simplified characters. Lines without a traditional one stay."""
    converted = to_simplified()(text)
    if "著" not in converted or converted == text:
        return converted
    lines = zip(text.split("\n"), converted.split("\n"), strict=True)
    return "\n".join(new if new == old else PARTICLE.sub("着", new) for old, new in lines)


def parse_rule(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The alternatives of a rule -> (word by variant, one-way replacements by variant); both empty if it is no rule.

    >>> parse_rule("zh-cn:信息;zh-tw:資訊;")
    ({'zh-cn': '信息', 'zh-tw': '資訊'}, {})
    >>> parse_rule("巨集=>zh-cn:宏;")
    ({}, {'zh-cn': {'巨集': '宏'}})
    """
    words: dict[str, str] = {}
    one_way: dict[str, dict[str, str]] = {}
    for choice in SEPARATOR.split(ENTITY_END.sub("\\1\x01", text)):
        variant, colon, word = choice.replace("\x01", ";").partition(":")
        if not colon:
            continue
        source, arrow, variant = variant.rpartition("=>")
        variant, word, source = variant.strip().lower(), word.strip().rstrip(";").rstrip(), source.strip()
        if variant not in VARIANTS:
            return {}, {}
        if arrow and source:
            one_way.setdefault(variant, {})[source] = word
        elif word:
            words[variant] = word
    return words, one_way


def choose(words: dict[str, str], variant: str = READER) -> str | None:
    """The word for a variant or for the first of its fallbacks that a rule names."""
    return next((words[v] for v in (variant, *VARIANTS[variant]["fallbacks"]) if v in words), None)


class Converter:
    """The rules of one page. ``show`` and ``note`` collect them, ``convert`` applies them."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.title: str | None = None  # what a T rule calls the page

    def show(self, inner: str) -> str:
        """What ``-{inner}-`` shows to the reader; the rules in it are taken down."""
        head, text = inner.split("|", 1) if "|" in inner else ("", inner)
        flags = set(map(str.strip, head.split(";")))
        if variants := {flag.lower() for flag in flags} & VARIANTS.keys():  # converted in these alone
            return text if choose(dict.fromkeys(variants, text)) else fence(text)
        if "R" in flags:
            return fence(text)
        if "N" in flags:
            variant = VARIANTS.get(text.strip().lower())
            return fence(variant["name"]) if variant else ""
        words, one_way = parse_rule(text)
        if flags & {"A", "H", "-"}:
            self._take(text, words, one_way, remove="-" in flags)
        if "T" in flags:
            self.title = choose(words) or text.strip()
        if flags & {"H", "T", "-"}:
            return ""
        if "D" in flags:
            return fence("".join(f"{VARIANTS[variant]['name']}：{word}；" for variant, word in words.items()))
        if not words and not one_way:
            return fence(text)
        word = choose(words) or next(iter(one_way.get(READER, {}).values()), None)
        # MediaWiki shows an error where a rule names no variant of ours; a word of another region reads better.
        return fence(word) if word is not None else next(iter(words.values()), "")

    def note(self, args: list[str], named: dict[str, str]) -> None:
        """``{{NoteTA|T=title rule|1=rule|2=rule}}``: rules for the whole page, without a trace in its text."""
        if title := named.get("T") or named.get("t"):
            self.show(f"T|{title}")
        for rule in args:
            if rule:
                self._take(rule, *parse_rule(rule))

    def _take(self, rule: str, words: dict[str, str], one_way: dict[str, dict[str, str]], remove: bool = False) -> None:
        """Take a rule, parsed already, into the table or out of it. A word alone is not to be converted."""
        if not words and not one_way:
            words = {READER: rule.strip()}
        target = choose(words)
        pairs = {} if target is None else dict.fromkeys(words.values(), target)
        pairs |= one_way.get(READER, {})
        for source, word in pairs.items():
            if remove:
                self.table.pop(source, None)
            elif word != to_simplified()(source):  # the rest is what OpenCC does anyway
                self.table[source] = word

    def convert(self, text: str) -> str:
        """Text with fences -> what the reader sees: fenced words as they are, the rest by the rules and by OpenCC."""
        if self.table and (longest_first := sorted(filter(text.__contains__, self.table), key=len, reverse=True)):
            rules = re.compile("|".join(map(re.escape, longest_first)))
            text = _outside(text, lambda part: rules.sub(lambda m: fence(self.table[m.group()]), part))
        return _outside(text, simplified).replace(FENCE, "").replace(FENCE_END, "")


def fence(text: str) -> str:
    """Text that no conversion may touch. A fence ends with its line, so that a dropped line takes its fence along."""
    plain = text.replace(FENCE, "").replace(FENCE_END, "")
    return "\n".join(f"{FENCE}{line}{FENCE_END}" if line else "" for line in plain.split("\n"))


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Apply ``change`` to what lies outside the fences."""
    if FENCE not in text:
        return change(text)
    parts = FENCED.split(text)
    parts[::2] = map(change, parts[::2])
    return "".join(parts)
