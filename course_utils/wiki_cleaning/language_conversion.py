"""The language converter of the Chinese Wikipedia, as a reader who chose 大陆简体 (zh-cn) sees its result.

In comes the text of a page and the conversion rules written in it, out goes simplified text with the words of mainland
China. Writers mark words that regions say differently, ``-{zh-cn:信息;zh-tw:資訊}-``, and give rules for what follows,
``-{H|…}-`` or ``{{NoteTA|…}}``. The semantics are those of MediaWiki's ``LanguageConverter`` and ``ConverterRule``
(https://www.mediawiki.org/wiki/Writing_systems/Syntax, https://zh.wikipedia.org/wiki/Help:高级字词转换语法).

The one idea: what a rule produced is final. So rules are looked up longest first in one pass, each from its place in
the text on; their results are fenced with two characters that no text contains, and what lies outside the fences is
converted by OpenCC (characters), by ``regional_words`` (words) and by a table of two pairs (quotation marks).

Left out on purpose: the public rule groups (``{{NoteTA|G1=IT}}`` loads a page that the dump of articles does not hold).
"""

import html
import re
from collections.abc import Callable
from functools import cache
from itertools import chain, zip_longest

from .marks import FENCE, FENCE_END, INTERNAL, KEPT, PROTECTED, RESTORED, RULE, RULE_SIGN
from .regional_words import mainland, mainland_in_any_text
from .tables import ZHWIKI

READER = "zh-cn"
VARIANTS = ZHWIKI["variants"]  # of each its name, and where it is looked for when a rule does not name it
CODES = {code.lower(): variant for variant, entry in VARIANTS.items() for code in (variant, entry["bcp47"])}
_VARIANT = "|".join(sorted(map(re.escape, CODES), key=len, reverse=True))
# Alternatives end at a semicolon that another alternative, or nothing, follows. A word may hold a semicolon itself.
SEPARATOR = re.compile(rf";\s*+(?=(?:[^;]{{0,80}}?=>\s*+)?(?:{_VARIANT})\s*:|$)", re.I)
ENTITY_END = re.compile(r"(&#?\w{1,10});")
# Magic words by which a writer switches conversion off (MediaWiki's MessagesEn, MessagesZh_hans and MessagesZh_hant).
CONTENT_STAYS = {"__NOCC__", "__NOCONTENTCONVERT__", "__不转换内容__", "__不轉換內容__"}
TITLE_STAYS = {"__NOTC__", "__NOTITLECONVERT__", "__不转换标题__", "__不轉換標題__"}
BLOCK_MARKUP = re.compile(r"\s*\n\s*(?:[*#:;=]|\n)")
FLAGS = frozenset("ADHNRT-")

MAX_WORD = 80  # characters; longer ones stand in no text a second time
FENCED = re.compile(f"{FENCE}([^{FENCE_END}]*){FENCE_END}")
SIGNS = re.compile(f"[{FENCE}{FENCE_END}]|{RULE_SIGN.pattern}", re.S)
LINE_MARKS = re.compile("[*#:;]+ *|=+ *|")
RULE_PLACE = re.compile(f"{RULE}(.)", re.S)
FIRST_NUMBER, LAST_NUMBER = 0xF0000, 0x10FFFD  # private characters, which no font and no writer of a wiki uses
QUOTATION_MARKS = tuple(zip("「」『』", "“”‘’", strict=True))
# OpenCC's t2s leaves 著 alone, because it is simplified too, in 著作 and 显著. Elsewhere it is 着: 随着, 着陆; but
# before a stop only after a verb: 看着。, and 鲁迅著。
PARTICLE = re.compile(
    "(?<![所合编原名专论遗巨昭卓显土译拙撰主])著(?![作名称者书述录译《〈于成文有明：:）)，。；、！？「『“\n]|$)"
    "|(?<=[讨谈争辩评议]论)著(?!作|名|述|者)"
    "|(?<=[看拿抱读带随跟听写])著(?=书|录音|作品|名师|作者的|作者，)"
    "|(?<=[看随跟沿带拿站坐走活等望听笑哭说想躺睡穿戴住留存抱背揹负牵围靠守盯])著(?=[，。；、！？\n]|$)"
)
CONVERTIBLE = re.compile("[\u3400-\u9fff「」『』]")
SHORT = 200  # characters, in which a look for Chinese ones is cheap
# t2s also takes simplified text: 乾 there is no 干 in the name of a place.
PLACE_NAME = re.compile("乾(?=[县縣州]|安[县縣])")


