r"""TeX of ``<math>`` and ``<chem>`` as a line of readable text, or nothing where a line cannot show it.

``E=mc^2`` becomes E=mc², ``\frac{1}{2}\pi r`` becomes 1/2πr, a matrix becomes nothing. The one idea: replace what has
a character of its own, and give up as soon as a command or a brace is left, because half a formula is worse than none.
"""

import re

from . import tables

MAX_LENGTH = 400  # characters of TeX; longer formulas are set off from the text and no line to read

TEX = tables.FORMULAS
SYMBOLS = TEX["greek"] | TEX["operators"] | {name: name for name in TEX["functions"]}
BLACKBOARD = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))
NEGATED = dict(zip("=∈<>≡⊂", "≠∉≮≯≢⊄", strict=True))
SUPERSCRIPTS = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
# Stand-ins for characters that must not be read again as TeX, and what they stand for.
OPEN, CLOSE, UP, DOWN = "\ufdd2\ufdd3\ufdd4\ufdd5"
RESTORED = str.maketrans(OPEN + CLOSE + UP + DOWN, "{}^_")

SPACE, STYLE = "|".join(TEX["spacing"]), "|".join(TEX["styled"])
SPACING = re.compile(rf"\\(?:[,;:!> ]|(?:{SPACE})(?![a-zA-Z])\.?)")
ATOM = re.compile(r"[\w.]+|\\\w+")
GROUP = r"\s*(?:\{([^{}]*)\}|(\w))"  # what a command takes: {…}, or one character


def superscript(text: str) -> str:
    """Text raised, where every character of it can be: 10 and -6 give ⁻⁶; otherwise as it is."""
    return _all_moved(text, SUPERSCRIPTS)


def subscript(text: str) -> str:
    """Text lowered, where every character of it can be: the 2 of H₂O; otherwise as it is."""
    return _all_moved(text, SUBSCRIPTS)


def _all_moved(text: str, places: dict[int, int]) -> str:
    return text.translate(places) if all(ord(char) in places for char in text) else text


def readable(tex: str) -> str:
    r"""A formula as one line of text, or '' where it cannot be one.

    >>> readable(r"E = mc^2"), readable(r"\frac{1}{2}\pi r^{n}"), readable(r"\begin{matrix}1\end{matrix}")
    ('E = mc²', '1/2πrⁿ', '')
    """
    if len(tex) > MAX_LENGTH or "\\begin" in tex or "\\\\" in tex or "&" in tex:
        return ""
    text = SPACING.sub(" ", tex.replace("\\{", OPEN).replace("\\}", CLOSE))
    for _ in range(6):  # from the inside out; deeper formulas are given up
        before = text
        for pattern, shown in REWRITTEN:
            text = pattern.sub(shown, text)
        if text == before:
            break
    text = re.sub(r"\{([^{}]*)\}", r"\1", text).replace("\\%", "%").replace("~", " ")
    if re.search(r"[\\{}]", text):
        return ""
    return " ".join(text.translate(RESTORED).split())


def chemical(formula: str) -> str:
    """A formula of ``<chem>`` or ``{{chem}}`` as chemists type it: H2O, SO42-, 2H2 + O2 → 2H2O."""
    text = re.sub(r"\s*<?(?:->|→)(?:\[[^\]]*\])?\s*", " → ", re.sub(r"[_^]\{?([0-9+−-]+)\}?", r"\1", formula))
    return "" if re.search(r"[\\{}]", text) else " ".join(text.split())


def _symbol(match: re.Match) -> str:
    symbol, space = SYMBOLS.get(match[1]), match[2]
    if symbol is None:
        return match.group()
    return symbol if symbol.isalpha() and len(symbol) == 1 else symbol + (space or "")  # πr, but log n and X → Y


def _fraction(match: re.Match) -> str:
    above, below = (part for part in match.groups() if part is not None)
    return f"{_grouped(above)}/{_grouped(below)}"


def _script(match: re.Match) -> str:
    mark, content = match[1], _last(match)
    if "\\" in content:
        return match.group()
    if content in ("∘", "°", "′"):
        return content.replace("∘", "°")
    shown = superscript(content) if mark == "^" else subscript(content)
    return shown if shown != content else (UP if mark == "^" else DOWN) + _grouped(content)


def _grouped(text: str) -> str:
    text = text.strip()
    return text if ATOM.fullmatch(text) else f"({text})"


def _last(match: re.Match) -> str:
    return match[match.lastindex]


REWRITTEN = (  # in this order, again and again: (pattern, what is shown instead)
    (re.compile(r"\\([a-zA-Z]+)( (?=\w))?"), _symbol),
    (re.compile(r"\\(?:mathbb\s*\{?([A-Z])\}?|([RNZQC])(?![a-zA-Z]))"), lambda m: BLACKBOARD.get(_last(m), _last(m))),
    (re.compile(rf"\\(?:{STYLE}|color\{{\w+\}})\*?(?:\s*\{{([^{{}}]*)\}}|\s+(\w)|(\d))"), _last),
    (re.compile(rf"\\[dt]?frac{GROUP}{GROUP}|\{{([^{{}}]*)\\over\s([^{{}}]*)\}}"), _fraction),
    (re.compile(rf"\\sqrt\s*(?:\[(\d)\])?{GROUP}"), lambda m: f"{superscript(m[1] or '')}√{_grouped(_last(m))}"),
    (re.compile(r"\\[dt]?binom\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"C(\1, \2)"),
    (re.compile(rf"\\pmod{GROUP}"), lambda m: f" (mod {_last(m)})"),
    (re.compile(r"\\not\s*([=∈<>≡⊂])"), lambda m: NEGATED[m[1]]),
    (re.compile(r"([\^_])\s*(?:\{([^{}]*)\}|(\\[a-zA-Z]+|[^\s{}\\]))"), _script),
)
