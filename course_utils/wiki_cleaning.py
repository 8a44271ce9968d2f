"""Turn MediaWiki dumps into clean paragraphs: what a reader of the rendered page sees, and nothing else.

In come ``pages-articles`` XML dumps (plain, .bz2 or .gz), out go JSONL shards ``{"id", "title", "text"}`` and a report.
Pages are streamed with gensim's ``extract_pages``; the text cleaner is ours, because gensim's ``filter_wiki`` drops
every template and with it the dates of ``{{bd|…}}``, the names of ``{{lang-en|…}}`` and the words of ``-{zh-hans:…}-``.

The one idea: markup nests, regular expressions do not. One scan finds the matching end of every ``{{``, ``[[``, ``-{``
and ``{|``; each construct is then rendered from the inside out. An opener that is never closed counts as plain text,
so broken markup costs its own brackets and not the rest of the page. Time is linear in the length of the page.
"""

import bz2
import gzip
import html
import json
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from . import artifacts
from .errors import CourseError
from .progress import Line

PAGES_PER_SHARD = 10_000
REDIRECT = re.compile(r"\s*#\s*(redirect|重定向|重新導向|重新导向)", re.I)
DISAMBIGUATION = re.compile(r"\{\{\s*[^{}|]*(disambig|消歧义|消歧義|hndis|geodis)[^{}|]*[|}]", re.I)
# Sections that hold pointers, not prose.
DROPPED_SECTIONS = {
    "参考文献", "参考资料", "参考来源", "外部链接", "外部连接", "外部连结", "参见", "参看", "相关条目",
    "注释", "注解", "脚注", "延伸阅读", "扩展阅读", "来源", "资料来源", "关联项目",
}  # fmt: skip
NOT_LINKS = ("file", "image", "category", "文件", "档案", "檔案", "图像", "圖像", "分类", "分類", "图片")
# Order in which a mainland reader's variant is looked for (MediaWiki's fallback chain of zh-cn).
VARIANTS = ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh")
ALL_VARIANTS = re.compile(r"zh(?:-(?:hans|hant|cn|tw|hk|mo|sg|my))?\s*:")

# ------------------------------------------------------------------ templates
# A renderer gets the template's name, its positional arguments and its named ones, all rendered already.

Renderer = Callable[[str, list[str], dict[str, str]], str]


def birth_death(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{bd|1881年|9月25日|1936年|10月19日|catIdx=L}} -> 1881年9月25日－1936年10月19日; unknown parts stay away."""
    year, day, end_year, end_day = (args + [""] * 4)[:4]
    born, died = year + day, end_year + end_day
    return f"{born}－{died}" if born and died else f"{born}出生" if born else f"{died}逝世" if died else ""


def first(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[0] if args else named.get("1", "")


def second(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[1] if len(args) > 1 else named.get("2", "")


def last(name: str, args: list[str], named: dict[str, str]) -> str:
    return args[-1] if args else ""


LANGUAGE_NAMES = {
    "en": "英语", "la": "拉丁语", "fr": "法语", "de": "德语", "ja": "日语", "ko": "韩语", "ru": "俄语",
    "es": "西班牙语", "it": "意大利语", "pt": "葡萄牙语", "el": "希腊语", "ar": "阿拉伯语", "nl": "荷兰语",
    "pl": "波兰语", "vi": "越南语", "th": "泰语", "he": "希伯来语", "sv": "瑞典语", "mn": "蒙古语",
    "bo": "藏语", "ug": "维吾尔语",
}  # fmt: skip


def foreign_name(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{lang-en|Beijing}} -> 英语：Beijing, as the template shows it."""
    code = name.split("-", 1)[1] if "-" in name else (args.pop(0) if len(args) > 1 else "")
    language = LANGUAGE_NAMES.get(code.split("-")[0], "")
    return f"{language}：{first(name, args, named)}" if language else first(name, args, named)