@cache
def to_simplified() -> Callable[[str], str]:
    """OpenCC's converter from traditional to simplified characters (https://github.com/BYVoid/OpenCC)."""
    import opencc

    return opencc.OpenCC("t2s").convert


def with_particle(text: str) -> str:
    """Text of ``to_simplified`` with 着 where it is meant."""
    return PARTICLE.sub("着", text) if "著" in text else text


def simplified(text: str) -> str:
    """Text as mainland China writes it: simplified characters, its words, its quotation marks.

    Words are changed in lines that hold a traditional character, and in all lines where most do: in simplified text
    网路 may be a piece of 互联网路由器. Words that both scripts write alike, 公尺, are changed in any Chinese text.
    """
    converted = to_simplified()(PLACE_NAME.sub(KEPT, text) if "乾" in text else text).replace(KEPT, "乾")
    is_chinese = "。" in text or "，" in text or (len(text) < SHORT and CONVERTIBLE.search(text))
    plain, converted = converted, mainland_in_any_text(converted) if is_chinese else converted
    if plain != text:
        old, new = text.split("\n"), converted.split("\n")
        changed = [line != other for line, other in zip(old, plain.split("\n"), strict=True)]
        if sum(changed) * 2 > sum(map(bool, new)):
            changed = [True] * len(new)
        for i, touched in enumerate(changed):
            if touched:
                new[i] = mainland(with_particle(new[i]))
        converted = "\n".join(new)
    for mark, ours in QUOTATION_MARKS:
        converted = converted.replace(mark, ours)
    return converted


