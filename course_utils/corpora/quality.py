"""Simple filters for scraped text: lines that are no text go, and documents that are not Chinese or repeat themselves.

In come normalised texts and their titles; out come the texts without their lines of boilerplate, and of a document that
should go the reason and the figure that spoke against it. The recipe is Gopher's (Rae et al. 2021,
https://arxiv.org/abs/2112.11446, A.1.1 and table A1), with C4's removal of lines (Raffel et al. 2020,
https://arxiv.org/abs/1910.10683, 2.2), carried over to Chinese: characters in place of words, and where others found a
limit on Chinese text, theirs: ChineseWebText (Chen et al. 2023, https://arxiv.org/abs/2311.01149, `preprocess.py`) and
FineWeb-2 (https://github.com/huggingface/fineweb-2, `configs/cmn_Hani.yml`). Rules on bullets, stop words and lengths
of words are left out.

The one idea: each rule is a share of the document with a limit. What looks at characters is numpy over many documents,
or a scan in C; Python's loops are over documents, and over the lines of those in which boilerplate was seen.

Cost: some 15 MB of text a second and core, in time that is linear but for a sort.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .ngrams import ngrams

TABLE = Path(__file__).with_name("boilerplate.toml")
MIN_CHARACTERS = 10  # less is a title without a text. Gopher asks for 50 words, but an entry of one sentence is a text
LONGEST_NOTICE = 50  # characters; a longer line is a paragraph, and the notice a clause of it. C4 has no such bound
PHRASE = 4  # characters, 2 to 3 words: Gopher and FineWeb-2 take 2, 3 and 4 words
# A text of a few sentences names its subject in each: in the course's own, of up to 220 characters, the name alone has
# up to 0.40. So the rule on phrases is for texts of many sentences.
PHRASE_FROM = 300  # characters
PASSAGE = 13  # characters, ChineseWebText's
# Reason -> the share above which a document goes; the first that holds is named. A text is too short with fewer than
# MIN_CHARACTERS, or where it is its title alone; there characters are measured.
LIMITS = {
    "boilerplate": 0.5,  # of the characters, in lines removed. Our own figure: what is left of a menu is no text
    "too short": np.inf,
    "not Chinese": 0.7,  # of letters and digits, that are no ideographs. ChineseWebText asks for 0.3 ideographs
    "same lines": 0.3,  # of the lines, and of the characters in them, that stood before. Gopher: 0.3 of lines
    "one phrase": 0.256,  # of the characters, in the most frequent phrase. FineWeb-2's, for 2 words of Chinese
    "repeats": 0.5,  # of the passages, that stand there more than once. ChineseWebText
}
REASONS = tuple(LIMITS)


class Verdicts(NamedTuple):
    """Of each document: the text that is left, the lines removed, the reason to drop it and what was measured."""

    texts: list[str]
    removed: list[str]  # joined by line ends; "" for none
    reasons: np.ndarray  # int8 (documents,): 0, or the place of the reason in REASONS, counted from 1
    measured: np.ndarray  # float32 (documents,): a share, or characters


def examine(texts: Sequence[str], titles: Sequence[str], *, scraped: bool = True) -> Verdicts:
    """Judge normalised documents. Of those that were not scraped, only the length counts."""
    kept, removed = _without_boilerplate(texts, titles) if scraped else (list(texts), [""] * len(texts))
    lengths, cut = (np.fromiter(map(len, some), np.float32, len(texts)) for some in (kept, removed))
    measured = np.zeros((len(REASONS), len(texts)), np.float32)
    measured[1] = lengths
    if scraped and texts:
        dense = [text.replace("\n", "").replace(" ", "") for text in kept]  # or a list is full of "胶囊\n"
        measured[0] = cut / np.maximum(cut + lengths, 1)
        measured[2:4] = _not_chinese(kept), list(map(_same_lines, kept))
        measured[4:] = _ngram_shares(dense, PHRASE, PHRASE_FROM)[0], _ngram_shares(dense, PASSAGE, 2 * PASSAGE)[1]
    broken = measured > np.array(list(LIMITS.values()))[:, None]
    broken[1] = (lengths < MIN_CHARACTERS) | np.fromiter(map(str.__eq__, kept, titles), bool, len(texts))
    first = broken.argmax(axis=0)
    reasons = np.where(broken.any(axis=0), first + 1, 0).astype(np.int8)
    return Verdicts(kept, removed, reasons, np.take_along_axis(measured, first[None], 0)[0])


@cache
def _boilerplate() -> tuple[np.ndarray, re.Pattern, re.Pattern]:
    """-> (which hashes of three characters begin a notice, a notice, a line of menu with its ends)."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    notice, menu, channel = ("|".join(sorted(table[k], key=len, reverse=True)) for k in ("notices", "menu", "channels"))
    begins = np.zeros(2**20, bool)
    begins[ngrams([text[:3] for text in table["notices"]], 3)[0] >> np.uint64(44)] = True
    between = r"[ |/\\·•>»<«\-—_:：、,，\[\]【】()（）]*+"  # possessive, as all here: never back over the line
    line = rf"\n(?=(?:{between}(?:{menu}|{channel})){{2,}}+{between}\n)(?=[^\n]*?(?:{menu}))"
    return begins, re.compile(notice), re.compile(line)


