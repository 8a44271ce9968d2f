"""What is left of a page when its markup is rendered, as paragraphs.

In comes text in which headings and list marks still stand and *holes* mark where something was dropped; out go its
paragraphs. Sections that only point elsewhere go with all they hold. Brackets and commas are tidied at the holes and
nowhere else: an empty （） that a template left goes, ``main()`` and a poet's ……，， stay as they were written.
"""

import re
from functools import lru_cache

from .language_conversion import to_simplified
from .marks import FENCE, FENCE_END, HOLE, LOST_BLOCK, LOST_FORMULA, RULE_SIGN, SPOKEN, SPOKEN_END, STAND_INS
from .tables import ZHWIKI

DROPPED_SECTIONS = frozenset(ZHWIKI["dropped_sections"])
SECTION_AND = re.compile(r"\s*(?:与|和|或|及其|及|以及|、|/|／|，|,|&|＆|\s)\s*")
HEADING = re.compile(rf"\n(={{1,6}})([^\n]+?)\1[ \t{HOLE}]*+(?=\n|\Z)")
HEADING_MARKUP = re.compile(rf"-\{{(?:[^{{}}|]*\||zh:)?|\}}-|\{{\{{[^{{}}]*\}}\}}|''+|[{HOLE}=:：]")
WORD = re.compile(rf"[\w{STAND_INS}]")  # what a reader reads; a lone sign counts where its writer asked for it


def without_pointers(text: str) -> str:
    """Sections of references and links away, before anything in them costs time."""
    kept, position, dropping_level = [], 0, 0
    for match in HEADING.finditer(text):
        level = len(match[1])
        if dropping_level and level > dropping_level:
            continue
        if not dropping_level:
            kept.append(text[position : match.start()])
        position = match.start()
        dropping_level = level if is_dropped(match[2]) else 0
    if not dropping_level:
        kept.append(text[position:])
    return "".join(kept)


@lru_cache(maxsize=10_000)
def is_dropped(heading: str) -> bool:
    """Whether a section holds pointers and no prose, by its heading."""
    parts = SECTION_AND.split(to_simplified()(HEADING_MARKUP.sub("", heading)).strip())
    return any(parts) and all(part in DROPPED_SECTIONS for part in parts if part)


OPENING, CLOSING = "（(《“「『【[〔〈‘", "）)》”」』】]〕〉’"
PAIRS = dict(zip(OPENING, CLOSING, strict=True))
SEPARATORS = "，、；：,;:·/／ "
SEPARATORS_AND_STOP = SEPARATORS + "。"
ENDS, STARTS = frozenset(OPENING + " "), frozenset(CLOSING)  # what a hole beside it may leave in the wrong
# Brackets whose words are all gone: （⇒） of two templates and an arrow.
NO_WORD = rf"[^\w（(）)\n{FENCE}{FENCE_END}]"
OPENS, CLOSES = re.compile(rf"[（(]{NO_WORD}*$"), re.compile(rf"{NO_WORD}{{0,8}}[）)]")
# What announces a pronunciation goes with it, （[[IPA]]: {{IPA|…}}）, and so does what announces a source.
PRONOUNCED = "(?:IPA|[国國][际際]音[标標]|音[标標]|[发發读讀]音)"
ANNOUNCED = re.compile(rf"(?:(?<=[（(，、；]){PRONOUNCED} ?|{PRONOUNCED} ?[：:] ?)$")
SOURCE = re.compile(r"(?<=\n)[*#:;]* ?(?:[资資]料)?(?:[来來]源|出[处處]|[注註])[：:] ?$")
ANNOUNCING = "：: 音标標A"  # the characters that both end with
# A picture that leads a list item goes with the dash after it.
LEADING = re.compile(rf"(\n[*#:;]+) *{HOLE} *(?:[-–—－·•]+ +|[：:，、] *)?")
_ONE = f"{SPOKEN}[^{SPOKEN_END}]*{SPOKEN_END}"
PRONUNCIATION = re.compile(f"{_ONE}(?:[或和及、／ ]{{0,3}}{_ONE})*")  # one, or several in a row
# Where a sentence needs its formula: 其中。 and 当时 are empty or false without it, 矩阵的行列式 is not.
NEEDED_FORMULA = re.compile(
    rf"(其中|任意|因此|因而|[从從]而|使得?|[满滿]足|[给給]定|表示|定[义義]|[当當若设設令即为為是由从從在于於对對与與和或及将將把取记記称稱以到至则則得故如的个個]"
    rf"|[有过過](?= ?{LOST_FORMULA} ?\w)|[，。；、：（\n](?= ?{LOST_FORMULA} ?[\u4e00-\u9fff])) ?{LOST_FORMULA} ?"
)
FORMULA = "〔公式〕"