def parse_rule(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The alternatives of a rule -> (word by variant, one-way replacements by variant); both empty if it is no rule.

    >>> parse_rule("zh-cn:信息;zh-Hant-TW:資訊;")
    ({'zh-cn': '信息', 'zh-tw': '資訊'}, {})
    >>> parse_rule("巨集=>zh-cn:宏;")
    ({}, {'zh-cn': {'巨集': '宏'}})
    """
    words: dict[str, str] = {}
    one_way: dict[str, dict[str, str]] = {}
    for choice in SEPARATOR.split(ENTITY_END.sub("\\1\x01", text.replace("=&gt;", "=>"))):
        variant, colon, word = choice.replace("\x01", ";").partition(":")
        if not colon:
            continue
        source, arrow, variant = variant.rpartition("=>")
        source, variant = source.strip(), CODES.get(variant.strip().lower())
        word = f"\n\n{word.strip()}\n\n" if BLOCK_MARKUP.match(word) else word.strip()
        if not variant:
            return {}, {}
        if arrow and source:
            one_way.setdefault(variant, {})[source] = word
        elif word and not arrow:
            words[variant] = word
    return words, one_way


def choose(words: dict[str, str], variant: str = READER) -> str | None:
    """The word for a variant or for the first of its fallbacks that a rule names."""
    return next((words[v] for v in (variant, *VARIANTS[variant]["fallbacks"]) if v in words), None)


def read_flags(head: str) -> list[str]:
    """What stands before the bar of ``-{A;D|…}-`` -> what to do, in MediaWiki's order: the last one is what shows.

    S shows the word, + takes the rule; both follow from the flags that a writer can give.
    """
    given = list(dict.fromkeys(flag for flag in map(str.strip, head.split(";")) if flag in FLAGS or flag in VARIANTS))
    for alone in "RN-":
        if alone in given:
            return [alone]
    if not given:
        return ["S"]
    if given == ["T"]:
        return ["T", "H"]
    if "H" in given:
        return ["+", "H", *(flag for flag in "TD" if flag in given)]
    if "A" in given:
        given += ["+"] if "D" in given else ["+", "S"]
    return [flag for flag in given if flag in VARIANTS] or given


class Converter:
    """The rules of one page. ``show`` and ``note`` collect them, ``convert`` applies them."""

    def __init__(self) -> None:
        self.changes: list[dict[str, str]] = []  # word by source, of each rule in the order of the page
        self.made = 0  # of the changes, so many are in the table
        self.table: dict[str, str] = {}
        self.lengths: dict[str, list[int]] = {}  # of the sources in the table by their first character, longest first
        self.title: str | None = None  # what a T rule calls the page
        self.switches: set[str] = set()  # the page's magic words

    def show(self, inner: str) -> str:
        """What ``-{inner}-`` shows to the reader; the rules in it are taken down."""
        head, text = inner.split("|", 1) if "|" in inner else ("", inner)
        flags = read_flags(head)
        if flags[0] in VARIANTS:  # converted in these alone, and in another variant than ours without its words
            if READER in flags:
                return NOTHING + text + NOTHING
            return fence(to_simplified()(text) if choose(dict.fromkeys(flags, text)) is not None else text)
        words, one_way = parse_rule(text) if flags[0] not in "RN" else ({}, {})
        mark = ""
        if not words and not one_way:
            if text and ("+" in flags or "-" in flags):
                words = dict.fromkeys(VARIANTS, text)  # a word alone is the same in all variants
            elif "N" not in flags and "T" not in flags:
                flags = ["R"]
        if "+" in flags or "-" in flags:
            mark = self._take(words, one_way, remove="-" in flags)
        if "T" in flags:
            self.title = _plain(_shown(words, one_way, text) or "") or self.title
        if flags[-1] == "R":
            return mark + fence(text)
        if flags[-1] == "N":
            variant = CODES.get(text.strip().lower())
            return fence(VARIANTS[variant]["name"]) if variant else NOTHING
        if flags[-1] == "D":
            return mark + fence(_description(words, one_way))
        if flags[-1] == "S":
            word = _shown(words, one_way, text)
            if word is None:  # MediaWiki shows an error; a word of another region reads better
                word = next(chain(words.values(), *(replaced.values() for replaced in one_way.values())))
            return mark + fence(word)
        return mark or NOTHING

    def note(self, args: list[str], named: dict[str, str]) -> str:
        """``{{NoteTA|T=title rule|1=rule|2=rule}}``: rules for what follows, without a trace in its text."""
        if title := named.get("T") or named.get("t"):
            self.show(f"T|{title}")
        return "".join(self.show(f"H|{rule}") for rule in args if rule)

    def _take(self, words: dict[str, str], one_way: dict[str, dict[str, str]], remove: bool) -> str:
        """Note what a rule changes -> the sign that stands at its place."""
        target = choose(words)
        pairs = {} if target is None else dict.fromkeys(words.values(), target)
        pairs |= one_way.get(READER, {})
        pairs = {_plain(source): _plain(word) for source, word in pairs.items()}
        if remove:  # what is left is the conversion of its characters, and of a single one nothing
            to_character = to_simplified()
            pairs = {source: "".join(map(to_character, source)) if len(source) > 1 else source for source in pairs}
        number = min(FIRST_NUMBER + len(self.changes), LAST_NUMBER)
        self.changes.append(pairs)
        return RULE + chr(number)

    def _make(self, until: int) -> None:
        """Bring the first changes into the table."""
        for pairs in self.changes[self.made : until]:
            for source, word in pairs.items():
                if not source or len(source) > MAX_WORD:
                    continue
                self.table[source] = word
                lengths = self.lengths.setdefault(source[0], [])
                if len(source) not in lengths:
                    lengths.append(len(source))
                    lengths.sort(reverse=True)
        self.made = max(self.made, until)

    def _by_rules(self, text: str) -> str:
        """The longest rule at each place applied, its result fenced."""
        firsts = self.lengths.keys() & set(text)
        if not firsts:
            return text
        parts, place = [], 0
        for match in re.finditer(f"[{''.join(map(re.escape, sorted(firsts)))}]", text):
            start = match.start()
            if start < place:
                continue
            for length in self.lengths[match[0]]:
                word = self.table.get(text[start : start + length])
                if word is not None:
                    parts += text[place:start], fence(word)
                    place = start + length
                    break
        return "".join(parts) + text[place:]

    def convert(self, text: str) -> str:
        """Text with fences and signs of rules -> what the reader sees: what is fenced as it is, the rest converted."""
        if self.changes and not self.switches & CONTENT_STAYS:
            first, *others = RULE_PLACE.split(text)  # text, number, text, number, text …
            done = [_outside(first, self._by_rules)]
            for number, part in zip(others[::2], others[1::2], strict=True):
                self._make(ord(number) - FIRST_NUMBER + 1)
                done.append(_outside(part, self._by_rules))
            text = "".join(done)
        elif self.changes:
            text = RULE_SIGN.sub("", text)
        change = str if self.switches & CONTENT_STAYS else simplified
        return _unfenced(text, change).replace(FENCE, "").replace(FENCE_END, "")

    def convert_title(self, title: str) -> str:
        """The title by its own rule, or by all rules of its page."""
        if self.switches & TITLE_STAYS:
            return html.unescape(title)
        self._make(len(self.changes))
        title = self.title or _unfenced(self._by_rules(title), simplified)
        return html.unescape(title.translate(RESTORED))


NOTHING = FENCE + FENCE_END  # an empty -{}-: no word reaches across it


def _shown(words: dict[str, str], one_way: dict[str, dict[str, str]], text: str) -> str | None:
    """The word of a rule for the reader, the text where it is no rule, None where it names no variant of hers."""
    if not words and not one_way:
        return text.strip()
    word = choose(words)
    return word if word is not None else next(iter(one_way.get(READER, {}).values()), None)


def _description(words: dict[str, str], one_way: dict[str, dict[str, str]]) -> str:
    """What the D flag shows: 大陆：甲；台湾：乙；, and of a rule that goes one way 丙⇒大陆：丁；."""
    pairs = [(VARIANTS[variant]["name"], word) for variant, word in words.items()]
    for variant, replaced in one_way.items():
        pairs += [(f"{source}⇒{VARIANTS[variant]['name']}", word) for source, word in replaced.items()]
    return "".join(f"{name}：{word}；" for name, word in pairs)


def _plain(word: str) -> str:
    """A word of a rule as it stands in the text when rules are applied: without markup and marks."""
    word = INTERNAL.sub("", SIGNS.sub("", word).translate(RESTORED))
    return html.unescape(re.sub("''+", "", word)).strip()


def as_written(text: str) -> str:
    """Text of another language or of a program: what would be converted is fenced, 東京 stays 東京."""
    return fence(text) if CONVERTIBLE.search(text) else text


def fence(text: str) -> str:
    """Text that no conversion may touch, line by line, so that a line that goes takes its fence along.

    What begins a later line is markup; the first one begins wherever the writer put it.
    """
    if FENCE in text or RULE in text:
        text = SIGNS.sub("", text)
    first, *others = text.split("\n")
    fenced = [f"{FENCE}{first}{FENCE_END}"]
    for line in others:
        start = LINE_MARKS.match(line).end()
        fenced.append(f"{line[:start]}{FENCE}{line[start:]}{FENCE_END}")
    return "\n".join(fenced)


# What would be read as the beginning of a list or the end of a term, in what is fenced.
LINE_STARTS = {ord(sign): sign.translate(PROTECTED) for sign in "*#:;=|!"}
COLON = ":".translate(PROTECTED)


def _unfenced(text: str, change: Callable[[str], str]) -> str:
    """What lies outside the fences changed, all of it in one piece; the fences go."""
    if FENCE not in text:
        return change(text)
    pieces = FENCED.split(text)  # outside, inside, outside …
    outside = change(FENCE.join(piece.replace(FENCE, "") for piece in pieces[::2])).split(FENCE)
    inside = (piece[:1].translate(LINE_STARTS) + piece[1:].replace(":", COLON) for piece in pieces[1::2])
    return "".join(chain.from_iterable(zip_longest(outside, inside, fillvalue="")))


def _outside(text: str, change: Callable[[str], str]) -> str:
    """What lies between the fences changed, piece by piece; the fences stay."""
    if FENCE not in text:
        return change(text)
    pieces = FENCED.split(text)
    pieces[::2] = map(change, pieces[::2])
    pieces[1::2] = (f"{FENCE}{inside}{FENCE_END}" for inside in pieces[1::2])
    return "".join(pieces)