def interlanguage_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{link-en|本地名|Foreign}} shows the local name."""
    return named.get("d") or first(name, args, named)


def translated_link(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{tsl|en|Foreign|本地名}}: the language and the foreign title come first."""
    return args[2] if len(args) > 2 else last(name, args, named)


UNITS = {"km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "kg": "公斤", "g": "克", "km2": "平方公里",
         "sqkm": "平方公里", "ha": "公顷", "C": "℃", "m2": "平方米", "mi": "英里", "ft": "英尺", "t": "吨",
         "km/h": "公里/小时"}  # fmt: skip


def convert(name: str, args: list[str], named: dict[str, str]) -> str:
    """{{convert|30|m|ft}} -> 30米."""
    return f"{args[0]}{UNITS.get(args[1], args[1])}" if len(args) > 1 else first(name, args, named)


FAMILIES: tuple[tuple[str, tuple[str, ...], Renderer], ...] = (
    ("dates", ("bd", "生卒年", "birth-death"), birth_death),
    ("foreign names", ("lang-*", "langx"), foreign_name),
    ("language", ("lang", "zh", "transl", "ruby-zh"), second),
    ("interlanguage links", ("le", "link-*", "ill", "internal link helper"), interlanguage_link),
    ("interlanguage links", ("tsl", "translink"), translated_link),
    ("formatting", ("nowrap", "small", "big", "nobr", "j", "em", "strong", "underline", "smaller", "nobold"), first),
    ("formatting", ("color", "font color", "fontcolor"), last),
    ("numbers", ("formatnum", "val", "num", "numero"), first),
    ("numbers", ("convert", "cvt"), convert),
    ("quotations", ("quote", "cquote", "bquote"), first),
)


@cache
def family_of(name: str) -> tuple[str, Renderer] | None:
    """-> (family, renderer) of a template that shows text in a sentence, or None: it is dropped."""
    key = name.strip().lower().replace("_", " ")
    for family, patterns, render in FAMILIES:
        for pattern in patterns:
            if key == pattern or (pattern.endswith("*") and key.startswith(pattern[:-1])):
                return family, render
    return None


# ------------------------------------------------------------------ the scanner

OPENERS = {"{{": "}}", "[[": "]]", "-{": "}-", "{|": "|}"}
MARK = re.compile(r"\{\{|\}\}|\[\[|\]\]|-\{(?!\{)|\}-|^\s*:*\{\||^\s*\|\}(?!\})", re.M)


@dataclass
class Node:
    """A construct of the markup and what it holds, in order: strings and nodes."""

    opener: str
    children: deque = field(default_factory=deque)


def parse(text: str) -> Node:
    """Wikitext -> a tree of constructs. What is never closed, or closed without being open, is plain text."""
    root = Node("")
    stack = [root]
    opened = Counter()  # openers on the stack, so that a stray closer costs no search
    position = 0
    for match in MARK.finditer(text):
        mark = match.group().strip().lstrip(":") or match.group()
        if match.start() > position:
            stack[-1].children.append(text[position : match.start()])
        position = match.end()
        if mark in OPENERS:
            stack.append(Node(mark))
            opened[OPENERS[mark]] += 1
        elif opened[mark]:
            while OPENERS[stack[-1].opener] != mark:  # unclosed inside: give its content back to its parent
                _unfold(stack, opened)
            node = stack.pop()
            opened[mark] -= 1
            stack[-1].children.append(node)
        else:
            stack[-1].children.append(mark)
    stack[-1].children.append(text[position:])
    while len(stack) > 1:
        _unfold(stack, opened)
    return root


def _unfold(stack: list[Node], opened: Counter) -> None:
    """An opener that is never closed: forget it, keep what came after it."""
    broken = stack.pop()
    opened[OPENERS[broken.opener]] -= 1
    parent = stack[-1]
    if len(parent.children) < len(broken.children):  # the shorter moves, so deep nests do not go quadratic
        broken.children.extendleft(reversed(parent.children))
        parent.children = broken.children
    else:
        parent.children.extend(broken.children)