def _without_boilerplate(texts: Sequence[str], titles: Sequence[str]) -> tuple[list[str], list[str]]:
    """-> (texts without lines of boilerplate, these lines joined). A notice that the title bears is the subject."""
    begins, _, menu = _boilerplate()
    kept, removed, long = list(texts), [""] * len(texts), [i for i, text in enumerate(texts) if len(text) >= 3]
    hashes, offsets = ngrams([texts[i] for i in long], 3)
    hits = np.searchsorted(offsets, np.flatnonzero(begins[hashes >> np.uint64(44)]), "right") - 1
    for i in {*(long[hit] for hit in np.unique(hits)), *(i for i in long if menu.search(f"\n{texts[i]}\n"))}:
        lines = texts[i].split("\n")
        is_text = [line == titles[i] or not _is_boilerplate(line, titles[i]) for line in lines]
        if not all(is_text):
            kept[i] = "\n".join(compress(lines, is_text))
            removed[i] = "\n".join(line for line, stays in zip(lines, is_text, strict=True) if not stays)
    return kept, removed


def _is_boilerplate(line: str, title: str) -> bool:
    _, notice, menu = _boilerplate()
    found = notice.search(line) if len(line) <= LONGEST_NOTICE else None
    return bool(found and found.group() not in title or menu.match(f"\n{line}\n"))


@cache
def _kinds() -> np.ndarray:
    """uint8 of each code point of three planes: 2 for ideographs, 1 for other letters and digits, else 0."""
    kinds = np.array([chr(code).isalpha() or chr(code).isdecimal() for code in range(0x30000)], np.uint8)
    for start, end in ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x30000)):
        kinds[start:end] *= 2
    return kinds


def _not_chinese(texts: Sequence[str]) -> np.ndarray:
    """Of the letters and digits of each text those that are no ideographs, as a share; 1 where it has none."""
    codes = np.frombuffer("".join(f"{text}\n" for text in texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, sizes = _kinds()[np.minimum(codes, 0x2FFFF)], [len(text) + 1 for text in texts]
    starts = np.cumsum([0, *sizes[:-1]])
    ideographs, others = (np.add.reduceat(kinds == kind, starts, dtype=np.int64) for kind in (2, 1))
    return 1 - ideographs / np.maximum(ideographs + others, 1)


def _same_lines(text: str) -> float:
    """Lines that stood before as a share of all, or their characters where these are less: neither a refrain nor the
    many empty cells of a table are much of a text."""
    lines = text.split("\n")
    once = set(lines)
    if len(once) == len(lines):
        return 0
    return 1 - max(len(once) / len(lines), sum(map(len, once)) / max(sum(map(len, lines)), 1))


def _ngram_shares(texts: Sequence[str], n: int, shortest: int) -> np.ndarray:
    """-> float32 ``(2, texts)``: shares of the characters in the most frequent n-gram, and of the n-grams that stand
    there more than once; 0 for a text of fewer characters than ``shortest``."""
    shares, long = np.zeros((2, len(texts)), np.float32), [i for i, text in enumerate(texts) if len(text) >= shortest]
    if not long:
        return shares
    hashes, offsets = ngrams([texts[i] for i in long], n)
    sizes, bits = np.diff(offsets).astype(np.int64), np.uint64(len(long).bit_length())
    keys = np.repeat(np.arange(len(long), dtype=np.uint64) << (np.uint64(64) - bits), sizes) | (hashes >> bits)
    keys.sort()  # the highest bits are the text's number: its n-grams stay together, equal ones side by side
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    times = np.diff(starts, append=len(keys))
    firsts = np.searchsorted(starts, offsets[:-1].astype(np.int64))
    shares[0, long] = np.minimum(np.maximum.reduceat(times, firsts) * n / (sizes + n - 1), 1)  # they may overlap
    shares[1, long] = np.add.reduceat(np.where(times > 1, times, 0), firsts) / sizes
    return shares
