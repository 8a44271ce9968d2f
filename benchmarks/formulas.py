"""TeX to a line of text: ours against pylatexenc, unicodeit, flatlatex and latex2mathml, in one run.

The formulas: those of the excerpt of the English Wikipedia that gensim's wheel ships, those of the course's own pages,
and the typical ones of ``tests/test_formulas.py``; or those of a dump. By converter:

- shown: the share that gives a text without an error, and with neither a command nor a brace nor an ampersand of TeX;
- mixed up: of ten pairs of formulas that mean different things, how many give the same text (where a library drops
  what it does not know, or the brackets of a fraction); TeX that is left as it was is never mixed up;
- unknown: what becomes of a command that does not exist (to drop it silently is worse than to drop the formula);
- the time of a formula, the best of five rounds.

    python benchmarks/formulas.py [DUMP.xml.bz2]      (seconds; pip install pylatexenc unicodeit flatlatex latex2mathml)

A library that is not installed is left out, and named.
"""

import importlib
import re
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from course_utils.wiki_cleaning import read_pages
from course_utils.wiki_cleaning.formulas import readable

ROOT = Path(__file__).parents[1]
MATH = re.compile(r"<math\b[^<>/]*>(.*?)</math>", re.S)
LEFT = re.compile(r"\\[a-zA-Z]+|[{}&]|\n")
PAIRS = [
    (r"\frac{a+b}{c}", r"a+\frac{b}{c}"),
    (r"\frac{1}{2a}", r"\frac{1}{2}a"),
    (r"\tfrac{1}{2}", "12"),
    ("x^{n+1}", "x^n+1"),
    ("a_{i,j}", "a_i,j"),
    (r"\overline{A\cup B}", r"A\cup\overline{B}"),
    (r"\bar{x}-x", "x-x"),
    (r"v \ne 0", "v 0"),
    (r"A \triangle B", "A B"),
    (r"\sqrt{ab}", r"\sqrt{a}b"),
]


def converters() -> dict[str, Callable[[str], str]]:
    """Each library's way from TeX to text, of those that are installed."""
    found = {"course_utils": readable}
    for name, build in (
        ("pylatexenc.latex2text", lambda module: _within_dollars(module.LatexNodes2Text().latex_to_text)),
        ("unicodeit", lambda module: module.replace),
        ("flatlatex", lambda module: module.converter().convert),
        ("latex2mathml.converter", lambda module: _text_of_mathml(module.convert)),
    ):
        try:
            found[name.partition(".")[0]] = build(importlib.import_module(name))
        except ImportError:
            print(f"{name.partition('.')[0]} is not installed and left out: pip install {name.partition('.')[0]}")
    return found


def _within_dollars(convert: Callable[[str], str]) -> Callable[[str], str]:
    return lambda tex: convert(f"${tex}$")


def _text_of_mathml(convert: Callable[[str], str]) -> Callable[[str], str]:
    return lambda tex: "".join(ElementTree.fromstring(convert(tex)).itertext())


def formulas(dumps: list[Path]) -> list[str]:
    """The contents of all <math> of the dumps' pages, in their order."""
    return [tex for dump in dumps for page in read_pages(dump) for tex in MATH.findall(page.wikitext)]


def converted(convert: Callable[[str], str], tex: str) -> str:
    """The text, '' where the library raises."""
    try:
        return convert(tex)
    except Exception:  # each library has errors of its own
        return ""


def is_shown(tex: str, text: str) -> bool:
    """Whether this is a text and no TeX; braces and backslashes that the writer wanted may stay."""
    if re.search(r"\\[{}&]|\\[lr]brace|\\backslash", tex):
        text = re.sub(r"[{}&]|\\(?![a-zA-Z])", "", text)
    return bool(text.strip()) and not LEFT.search(text.strip())


def microseconds(convert: Callable[[str], str], some: list[str]) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for tex in some:
            converted(convert, tex)
        best = min(best, time.process_time() - started)
    return best / len(some) * 1e6


def main(dumps: list[Path]) -> None:
    if dumps:
        sets = {"the dump": formulas(dumps)}
    else:
        import gensim

        english = next((Path(gensim.__file__).parent / "test/test_data").glob("enwiki-latest-pages-articles1*.bz2"))
        sets = {
            "gensim's": formulas([english]),
            "the course's": formulas(sorted((ROOT / "data/wiki").glob("*.xml.bz2"))),
            "typical": runpy.run_path(str(ROOT / "tests/test_formulas.py"))["TYPICAL"],
        }
    sets = {name: some for name, some in sets.items() if some}
    found = converters()
    print("| converter |", " | ".join(f"shown of {len(some)} {name}" for name, some in sets.items()), end="")
    print(" | pairs mixed up | \\unknown{x}+1 | µs a formula |")
    print("|---" * (len(sets) + 4) + "|")
    for converter, convert in found.items():
        shares = [sum(is_shown(tex, converted(convert, tex)) for tex in some) / len(some) for some in sets.values()]
        mixed = sum("".join(converted(convert, a).split()) == "".join(converted(convert, b).split()) for a, b in PAIRS)
        every = [tex for some in sets.values() for tex in some]
        cells = [f"{share:.0%}" for share in shares] + [f"{mixed} of {len(PAIRS)}"]
        cells += [f"`{converted(convert, chr(92) + 'unknown{x}+1')}`", f"{microseconds(convert, every):.0f}"]
        print(f"| {converter} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