def _render(root: Node, templates: Counter) -> str:
    """The tree as text, innermost constructs first. An explicit stack: pages nest deeper than Python recurses."""
    todo = [(root, iter(root.children), [])]
    while True:
        node, children, parts = todo[-1]
        child = next(children, None)
        if child is None:
            todo.pop()
            text = _show(node.opener, "".join(parts), templates)
            if not todo:
                return text
            todo[-1][2].append(text)
        elif isinstance(child, str):
            parts.append(child)
        else:
            todo.append((child, iter(child.children), []))


def _show(opener: str, inner: str, templates: Counter) -> str:
    if opener == "{{":
        return _show_template(inner, templates)
    if opener == "[[":
        return _show_link(inner)
    if opener == "-{":
        return _show_variant(inner)
    return "" if opener == "{|" else inner


def _show_template(inner: str, templates: Counter) -> str:
    name, *rest = inner.split("|")
    name = name.strip()
    if ":" in name and name.split(":")[0].lower() == "formatnum":
        name, rest = "formatnum", [name.split(":", 1)[1], *rest]
    args, named = [], {}
    for argument in rest:
        key, equals, value = argument.partition("=")
        if equals and re.fullmatch(r"[\w \-]{1,30}", key.strip()) and not key.strip().startswith("http"):
            named[key.strip()] = value.strip()
        else:
            args.append(argument.strip())
    found = family_of(name)
    templates[(name, found[0] if found else "dropped")] += 1
    return found[1](name.lower(), args, named) if found else ""


def _show_link(inner: str) -> str:
    target, _, label = inner.partition("|")
    prefix, colon, rest = target.strip().partition(":")
    if colon and prefix:
        lowered = prefix.strip().lower()
        if lowered in NOT_LINKS or (re.fullmatch(r"[a-z]{2,3}(-[a-z]+)*", lowered) and not label):
            return ""
    if label:
        return label.rpartition("|")[2]
    return target.strip().lstrip(":")


def _show_variant(inner: str) -> str:
    """-{zh-hans:甲;zh-hant:乙}- -> 甲; -{甲}- -> 甲; -{H|…}-, -{T|…}- set rules for the page and show nothing."""
    flag, bar, rest = inner.partition("|")
    if bar and re.fullmatch(r"[A-Z;\s+\-]*", flag):
        if "H" in flag or "T" in flag or "-" in flag:
            return ""
        inner = rest
    if not ALL_VARIANTS.search(inner):
        return inner
    choices = {}
    for choice in re.split(r";(?=\s*(?:zh|$))", inner):
        variant, colon, value = choice.partition(":")
        if colon:
            choices[variant.strip().lower()] = value.strip().rstrip(";")
    return next((choices[v] for v in VARIANTS if v in choices), next(iter(choices.values()), ""))


# ------------------------------------------------------------------ the cleaner

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
SELF_CLOSED = re.compile(r"<ref\b[^<>]*/>", re.I)
DROPPED_TAGS = re.compile(
    r"<(ref|gallery|math|chem|syntaxhighlight|source|timeline|score|imagemap|graph|mapframe|templatedata)\b[^<>]*>"
    r"(?:(?!<\1\b).)*?</\1\s*>", re.I | re.S)  # fmt: skip
BREAK = re.compile(r"<(?:br|/p|/div|/li|p)\b[^<>]*>", re.I)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
EXTERNAL = re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]+\s*([^\[\]\n]*)\]")
MAGIC = re.compile(r"__[A-Z]+__")
HEADING = re.compile(r"^(={2,6})\s*(.*?)\s*\1\s*$")
RULE = re.compile(r"^-{4,}")
QUOTES = re.compile(r"'{2,5}")
LIST_MARK = re.compile(r"^[*#:;]+\s*")
# What templates leave behind when they vanish: empty brackets, doubled or stranded punctuation.
EMPTY_BRACKETS = re.compile(r"（[\s，、；：,;:]*）|\([\s，、；：,;:]*\)|《\s*》|“\s*”|「\s*」")
AFTER_OPENING = re.compile(r"([（(])[\s，、；,;]+")
BEFORE_CLOSING = re.compile(r"[\s，、；：,;]+([）)])")
DOUBLED = re.compile(r"([，、；。])[，、；]+|([，、；])(?=。)")
SPACES = re.compile(r"[ \t\u00a0\u3000]+")
RESIDUE = re.compile(r"\{\{|\}\}|\[\[|\]\]|-\{|\}-|\{\||\|\}|'''|</?ref|<gallery|（\s*）|，，")