def tidy(text: str) -> str:
    """Close the holes: empty brackets go, and so do commas and blanks that have lost what they separated.

    A formula that no line can show leaves the word for one where its sentence would be false without it.
    """
    if SPOKEN in text:
        text = PRONUNCIATION.sub(_spoken, text)
    if LOST_FORMULA in text:
        text = NEEDED_FORMULA.sub(rf"\1{FORMULA}", text).replace(LOST_FORMULA, HOLE)
    if HOLE not in text:
        return text
    left, *others = LEADING.sub(r"\1", text).split(HOLE)
    done, blank = [left], False
    for right in others:
        if right and not right.strip(" "):  # a blank between two holes
            blank = True
            continue
        tail = left[-16:]
        if "（" in tail or "(" in tail or tail[-1:] in ANNOUNCING:  # at most holes neither can be
            left, right = _emptied(left, right, tail)
            done[-1] = left
            if 0 < len(right) < 8 and "\n" not in right and not WORD.search(right) and OPENS.search(left[-16:]):
                done[-1] = left = left + right  # （→ may yet be closed without a word in it
                continue
        if left[-1:] == "\n":
            right = right.lstrip(" ")
        if blank and right and left[-1:].isascii() and right[0].isascii() and right[0] != " ":
            right = " " + right
        blank = False
        if left and right:
            end, start = left[-1], right[0]
            brackets, between_chinese = end in ENDS or start in STARTS, start == " " and _is_chinese(end)
            if brackets or between_chinese or (end in SEPARATORS_AND_STOP and start in SEPARATORS_AND_STOP):
                left, right = _close(left, right)
                done[-1] = left
        if right:
            done.append(right)
            left = right
        while not left and len(done) > 1:
            done.pop()
            left = done[-1]
    return "".join(done)


def _emptied(left: str, right: str, tail: str) -> tuple[str, str]:
    """What announced what is gone goes with it, and so do brackets that are left without a word. ``tail``: of left."""
    announcement = SOURCE if right[:1] in "\n" else ANNOUNCED if right[0] in " ，、；）)" else None
    if announcement and (label := announcement.search(tail)):
        left = left[: len(left) - len(label[0])]
    elif (opening := OPENS.search(tail)) and (closing := CLOSES.match(right)):
        rules = "".join(RULE_SIGN.findall(opening[0] + closing[0]))
        left, right = left[: len(left) - len(opening[0])].rstrip(" ") + rules, right[closing.end() :]
    return left, right


def _spoken(match: re.Match) -> str:
    """A pronunciation where it is a word, 擦音[ɣ]或[ɦ]; in brackets or between commas it is an aside and goes."""
    text, start, end = match.string, match.start(), match.end()
    before = text[max(start - 80, 0) : start].rpartition("\n")[2].rstrip(" ")
    in_brackets = max(before.rfind("（"), before.rfind("(")) > max(before.rfind("）"), before.rfind(")"))
    between = before[-1:] in "，；：,;:/" and (text[end : end + 1] or "\n") in "，；。,;/\n"
    return HOLE if in_brackets or (before and between) else match[0].replace(SPOKEN, "").replace(SPOKEN_END, "")


