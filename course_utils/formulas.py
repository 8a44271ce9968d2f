r"""TeX of ``<math>`` and ``<chem>`` as a line of readable text, or nothing where a line cannot show it.

``E=mc^2`` becomes E=mc², ``\frac{1}{2}\pi r`` becomes 1/2πr, a matrix becomes nothing. The one idea: replace what has
a character of its own, and give up as soon as a command or a brace is left, because half a formula is worse than none.
"""

import re

MAX_LENGTH = 400  # characters of TeX; longer formulas are set off from the text and no line to read

SYMBOLS = {
    # Greek
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
    # operators and relations
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "circ": "∘", "bullet": "•", "oplus": "⊕",
    "otimes": "⊗", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "equiv": "≡", "sim": "∼", "simeq": "≃", "cong": "≅", "propto": "∝", "ll": "≪", "gg": "≫",
    "in": "∈", "notin": "∉", "ni": "∋", "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "cup": "∪", "cap": "∩",
    "emptyset": "∅", "varnothing": "∅", "forall": "∀", "exists": "∃", "neg": "¬", "lnot": "¬", "land": "∧", "lor": "∨",
    "wedge": "∧", "vee": "∨", "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "Leftarrow": "⇐",
    "leftrightarrow": "↔", "Leftrightarrow": "⇔", "iff": "⇔", "implies": "⇒", "mapsto": "↦", "uparrow": "↑",
    "downarrow": "↓", "sum": "∑", "prod": "∏", "int": "∫", "oint": "∮", "partial": "∂", "nabla": "∇", "infty": "∞",
    "hbar": "ℏ", "ell": "ℓ", "Re": "ℜ", "Im": "ℑ", "aleph": "ℵ", "angle": "∠", "perp": "⊥", "parallel": "∥",
    "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "colon": ":", "bmod": "mod", "triangle": "△", "star": "⋆",
    "dagger": "†", "because": "∵", "therefore": "∴", "Box": "□", "infin": "∞", "isin": "∈", "exist": "∃", "and": "∧",
    "or": "∨", "sub": "⊂", "part": "∂", "rarr": "→", "larr": "←", "harr": "↔", "lang": "⟨", "rang": "⟩", "empty": "∅",
    "mid": "|", "vert": "|", "degree": "°", "prime": "′", "ldots": "…", "cdots": "…", "dots": "…", "langle": "⟨",
    "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "backslash": "\\", "setminus": "∖",
    # names of functions stand as they are
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "arcsin": "arcsin",
    "arccos": "arccos", "arctan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "log": "log", "ln": "ln",
    "lg": "lg", "exp": "exp", "lim": "lim", "max": "max", "min": "min", "sup": "sup", "inf": "inf", "det": "det",
    "dim": "dim", "ker": "ker", "gcd": "gcd", "deg": "deg", "arg": "arg", "mod": "mod", "Pr": "Pr",
}  # fmt: skip
BLACKBOARD = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))
SUPERSCRIPTS = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
RAISED, LOWERED = set("0123456789+-−=()ni"), set("0123456789+-−=()")

SPACING = re.compile(
    r"\\(?:[,;:!> ]|(?:quad|qquad|left|right|big|Big|bigg|Bigg|displaystyle|textstyle|scriptstyle|limits|nolimits"
    r"|bigl|bigr|Bigl|Bigr|rm|bf|it)(?![a-zA-Z])\.?)"
)
# Fonts and accents, whose letter stays.
STYLED = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathsf|mathcal|mathfrak|mathscr|boldsymbol|bold|text|textrm|textbf|textit|mbox|operatorname"
    r"|vec|hat|bar|tilde|dot|ddot|check|widehat|widetilde|overline|underline|overrightarrow|mathop|ce|color\{\w+\})\*?"
    r"(?:\s*\{([^{}]*)\}|\s+(\w)|(\d))"
)
BOARD = re.compile(r"\\(?:mathbb\s*\{?([A-Z])\}?|([RNZQC])(?![a-zA-Z]))")
FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))|\{([^{}]*)\\over\s([^{}]*)\}")
ROOT = re.compile(r"\\sqrt\s*(?:\[(\d)\])?\s*(?:\{([^{}]*)\}|(\w))")
BINOMIAL = re.compile(r"\\[dt]?binom\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
MODULO = re.compile(r"\\pmod\s*(?:\{([^{}]*)\}|(\w))")
NOT = re.compile(r"\\not\s*([=∈<>≡⊂])")
NEGATED = dict(zip("=∈<>≡⊂", "≠∉≮≯≢⊄", strict=True))
SCRIPT = re.compile(r"([\^_])\s*(?:\{([^{}]*)\}|(\\[a-zA-Z]+|[^\s{}\\]))")
COMMAND = re.compile(r"\\([a-zA-Z]+)( (?=\w))?")
# Stand-ins for characters that must not be read again as TeX, and what they stand for.
OPEN, CLOSE, UP, DOWN = "\ufdd2\ufdd3\ufdd4\ufdd5"
RESTORED = str.maketrans(OPEN + CLOSE + UP + DOWN, "{}^_")
ATOM = re.compile(r"[\w.]+|\\\w+")


def superscript(text: str) -> str:
    """Text raised, where every character of it can be: 10 and -6 give ⁻⁶; otherwise as it is."""
    return text.translate(SUPERSCRIPTS) if text and RAISED.issuperset(text) else text


def subscript(text: str) -> str:
    """Text lowered, where every character of it can be: the 2 of H₂O; otherwise as it is."""
    return text.translate(SUBSCRIPTS) if text and LOWERED.issuperset(text) else text


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
        text = COMMAND.sub(_symbol, text)
        text = BOARD.sub(lambda m: BLACKBOARD.get(m[1] or m[2], m[1] or ""), text)
        text = STYLED.sub(lambda m: m[m.lastindex], text)
        text = FRACTION.sub(_fraction, text)
        text = ROOT.sub(lambda m: f"{superscript(m[1] or '')}√{_grouped(m[2] or m[3] or '')}", text)
        text = BINOMIAL.sub(r"C(\1, \2)", text)
        text = MODULO.sub(lambda m: f" (mod {m[1] or m[2]})", text)
        text = NOT.sub(lambda m: NEGATED[m[1]], text)
        text = SCRIPT.sub(_script, text)
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
    mark, group, single = match.groups()
    content = single if group is None else group
    if "\\" in content:
        return match.group()
    if content in ("∘", "°", "′"):
        return {"∘": "°"}.get(content, content)
    shown = superscript(content) if mark == "^" else subscript(content)
    if shown != content:
        return shown
    return f"{UP if mark == '^' else DOWN}{_grouped(content)}"


def _grouped(text: str) -> str:
    text = text.strip()
    return text if ATOM.fullmatch(text) else f"({text})"