def clean_wikitext(text: str, templates: Counter | None = None) -> str:
    """Wikitext -> the text a zh-cn reader sees, one paragraph a line.

    ``templates`` counts every (template, how it was rendered). Never raises; unknown templates are dropped.
    """
    text = COMMENT.sub("", text)
    text = DROPPED_TAGS.sub("", SELF_CLOSED.sub("", text))
    text = _render(parse(text), Counter() if templates is None else templates)
    text = EXTERNAL.sub(r"\1", MAGIC.sub("", text))
    text = html.unescape(TAG.sub("", BREAK.sub("\n", text)))
    text = QUOTES.sub("", text)
    text = AFTER_OPENING.sub(r"\1", BEFORE_CLOSING.sub(r"\1", EMPTY_BRACKETS.sub("", text)))
    text = DOUBLED.sub(lambda m: m.group(1) or "", text)
    return to_simplified()("\n".join(_lines(EMPTY_BRACKETS.sub("", text))))


def _lines(text: str) -> Iterator[str]:
    """Prose lines; sections of pointers are left out, and so are headings with nothing below them."""
    dropping_level = 0  # level of the heading whose section is being dropped
    pending: list[tuple[int, str]] = []  # headings not yet followed by prose
    for line in text.splitlines():
        line = SPACES.sub(" ", line).strip()
        heading = HEADING.match(line)
        if heading:
            level, title = len(heading.group(1)), heading.group(2)
            if not dropping_level or level <= dropping_level:
                dropping_level = level if to_simplified()(title) in DROPPED_SECTIONS else 0
            pending = [(old, text) for old, text in pending if old < level]
            if not dropping_level:
                pending.append((level, title))
            continue
        line = LIST_MARK.sub("", line)
        if dropping_level or not line or RULE.match(line) or not re.search(r"\w", line):
            continue
        yield from (title for _, title in pending)
        pending = []
        yield line


@cache
def to_simplified() -> Callable[[str], str]:
    """OpenCC's converter from traditional to simplified characters (https://github.com/BYVoid/OpenCC)."""
    import opencc

    return opencc.OpenCC("t2s").convert


# ------------------------------------------------------------------ pages and dumps


def reason_to_drop(title: str, namespace: str, wikitext: str) -> str | None:
    """Why a page is no article, or None."""
    if namespace:
        return "other namespace"
    if REDIRECT.match(wikitext):
        return "redirect"
    if DISAMBIGUATION.search(wikitext) or re.search(r"[(（]消歧[义義][)）]$", title):
        return "disambiguation"
    return None


def read_pages(dump: Path) -> Iterator[tuple[str, str, str, str]]:
    """-> (title, namespace, wikitext, page id) of every page of a dump, streamed by gensim's ``extract_pages``.

    The namespace is its name ('' for articles). Raises CourseError when the file is missing, is not a MediaWiki dump,
    or is damaged: then the message names the last good page.
    """
    from gensim.corpora.wikicorpus import extract_pages

    namespaces = _namespaces(dump)
    count, title = 0, ""
    with _open(dump) as file:
        try:
            for title, text, page_id in extract_pages(file):
                prefix, colon, _ = title.partition(":")
                yield title, prefix if colon and prefix in namespaces else "", text or "", page_id
                count += 1
        except (EOFError, OSError, zlib.error, ElementTree.ParseError) as error:
            where = f"after page {count} ({title})" if count else "before its first page"
            raise CourseError(
                f"{artifacts.shown(dump)} is damaged or cut off {where}: download it again ({error})"
            ) from None
    if not count:
        raise CourseError(f"{artifacts.shown(dump)} holds no page: name a pages-articles dump")


