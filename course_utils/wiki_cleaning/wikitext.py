"""Wikitext in, paragraphs out: what a zh-cn reader of the rendered page sees, and nothing else.

The one idea: markup nests, regular expressions do not. A regular expression cuts the page at every ``{{``, ``[[``,
``-{``, at their ends and at those of tables; one walk over the pieces keeps a stack, and each construct is rendered
when it closes, from the inside out. An opener that is never closed costs its own brackets and not the rest of the page.

What is dropped leaves a mark, the *hole*; ``paragraphs`` tidies what stands around it.

Cost: linear in the length of the page; depth is bounded as MediaWiki bounds it. ``benchmarks/wiki_cleaning.py`` holds
the speed against that of gensim, WikiExtractor and mwparserfromhell.
"""

import html
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from . import formulas
from .language_conversion import Converter
from .paragraphs import HEADING, HOLE, paragraphs, tidy, without_pointers
from .tables import ZHWIKI
from .templates import ASIDE, ASIDE_END, FAMILIES, PIPE, RULES, Family, Renderer, finder

DROPPED_NAMESPACES, NO_LANGUAGES = set(ZHWIKI["dropped_namespaces"]), set(ZHWIKI["no_languages"])
LANGUAGE_PREFIX = re.compile(
    r"(?:[a-z]{2,3}|simple)(?:-[a-z]{2,10})*|zh-(?:yue|min-nan|classical)|be-x-old|roa-rup|map-bms"
)

HARD_BREAK = "\ufded"  # where a tag ends a line; a mere newline does not end a paragraph
# What <nowiki> shows must not be read as markup: stand-ins, and the way back.
MARKUP = "[]{}|'=*#:;-_<>&!"
STAND_INS = "".join(chr(0xFDD8 + i) for i in range(len(MARKUP)))
PROTECTED, RESTORED = str.maketrans(MARKUP, STAND_INS), dict(zip(STAND_INS + PIPE, MARKUP + "|", strict=True))
STAND_IN = re.compile(f"[{PIPE}{STAND_INS[0]}-{STAND_INS[-1]}]")
INTERNAL = re.compile("[\ufdd0-\ufdef]")

COMMENT, OPEN_COMMENT = re.compile(r"<!--.*?-->", re.S), re.compile(r"<!--[^\n]*")
REF = re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*+>[^<]*+(?:<(?!/?ref\b)[^<]*+)*+</ref\s*>", re.I)
RAW, BLOCK, INLINE = ("|".join(ZHWIKI["tags"][kind]) for kind in ("raw", "block", "inline"))
RAW_TAG = re.compile(rf"<({RAW})\b([^<>]*+)(?<!/)>", re.I)
RAW_END = {tag: re.compile(rf"</{tag}\s*>", re.I) for tag in ZHWIKI["tags"]["raw"]}
# 10<sup>6</sup>, km<sup>2</sup>
EXPONENT = re.compile(r"<(?<=[0-9A-Za-z)]<)sup\b[^<>]*>\s*([-−]?\d{1,4})\s*</sup\s*>", re.I)
RUBY_READING, RUBY_BRACKET = re.compile(r"<rt\b[^<>]*>([^<>]*)</rt>", re.I), re.compile(r"<rp>[^<>]*</rp>", re.I)
INVISIBLE = re.compile(r"<(span|div|sup)\b[^<>]*(?:display:\s*none|\bnoprint\b)[^<>]*>[^<]*</\1\s*>", re.I)
BREAK = re.compile(rf"<(?:br|hr)\b[^<>]*>|</?(?:{BLOCK})\b[^<>]*>", re.I)
POEM = re.compile(r"<poem\b[^<>]*+>([^<]*+(?:<(?!/?poem\b)[^<]*+)*+)</poem\s*>", re.I)
TABLE_TAG = re.compile(r"<(/?)table\b[^<>]*>", re.I)
TAG = re.compile(rf"</?(?:{INLINE})(?:[\s/][^<>]*)?>", re.I)
ARGUMENT = re.compile(r"\{\{\{[^{}|]*(?:\|([^{}]*))?\}\}\}")  # {{{name|default}}} of a template's own page
# The common link, [[目标|文字]] or [[目标]] without a namespace, needs no stack.
SIMPLE_LINK = re.compile(r"\[\[(?:[^\[\]{}|:\n]*\|([^\[\]{}|\n]+)|([^\[\]{}|:\n]+))\]\]")
PLAIN_DROP = re.compile(r"\[\[\s*(?:File|Image|Category|文件|档案|檔案|图像|圖像|分类|分類)\s*:[^\[\]{}]*\]\]", re.I)
# A dash may stand before a template; only -{{{ is a dash's brace and a template in it.
MARK = re.compile(r"(\{\{|\}\}|\[\[|\]\]|-\{(?!\{(?!\{))|\}-|\n[ \t:*#]*\{\||\n[ \t]*\|\}(?!\}(?!\})))")
MAX_DEPTH = 100  # MediaWiki's $wgMaxPPExpandDepth