def _close(left: str, right: str) -> tuple[str, str]:
    before, after = left.rstrip(SEPARATORS), right.lstrip(SEPARATORS)
    if before and before[-1] in PAIRS:  # the first thing in brackets is gone
        if after and after[0] == PAIRS[before[-1]]:
            return before[:-1].rstrip(" "), after[1:]
        return before, after
    if after and after[0] in CLOSING:  # the last thing in brackets is gone
        return before, after
    if left.endswith("/") and right.startswith("/"):  # /{{IPA|…}}/
        return left[:-1], right[1:]
    if left[-1] == "。":
        return left, right.lstrip(SEPARATORS_AND_STOP)
    tail, head = left[len(before) :].strip(" "), right[: len(right) - len(after)].strip(" ")
    if after.startswith("。") and (tail or head):
        return before, after
    if tail and head:
        return left.rstrip(" "), after
    if head and left[-1] == " ":
        return left.rstrip(" "), right.lstrip(" ")
    if not head and _is_chinese(before[-1:]) and _is_chinese(after[:1]):
        return left.rstrip(" "), after
    return left, right.lstrip(" ") if left[-1] == " " else right


def _is_chinese(char: str) -> bool:
    return char > "\u2e7f"


LINE_MARKS = frozenset("=*#:;|!-")
JOINING = frozenset("，。、；：）」』”》！？")  # no line begins with these
SENTENCE_ENDS = frozenset("。！？：；…”」』）.!?:;)")
TERM_END = re.compile(r"\s*:(?!//)\s*")  # of a definition list; an address holds a colon too
TERM_LEVEL = 7  # a term without a definition heads what follows, below all headings; not so a sentence
ITEM = re.compile(r"\d{1,2}[.、．)）]|[（(]\d{1,2}[)）]|[^\W\d][^，。：\n]{0,7}：")  # 1.甲, 原唱：乙: a line of its own
SENTENCE_SIGN = re.compile("[，。；：、]")


def paragraphs(text: str, headings: bool, broken_table: bool) -> list[str]:
    """Paragraphs. A heading with nothing below it is left out, and so is a term above a table that was dropped.

    Lines of prose without a blank line between them are one paragraph, as MediaWiki shows them, unless the first one
    ends its sentence: then its writer meant two.
    """
    lines: list[str] = []
    pending: list[tuple[int, str]] = []  # headings not yet followed by prose
    open_paragraph, has_blocks = False, LOST_BLOCK in text
    for written in text.split("\n"):
        line = written.strip()
        if has_blocks and LOST_BLOCK in line:
            line = line.replace(LOST_BLOCK, "").strip()
            if not line:
                pending = [entry for entry in pending if entry[0] < TERM_LEVEL]
        if not line:
            open_paragraph = False
            continue
        start = line[0]
        plain = start not in LINE_MARKS and written[0] != " "
        if start in LINE_MARKS:
            if start == "=" and line[-1] == "=":
                title = line.strip("=")
                level = (len(line) - len(title)) // 2
                pending = [entry for entry in pending if entry[0] < level]
                pending.append((level, title.strip()))
                open_paragraph = False
                continue
            if start in "*#:;":
                line = line.lstrip("*#:;").lstrip(" ")
                if start == ";" and WORD.search(line):
                    term, *definition = TERM_END.split(line, maxsplit=1)
                    open_paragraph = False
                    if definition and WORD.search(definition[0]):
                        pending.append((TERM_LEVEL, term))
                        line = definition[0]
                    elif not SENTENCE_SIGN.search(term):
                        pending.append((TERM_LEVEL, term))
                        continue
            elif start == "|" or (broken_table and start == "!") or line.startswith("----"):
                continue
        if broken_table and "||" in line:
            continue
        if start in JOINING and lines and not pending:
            lines[-1] = _continued(lines[-1], line)
            continue
        if not WORD.search(line):
            open_paragraph = False
            continue
        if pending:
            lines += (title for level, title in pending if title and (headings or level == TERM_LEVEL))
            pending = []
        if plain and open_paragraph and lines[-1][-1] not in SENTENCE_ENDS and not ITEM.match(line):
            lines[-1] += (" " if lines[-1][-1].isascii() and start.isascii() else "") + line
        else:
            lines.append(line)
        open_paragraph = plain
    return lines


def _continued(last: str, line: str) -> str:
    """A line that begins with a sign belongs to the one before it; of two stops that meet one stays."""
    if line[0] == "。":
        last = last.rstrip(SEPARATORS_AND_STOP)
    elif last[-1] == "。":
        line = line.lstrip(SEPARATORS)
    return last + line
