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

from . import marks
from .language_conversion import Converter, fence
from .marks import FENCE, HARD_BREAK, HOLE, LOST_FORMULA, PIPE, RULE
from .paragraphs import HEADING, paragraphs, tidy, without_pointers
from .tables import ZHWIKI
from .tags import BLOCK, INLINE, RAW, without_tags
from .templates import FAMILIES, RULES, Family, Renderer, finder

DROPPED_NAMESPACES = set(ZHWIKI["dropped_namespaces"])
OTHER_WIKIPEDIAS = set(ZHWIKI["languages"]) | set(ZHWIKI["wikipedias"])  # links to them stand beside the page
ARGUMENT = re.compile(r"\{\{\{[^{}|]*(?:\|([^{}]*))?\}\}\}")  # {{{name|default}}} of a template's own page
# The common link, [[目标|文字]] or [[目标]] without a namespace, needs no stack.
SIMPLE_LINK = re.compile(r"\[\[(?:[^\[\]{}|:\n]*\|([^\[\]{}|\n]+)|([^\[\]{}|:\n]+))\]\]")
PLAIN_DROP = re.compile(r"\[\[\s*(?:File|Image|Category|文件|档案|檔案|图像|圖像|分类|分類)\s*:[^\[\]{}]*\]\]", re.I)
# A dash may stand before a template; only -{{{ is a dash's brace and a template in it.
MARK = re.compile(r"(\{\{|\}\}|\[\[|\]\]|-\{(?!\{(?!\{))|\}-|\n[ \t:*#]*\{\||\n[ \t]*\|\}(?!\}(?!\})))")
MAX_DEPTH = 100  # MediaWiki's $wgMaxPPExpandDepth

