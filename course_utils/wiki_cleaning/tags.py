"""What stands in angle brackets: comments, references, formulas, text that is not read as wikitext, and HTML.

In comes the wikitext of a page, out goes wikitext without tags. The one idea: comments and raw tags hide what is in
them from each other, so one walk reads them, whichever opens first, before anything else is looked at. What a raw tag
shows gets stand-ins for its signs of markup, and ``wikitext`` gives these back at its end.
"""

import html
import re

from . import formulas
from .language_conversion import COLON, as_written
from .marks import FENCE, FENCE_END, HARD_BREAK, HOLE, INTERNAL, LOST_FORMULA, PROTECTED
from .tables import ZHWIKI

RAW, BLOCK, INLINE = ("|".join(ZHWIKI["tags"][kind]) for kind in ("raw", "block", "inline"))
# What is not read as wikitext: whichever of them opens first.
UNREAD = re.compile(rf"<!--|<({RAW})\b([^<>]*+)(?<!/)>", re.I)
UNREAD_END = {tag: re.compile(rf"</{tag}\s*>", re.I) for tag in ZHWIKI["tags"]["raw"]} | {None: re.compile("-->")}
REF = re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*+>[^<]*+(?:<(?!/?ref\b)[^<]*+)*</ref\s*>", re.I)
REF_AROUND = re.compile(r"<ref\b[^<>]*+>[^<\n]*+(?:(?:\n(?!\n)|<(?!/?ref\b))[^<\n]*+)*</ref\s*>", re.I)  # others
# 10<sup>6</sup>, ''x''<sup>2</sup>, 2<sup>1/3</sup>; not 1<sup>st</sup>, Ca<sup>2+</sup>, which are typed on the line.
EXPONENT = re.compile(r"<(?<=[0-9A-Za-z)'\]}>]<)sup\b[^<>]*>(?:</?i>)?([^<>\n]{1,24})(?:</?i>)?</sup\s*>", re.I)
ON_THE_LINE = re.compile(r"[A-Za-zà-ÿ]{2,}\.?|[oaer™®]|\W*|\d?[+−-]|\[.*|.*[\u3000-\uffff].*")
# A tag between the marks of italics, ''v''<sub>''n''</sub>, keeps them apart; so does a character that nobody sees.
TAG_IN_QUOTES = re.compile(r"''(?:</?(?:sub|sup|small|big|span|i|b)\b[^<>]*>)+(?='')", re.I)
# MediaWiki converts nothing in <code>, and the wiki's templates for other languages nothing in <span lang="ja">.
UNCONVERTED = re.compile(
    r"<(code)\b[^<>]*+>[^<]*+(?:<(?!/?code\b)[^<]*+)*</code\s*>"
    r"|<(\w+)\b[^<>]*\blang\s*=\s*[\"']?(?!zh)[a-z]{2,3}\b[^<>]*+>[^<]*+</\2\s*>",
    re.I,
)
RUBY_READING, RUBY_BRACKET = re.compile(r"<rt\b[^<>]*>([^<>]*)</rt>", re.I), re.compile(r"<rp>[^<>]*</rp>", re.I)
INVISIBLE = re.compile(r"<(span|div|sup)\b[^<>]*(?:display:\s*none|\bnoprint\b)[^<>]*>[^<]*</\1\s*>", re.I)
BREAK = re.compile(rf"<(?:br|hr)\b[^<>]*>|</?(?:{BLOCK})\b[^<>]*>", re.I)
POEM = re.compile(r"<poem\b[^<>]*+>([^<]*+(?:<(?!/?poem\b)[^<]*+)*)</poem\s*>", re.I)
TABLE_TAG = re.compile(r"<(/?)table\b[^<>]*>", re.I)
TAG = re.compile(rf"</?(?:{INLINE})(?:[\s/][^<>]*)?>", re.I)
TERM_LINE = re.compile(r"\n;[^\n<]*<[^\n]*")
TAGGED = re.compile(r"<(?!br\b|wbr\b)(\w+)\b[^<>]*(?<!/)>.*?(?:</\1\s*>|$)", re.I)
LINE_END = re.compile(r"[ \t]*\n")
MAX_REF_DEPTH = 3  # of references in references