EXTERNAL = re.compile(r"\[(?:(?:https?|ftp|news|mailto):|//)[^\s\[\]]*[ \t]*([^\[\]\n]*)\]", re.I)
# A file whose brackets are broken, and a line of a gallery whose tags are.
FILE = re.compile(
    r"(?:File|file|Image|image|文件|档案|檔案|图像|圖像)\s*:[^\n|\[\]]{1,200}?"
    r"\.(?i:jpe?g|png|svg|gif|tiff?|webp|og[gv]|webm|pdf)\b[^\n]*"
)
BARE_ASIDE = re.compile(f"(?<![（(，、；：,;: {ASIDE}]){ASIDE}([^{ASIDE_END}]*){ASIDE_END}")
MAGIC = re.compile(r"__[A-Z\u4e00-\u9fff]{2,20}__")
QUOTES = re.compile(r"''+")
ODD_SPACES, SPACES = re.compile("[\t\u00a0\u2000-\u200a\u202f\u3000]"), re.compile("  +")
INVISIBLE_CHARACTERS = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]")
LIST_LINE = re.compile(r"\n[*#:;]")
NAMED = re.compile(r"[\w -]{1,30}")
# What cleaning must not leave behind. Counted in the report.
RESIDUE = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|-\{|\}-|\{\||\|\}|'''|</?ref\b|<gallery|（\s*[，、；]*\s*）|，，|（[，；、]|__[A-Z]+__"
)

PAGE_NAMES = {"PAGENAME", "FULLPAGENAME", "BASEPAGENAME", "SUBPAGENAME", "PAGENAMEE", "ARTICLEPAGENAME"}
FIND = finder(FAMILIES)
BLOCKS = {"quotations", "lists", "foreign names"}  # families whose arguments may hold blank lines
FUNCTIONS = {"#if", "formatnum", "lc", "uc", "lcfirst", "ucfirst"}  # parser functions: {{name:argument|…}}
CLOSED_BY = {"{{": "}}", "[[": "]]", "-{": "}-", "{|": "|}"}
OPENED_BY = {closer: opener for opener, closer in CLOSED_BY.items()}


@dataclass(slots=True)
class Page:
    """What is known of a page while it is rendered."""

    title: str
    tables: str
    find: Callable[[str], tuple[str, str, Renderer | None]]
    templates: Counter
    converter: Converter = field(default_factory=Converter)
    broken_table: bool = False
    protected: bool = False  # holds text that was not to be read as markup


def clean_wikitext(text: str, *, title: str = "", **options) -> str:
    """As ``clean_page``, with its options, -> the text alone."""
    return clean_page(title, text, **options)[1]


def clean_page(
    title: str,
    text: str,
    *,
    headings: bool = True,
    tables: Literal["drop", "text"] = "drop",
    families: tuple[Family, ...] = FAMILIES,
    templates: Counter | None = None,
) -> tuple[str, str]:
    """Wikitext -> (title, text) as a zh-cn reader sees them: a paragraph a line, the title by the page's own T rule.

    ``headings``: keep a heading that has prose below it as a line. ``tables``: drop them, or give each row as a line.
    ``families``: which templates show what. ``templates`` counts every (template, family it was rendered by).
    Never raises; broken markup costs itself and not the page.
    """
    find = FIND if families is FAMILIES else finder(families)
    page = Page(title, tables, find, Counter() if templates is None else templates)
    text = _without_tags(text, page)
    if "{{{" in text:
        text = ARGUMENT.sub(r"\1", text)
    text = SIMPLE_LINK.sub(lambda m: m[m.lastindex], "\n" + text)
    if "\n=" in text:
        text = without_pointers(text)
    text = _render(PLAIN_DROP.sub(HOLE, text), page)
    text = text.replace(HARD_BREAK, "\n\n")
    if "[" in text:
        text = EXTERNAL.sub(lambda m: m[1] or HOLE, text)
    if "|" in text:
        text = FILE.sub(HOLE, text)
    if "__" in text:
        text = MAGIC.sub("", text)
    if "''" in text:
        text = QUOTES.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    text = ODD_SPACES.sub(" ", INVISIBLE_CHARACTERS.sub("", text))
    if "  " in text:
        text = SPACES.sub(" ", text)
    if HOLE in text:
        text = tidy(text)
    if ASIDE in text:
        text = BARE_ASIDE.sub(r"（\1）", text).replace(ASIDE, "").replace(ASIDE_END, "")
    text = page.converter.convert("\n".join(paragraphs(text, headings, page.broken_table)))
    if page.protected or PIPE in text:
        text = STAND_IN.sub(lambda m: RESTORED[m[0]], text)
    return page.converter.title or (title and page.converter.convert(title)), text


def _without_tags(text: str, page: Page) -> str:
    """Comments, references and tags away; what stands in <nowiki> protected; formulas made readable."""
    if INTERNAL.search(text):
        text = INTERNAL.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "<" not in text:
        return text
    if "<!--" in text:
        end = text.rfind("-->") + 3  # up to here every comment has an end, and looking for it is cheap
        text = COMMENT.sub("", text[:end]) + text[end:]
        text = OPEN_COMMENT.sub("", text)
    text = REF.sub(HOLE, _without_raw(text, page))
    if "<sup" in text:
        text = EXPONENT.sub(lambda m: formulas.superscript(m[1]), text)
    if "<rt" in text:
        text = RUBY_READING.sub(r"（\1）", RUBY_BRACKET.sub("", text))
    if "display:" in text or "noprint" in text:
        text = INVISIBLE.sub("", text)
    if "able" in text:
        text = TABLE_TAG.sub(lambda m: "\n|}" if m[1] else "\n{|", text)
    if "<poem" in text:
        text = POEM.sub(lambda m: HARD_BREAK + m[1].replace("\n", HARD_BREAK) + HARD_BREAK, text)
    return TAG.sub("", BREAK.sub(HARD_BREAK, text))


def _without_raw(text: str, page: Page) -> str:
    """What stands in raw tags shown or dropped. A tag that is never closed is a tag like others."""
    parts, position, unclosed = [], 0, set()
    for match in RAW_TAG.finditer(text):
        name = match[1].lower()
        if match.start() < position or name in unclosed:
            continue
        if end := RAW_END[name].search(text, match.end()):
            page.protected = True
            parts += text[position : match.start()], _raw(name, match[2], text[match.end() : end.start()])
            position = end.end()
        else:
            unclosed.add(name)
    return "".join(parts) + text[position:]


def _raw(name: str, attributes: str, content: str) -> str:
    if name == "nowiki" or (name in ("syntaxhighlight", "source") and "inline" in attributes):
        return content.translate(PROTECTED)
    read = {"math": formulas.readable, "chem": formulas.chemical, "ce": formulas.chemical}.get(name)
    return read(content).translate(PROTECTED) or HOLE if read else HOLE


def _render(text: str, page: Page) -> str:
    """All constructs replaced by what they show, the innermost first."""
    pieces = MARK.split(text)  # text, mark, text, mark, … text
    stack: list[tuple[str, list[str]]] = []  # of each open construct: its opener, and the parts of what is around it
    parts = [pieces[0]]
    i, end = 1, len(pieces)
    while i < end:
        mark, following = pieces[i], pieces[i + 1]
        i += 2
        if mark in CLOSED_BY:
            if i < end and pieces[i] == CLOSED_BY[mark]:  # nothing nested in it, as in most
                parts.append(RENDER[mark](following, page))
                parts.append(pieces[i + 1])
                i += 2
            elif len(stack) < MAX_DEPTH:
                stack.append((mark, parts))
                parts = [following]
            else:
                parts.append(following)
        elif stack and stack[-1][0] == OPENED_BY.get(mark):
            content = "".join(parts)
            mark, parts = stack.pop()
            parts.append(RENDER[mark](content, page))
            parts.append(following)
        elif mark[0] == "\n":  # the ends of a table, alone on their lines, with what may stand before them
            parts.append("\n")
            pieces[i - 2] = mark.strip("\n :*#\t")
            i -= 2
        elif any(opener == OPENED_BY[mark] for opener, _ in stack):  # what is open in between is never closed
            parts = _given_up(stack, parts, mark, page)
            i -= 2
        else:  # closed without being open
            if mark == "|}":
                page.broken_table = True  # a template began it
            parts += ("}-", following) if mark == "}-" else (following,)
    return "".join(_given_up(stack, parts, "", page))


def _given_up(stack: list[tuple[str, list[str]]], parts: list[str], closer: str, page: Page) -> list[str]:
    """The parts of what ``closer`` ends, or of the page: all that is open in it is never closed."""
    inside = []
    while stack and stack[-1][0] != OPENED_BY.get(closer):
        opener, around = stack.pop()
        inside.append(_unclosed(opener, parts, closer, page))
        parts = around
    return list(chain.from_iterable(reversed([*inside, parts])))


def _unclosed(opener: str, parts: list[str], closer: str, page: Page) -> list[str]:
    """What an opener without an end held is text of what is around it, less its own first line if that is no prose."""
    if opener == "{|":
        page.broken_table = True
        return [parts[0].partition("\n")[2], *parts[1:]]
    if opener == "{{":
        name = parts[0].partition("|")[0]
        if closer == "]]" and not any("\n" in part for part in parts):
            return []  # a link whose text was a template cut short: its target will do
        if "\n" in name and page.find(name.partition("\n")[0])[2] is None:  # an Infobox: its lines begin with a |
            return ["\n", name.partition("\n")[2], parts[0][len(name) :], *parts[1:]]
    return parts


def _template(content: str, page: Page) -> str:
    written, bar, rest = content.partition("|")
    if ":" in written:
        function, _, argument = written.partition(":")
        if function.strip().lower() in FUNCTIONS:
            written, bar, rest = function, "|", argument + bar + rest
    name, family, render = page.find(written)
    if "\n=" in content and family != "lists" and HEADING.search(content):
        return content  # closed by the brackets of another one, sections later: it never was one
    if render and "\n" in rest and family not in BLOCKS:
        if "\n\n" in rest:
            return content  # no phrase spans paragraphs
        if not LIST_LINE.search(rest):
            rest = rest.replace("\n", " ")
    page.templates[name, family] += 1
    if render:
        args, named = _arguments(rest) if bar else ([], {})
        return render(name, args, named) or HOLE
    if family == RULES:
        page.converter.note(*_arguments(rest))
    elif written.strip() in PAGE_NAMES:
        return page.title
    return HOLE


def _arguments(text: str) -> tuple[list[str], dict[str, str]]:
    """``a|b|key=c|2=d`` -> (positional: ['a', 'd'], named: {'key': 'c'}). What is dropped counts as empty."""
    args: list[str] = []
    numbered: dict[int, str] = {}
    named: dict[str, str] = {}
    for argument in text.split("|"):
        key, equals, value = argument.partition("=")
        key = key.strip()
        if equals and key.isdecimal() and len(key) < 3:
            numbered[int(key)] = value.strip()
        elif equals and NAMED.fullmatch(key):
            named[key] = value.strip()
        else:
            argument = argument.strip()
            args.append("" if argument[:1] == HOLE and not argument.strip(HOLE + " \n") else argument)
    for number, value in sorted(numbered.items()):
        args += [""] * (number - len(args))
        if number:
            args[number - 1] = value
    return args, named


def _link(content: str, page: Page) -> str:
    target, bar, label = content.partition("|")
    target = target.strip()
    prefix, colon, _ = target.partition(":")
    prefix = prefix.strip().lower()
    if "\n\n" in content and prefix not in DROPPED_NAMESPACES:
        return content  # a link does not span paragraphs
    if colon and prefix in DROPPED_NAMESPACES:
        return HOLE
    if colon and LANGUAGE_PREFIX.fullmatch(prefix) and prefix not in NO_LANGUAGES:
        return HOLE
    return (label.strip() or target) if bar else target.lstrip(":")


def _table(content: str, page: Page) -> str:
    """Nothing, or a table's rows, a line each, its cells with a comma between, without the attributes of the cells."""
    if "\n=" in content and (heading := HEADING.search(content)):  # no table holds a section: it was never closed
        page.broken_table = True
        return HOLE + content[heading.start() :]
    if page.tables == "drop":
        return HOLE + "\n\n"
    rows = []
    for row in re.split(r"\n[ \t]*\|-[^\n]*", "\n" + content.partition("\n")[2]):
        cells = re.split(r"\n[ \t]*[|!]\+?|\|\||!!", row)[1:]
        shown = (" ".join(cell.rpartition("|")[2].split()) for cell in cells)
        rows.append("，".join(cell for cell in shown if cell.strip(HOLE)))
    return "\n\n" + "\n\n".join(filter(None, rows)) + "\n\n"


RENDER: dict[str, Callable[[str, Page], str]] = {
    "{{": _template,
    "[[": _link,
    "-{": lambda content, page: page.converter.show(content) or HOLE,
    "{|": _table,
}