def _namespaces(dump: Path) -> set[str]:
    """Names of the namespaces that the dump's head declares."""
    try:
        with _open(dump) as file:
            head = file.read(20_000).decode("utf-8", errors="ignore")
    except (EOFError, OSError, zlib.error) as error:
        raise CourseError(f"{artifacts.shown(dump)} cannot be decompressed: download it again ({error})") from None
    if not re.match(r"(\ufeff)?\s*(<\?xml[^>]*>\s*)?<mediawiki", head):
        raise CourseError(
            f"{artifacts.shown(dump)}: byte 0: not a MediaWiki XML dump: it should start with <mediawiki …>"
        )
    return set(re.findall(r"<namespace key=\"-?\d+\"[^>]*>([^<]+)<", head))


def _open(dump: Path) -> BinaryIO:
    if not dump.is_file():
        raise CourseError(f"{artifacts.shown(dump)} is missing: name a MediaWiki pages-articles dump")
    return {".bz2": bz2.open, ".gz": gzip.open}.get(dump.suffix, open)(dump, "rb")


def clean_dumps(dumps: Sequence[Path], out: Path, *, min_chars: int = 20, force: bool = False) -> artifacts.Manifest:
    """Clean dumps into ``out``: ``wiki-00000.jsonl`` …, and ``report.json``.

    A page is kept when it is an article of at least ``min_chars`` characters; every other fate is counted.
    Raises CourseError for missing, foreign or damaged dumps and for an output folder that holds something else.
    """
    dumps = list(dumps)
    for dump in dumps:
        _namespaces(dump)  # say what is wrong with an input before anything is made
    return artifacts.build(
        out,
        lambda folder: _clean_into(folder, dumps, min_chars),
        stage="wiki_cleaning",
        settings={"min_chars": min_chars},
        inputs=dumps,
        force=force,
    )


def _clean_into(folder: Path, dumps: list[Path], min_chars: int) -> dict:
    pages, characters, templates, residue = Counter(), Counter(), Counter(), Counter()
    shard, kept = None, 0
    with Line("cleaning") as line:
        for dump in dumps:
            name = artifacts.shown(dump)
            for title, namespace, wikitext, page_id in read_pages(dump):
                fate = reason_to_drop(title, namespace, wikitext)
                text = "" if fate else clean_wikitext(wikitext, templates)
                fate = fate or ("kept" if len(text) >= min_chars else "too short")
                pages[fate] += 1
                count = pages.total()
                line.update(count, f"{name}: read {count:,} pages, kept {pages['kept']:,}")
                characters["wikitext of " + fate] += len(wikitext)
                if fate != "kept":
                    continue
                characters["clean text"] += len(text)
                residue.update(RESIDUE.findall(text))
                if kept % PAGES_PER_SHARD == 0:
                    if shard:
                        shard.close()
                    shard = (folder / f"wiki-{kept // PAGES_PER_SHARD:05}.jsonl").open("w", encoding="utf-8")
                row = {"id": page_id, "title": to_simplified()(title), "text": text}
                shard.write(json.dumps(row, ensure_ascii=False) + "\n")
                kept += 1
    if shard:
        shard.close()
    rendered = [{"template": name, "rendered": how, "times": n} for (name, how), n in templates.most_common()]
    report = {"pages": pages, "characters": characters, "templates": rendered, "residue": residue}
    artifacts.write_json(folder / "report.json", report)
    return {"pages": pages.total(), "kept": kept, "characters": characters["clean text"], "residue": residue.total()}


def shards(folder: Path) -> list[Path]:
    """The JSONL files of a cleaned dump, in order."""
    return sorted(folder.glob("wiki-*.jsonl"))


def read_articles(folder: Path) -> Iterator[dict]:
    """The articles of a cleaned dump: ``{"id", "title", "text"}``."""
    for shard in shards(folder):
        with shard.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