def without_tags(text: str) -> tuple[str, bool]:
    """Comments, references and tags away, formulas made readable; what is shown as it stands has stand-ins for markup.

    -> (the text, whether there are stand-ins in it)
    """
    if not text.isascii() and b"\xef\xb7" in _as_utf8(text):  # how our marks begin
        text = INTERNAL.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "<" not in text:
        return text, False
    text, protected = _without_unread(text)
    text = REF.sub(HOLE, text)
    for _ in range(MAX_REF_DEPTH):
        if "</ref" not in text:
            break
        text = REF_AROUND.sub(HOLE, text)
    if "display:" in text or "noprint" in text:
        text = INVISIBLE.sub("", text)
    if "<sup" in text:
        text = EXPONENT.sub(_exponent, text)
    if "<rt" in text:
        text = RUBY_READING.sub(r"（\1）", RUBY_BRACKET.sub("", text))
    if "<code" in text or "lang=" in text:
        text = UNCONVERTED.sub(lambda m: m[0] if "-{" in m[0] else FENCE + m[0] + FENCE_END, text)
    if "able" in text:
        text = TABLE_TAG.sub(lambda m: "\n|}" if m[1] else "\n{|", text)
    if "<poem" in text:
        text = POEM.sub(lambda m: HARD_BREAK + m[1].replace("\n", HARD_BREAK) + HARD_BREAK, text)
    if "''<" in text:
        text = TAG_IN_QUOTES.sub("''\u200b", text)
    if "\n;" in text:  # a colon within a tag does not end a term
        text, found = TERM_LINE.subn(lambda line: TAGGED.sub(lambda m: m[0].replace(":", COLON), line[0]), text)
        protected = protected or found > 0
    return TAG.sub("", BREAK.sub(HARD_BREAK, text)), protected


def _exponent(match: re.Match) -> str:
    content = html.unescape(match[1]).replace("''", "").replace("–", "−").strip()
    if ON_THE_LINE.fullmatch(content):
        return content
    raised = formulas.superscript(content)
    return raised if raised != content else f"^{content}" if len(content) == 1 else f"^({content})"


def _as_utf8(text: str) -> bytes:
    """The text in UTF-8; what cannot be in it is a mark of ours, as good as."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b"\xef\xb7"


def _without_unread(text: str) -> tuple[str, bool]:
    """What is not read as wikitext: comments away, with their line if it holds nothing else; raw tags shown or dropped.

    A tag that is never closed is a tag like others, a comment that is never closed ends with its line.
    """
    parts, position, unclosed, line_is_empty, protected = [], 0, set(), True, False
    for match in UNREAD.finditer(text):
        start, tag = match.start(), match[1] and match[1].lower()
        if start < position or (tag and tag in unclosed):
            continue
        end = None if tag in unclosed else UNREAD_END[tag].search(text, match.end())
        before = text[position:start]
        if tag:
            if not end:
                unclosed.add(tag)
                continue
            protected, position, line_is_empty = True, end.end(), False
            parts += before, _raw(tag, match[2], text[match.end() : end.start()])
            continue
        if not end:
            unclosed.add(tag)
            parts.append(before)
            position = text.find("\n", start) % (len(text) + 1)  # -1, no line after it: the end of the text
            continue
        stripped, position = before.rstrip(" \t"), end.end()
        line_is_empty = stripped[-1:] == "\n" or (not stripped and line_is_empty)
        parts.append(stripped if line_is_empty else before)
        if line_is_empty and (blank := LINE_END.match(text, position)):
            position = blank.end()
    return "".join(parts) + text[position:], protected


def _raw(name: str, attributes: str, content: str) -> str:
    read = {"math": formulas.readable, "chem": formulas.chemical, "ce": formulas.chemical}.get(name)
    if read:
        shown = read(content)
        if not shown and name == "math" and (rows := formulas.rows(content)):
            shown = HARD_BREAK.join(["", *rows, ""])
        shown = shown.translate(PROTECTED) or LOST_FORMULA
    elif name == "nowiki" or (name in ("syntaxhighlight", "source") and "inline" in attributes):
        shown = content.translate(PROTECTED)
    else:
        return HOLE
    return as_written(shown)