# An address ends at a blank, at italics or at something dropped; without a label a number stands for it.
ADDRESS = rf"[^\s\[\]<>\"'{HOLE}]*+"
EXTERNAL = re.compile(
    rf"\[(?:(?:https?|ftp|news|mailto):|//){ADDRESS}(?:'(?!'){ADDRESS}){{0,20}}[ \t]*+([^\[\]\n]*+)\]", re.I
)
# A file whose brackets are broken, and a line of a gallery whose tags are.
FILE = re.compile(
    r"(?:File|file|Image|image|文件|档案|檔案|图像|圖像)\s*:[^\n|\[\]]{1,200}?"
    r"\.(?i:jpe?g|png|svg|gif|tiff?|webp|og[gv]|webm|pdf)\b[^\n]*"
)
BARE_ASIDE = re.compile(f"(?<![（(，、；：,;: {marks.ASIDE}]){marks.ASIDE}([^{marks.ASIDE_END}]*){marks.ASIDE_END}")
MAGIC = re.compile(f"__(?:{'|'.join(ZHWIKI['magic_words'])})__")
QUOTES = re.compile(r"''+")
COMMA_AND_STOP = re.compile("，+。")
STAND_IN = re.compile(f"[{PIPE}{marks.STAND_INS}]")
ODD_SPACES = "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"
ODD_CHARACTERS = re.compile(  # and those that nobody sees
    rf"[{ODD_SPACES}\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]"
)
SPACES = re.compile("  +")
ROW, CELL = re.compile(r"\n[ \t]*\|-[^\n]*"), re.compile(r"\n[ \t]*[|!]\+?|\|\||!!")
LAYOUT_CELL = re.compile(r"\n[ \t]*\|\+?|\|\|")
DATA_TABLE = re.compile(
    r"\bclass\s*=[^|\n]*(?:wikitable|infobox|navbox|sortable|toc|standard)|\bborder\s*=\s*\W?[1-9]", re.I
)
BLANK = marks.LOST + " \n"
LIST_LINE = re.compile(r"\n[*#:;]")
NAMED = re.compile(r"[\w -]{1,30}")
# What cleaning must not leave behind: markup, and what a reader stumbles over where something was dropped. Counted in
# the report. A sign may be shown on purpose, by <nowiki> for one; so a count is a reason to look, not a proof.
RESIDUE = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|-\{|\}-|\{\||\|\}|'''|__[A-Z]+__"  # brackets of wikitext, bold, magic words
    rf"|</?(?:{RAW}|{BLOCK}|{INLINE})\b[^<>\n]*>|<!--|&(?:nbsp|amp|lt|gt|ndash|mdash|quot|#\d+);"  # HTML
    r"|\[(?:https?:)?//|\bthumb\||(?:File|Image|Category):[^\s|]+\.(?:jpe?g|png|svg|gif)\b"  # links and pictures
    r"|(?m:^[ \t]*(?:\|[-+}]?|!(?!=)|[*#;:]+|==+)(?=[\s\w]))"  # rows, lists and headings
    r"|\\(?:frac|sqrt|mathrm|mathbf|left|right|text|begin|end)\b"  # TeX
    r"|（[\s，、；：。·/／—–－⇒→←↔|]*）|\([\s，、；：。/|]+\)|（[，；、]|[，；、：]）"  # emptied brackets
    r"|，[，。、；：]|、[，。、；]|。[、；：]|(?m:^[、；：）」』”》]|[ \t]$)"  # signs that lost their neighbours
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
    title = marks.INTERNAL.sub("", title)
    find = FIND if families is FAMILIES else finder(families)
    page = Page(title, tables, find, Counter() if templates is None else templates)
    text, protected = without_tags("\n" + text)
    if "{{{" in text:
        text = ARGUMENT.sub(r"\1", text)
    text = SIMPLE_LINK.sub(lambda m: m[m.lastindex], text)
    if "\n=" in text:
        text = without_pointers(text)
    text = _render(PLAIN_DROP.sub(HOLE, text), page)
    text = text.replace(HARD_BREAK, "\n\n")
    if "[" in text:
        text = EXTERNAL.sub(lambda m: m[1] or HOLE, text)
    if "|" in text:
        text = FILE.sub(HOLE, text)
    if "__" in text:
        page.converter.switches = set(MAGIC.findall(text))
        text = MAGIC.sub("", text)
    if "''" in text:
        text = "\n".join(_without_quotes(line) if "''" in line else line for line in text.split("\n"))
    if "&" in text:
        text = html.unescape(text)
    text = ODD_CHARACTERS.sub(lambda m: " " if m[0] in ODD_SPACES else "", text)
    if "  " in text:
        text = SPACES.sub(" ", text)
    text = tidy(text)
    if marks.ASIDE in text:
        text = BARE_ASIDE.sub(r"（\1）", text).replace(marks.ASIDE, "").replace(marks.ASIDE_END, "")
    protected = protected or FENCE in text or PIPE in text or bool(page.converter.changes)
    text = "\n".join(paragraphs(page.converter.convert(text), headings, page.broken_table))
    if "，。" in text:
        text = COMMA_AND_STOP.sub("。", text)
    if protected:
        text = STAND_IN.sub(lambda m: m[0].translate(marks.RESTORED), text)
    return title and page.converter.convert_title(title), text


def _without_quotes(text: str) -> str:
    """A line without the apostrophes of bold and italics: two or more in a row are marks, but of four one is shown.

    Where bold and italics are both left open, one ''' was an apostrophe before italics: the one after a word of a
    single letter, or else after another word, or else after a blank (MediaWiki's Parser::doQuotes).
    """
    bold = text.count("'''")
    if "''''" not in text and not (bold % 2 and (text.count("''") - bold) % 2):
        return text.replace("'''", "").replace("''", "")  # as in most lines
    runs = list(QUOTES.finditer(text))
    bold = [run for run in runs if len(run[0]) in (3, 4)]
    both = sum(len(run[0]) > 4 for run in runs)
    apostrophe = -1
    if bold and (len(bold) + both) % 2 and (len(runs) - len(bold)) % 2:
        apostrophe = min(bold, key=lambda run: _unlike_a_word(text[max(run.start() - 2, 0) : run.start()])).start()
    return QUOTES.sub(lambda run: "'" if len(run[0]) == 4 or run.start() == apostrophe else "", text)


def _unlike_a_word(before: str) -> int:
    """How unlikely an apostrophe is behind these two characters: 0 a word of one letter, 1 another word, 2 a blank."""
    return 2 if before[-1:] in (" ", "") else 0 if before[:-1] in (" ", "") else 1


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
                parts.append(_shown(mark, following, page))
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
            parts.append(_shown(mark, content, page))
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


def _shown(mark: str, content: str, page: Page) -> str:
    """A construct rendered. Conversion rules that it holds stay where they are, also when it is dropped."""
    shown = RENDER[mark](content, page)
    if RULE in content:
        stayed = set(marks.RULE_SIGN.findall(shown))
        shown += "".join(sign for sign in marks.RULE_SIGN.findall(content) if sign not in stayed)
    return shown


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
        line, newline, _ = name.partition("\n")
        if newline and line[-1:] != "=" and page.find(line)[2] is None:  # an Infobox: its lines begin with a |
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
        return render(name, args, named) or (LOST_FORMULA if family == "formulas" else HOLE)
    if family == RULES:
        return page.converter.note(*_arguments(rest))
    if written.strip() in PAGE_NAMES:
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
            args.append("" if argument[:1] in marks.LOST and not argument.strip(marks.LOST + " \n") else argument)
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
    if colon and prefix in OTHER_WIKIPEDIAS:
        return HOLE
    if bar:
        return label.strip() or target
    shown = target.lstrip(":")
    return fence(shown) if shown.partition(":")[0].lower() in DROPPED_NAMESPACES else shown


def _table(content: str, page: Page) -> str:
    """Nothing, or a table's rows, a line each, its cells with a comma between, without the attributes of the cells.

    A table that lays out prose or lists is no data: its cells are shown one below the other.
    """
    if "\n=" in content and (heading := HEADING.search(content)):  # no table holds a section: it was never closed
        page.broken_table = True
        return HOLE + content[heading.start() :]
    attributes, _, body = content.partition("\n")
    if "\n*" in body or "。" in body:
        cells = [cell for row in ROW.split("\n" + body) for cell in LAYOUT_CELL.split(row) if cell.strip(BLANK)]
        if not DATA_TABLE.search(attributes) and "\n!" not in "\n" + body and all(map(_is_layout, cells)):
            return "\n\n" + "\n\n".join(map(_without_attributes, cells)) + "\n\n"
    if page.tables == "drop":
        return "\n" + marks.LOST_BLOCK + "\n\n"
    rows = []
    for row in ROW.split("\n" + body):
        cells = (" ".join(_without_attributes(cell).split()) for cell in CELL.split(row)[1:])
        rows.append("，".join(cell for cell in cells if cell.strip(marks.LOST)))
    return "\n\n" + "\n\n".join(filter(None, rows)) + "\n\n"


def _is_layout(cell: str) -> bool:
    """Whether a cell holds a list or whole sentences."""
    text = _without_attributes(cell)
    return LIST_LINE.search(text) is not None or ("。" in text and len(text) > 30)


def _without_attributes(cell: str) -> str:
    first, bar, rest = cell.partition("|")
    return rest if bar and "\n" not in first else cell


RENDER: dict[str, Callable[[str, Page], str]] = {
    "{{": _template,
    "[[": _link,
    "-{": lambda content, page: page.converter.show(content) or HOLE,
    "{|": _table,
}
