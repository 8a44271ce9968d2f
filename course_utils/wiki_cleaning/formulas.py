r"""TeX of ``<math>`` and ``<chem>`` as a line of readable text, or nothing where a line cannot show it.

``E=mc^2`` becomes E=mc², ``\frac{1}{2}\pi r`` becomes 1/2πr, a matrix becomes nothing. The one idea: read the formula
once from left to right, write what each command shows, and give up at the first that a line cannot show or that is not
in ``formulas.toml``, because half a formula is worse than none.

What stands on the line means what the formula means: ``\frac{1}{2a}`` is 1/(2a), ``x_iy`` is x_i y, ``\bar{x}`` is x̄.
Blanks are those of a person who types: the writer's own around signs, one after sin, none where a blank only ends the
name of a command. So a formula is read with blanks of several kinds, and ``_spaced`` shows those that their neighbours
ask for. Cost: linear in the length, 20 µs for a formula of 37 characters. ``benchmarks/formulas.py`` holds it against
pylatexenc and others: they take five times as long and more, and leave TeX in the text or drop brackets.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from . import tables

MAX_LENGTH = 400  # characters of TeX; longer formulas are set off from the text and no line to read
MAX_ROWS = 12  # of such formulas below each other

TEX = tables.FORMULAS
FUNCTIONS = frozenset(TEX["functions"].split())
FRACTIONS = frozenset(f"\\{name}" for name in TEX["fractions"]["/"].split())
ALPHABETS = {name: str.maketrans(*characters) for name, characters in TEX["alphabets"].items()}

TOKEN = re.compile(r"\\(?:[a-zA-Z]+|.?)|[{}\[\]^_~& ]|[^\\{}\[\]^_~& ]+", re.S)
# A script belongs to what is before a blank: 25\,^{\circ}; an empty group keeps the blank: \to {}^4 He.
BEFORE_SCRIPT = re.compile(r"(?<!\\)(?: |\\(?:,|limits|nolimits) ?)(?=[\^_])")
DEGREES = re.compile(r"(?<=\d)\^(?:o(?!\()|\{o\})")  # 90^o
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
# Environments that only align; with one row they are a line.
ALIGNMENT, ROW_END = re.compile(r"(?<!\\)&"), re.compile(r"\\\\(?:\[[^\]]*\])?")
ALIGNED = re.compile(
    r"\\begin ?\{((?:align(?:ed|at|edat)?|split|gather(?:ed)?|equation)\*?)\}(?:\{\d\})?"
    r"(.*?)(?:\\\\ ?)?\\end ?\{\1\}( ?[.,]?)"
)

# The blanks that a formula is read with, besides the writer's own; those of its TeX have all become plain ones by then.
EXPLICIT = "\u00a0"  # ``\,`` and what else is made to be seen
NAME = "\u2000"  # at the end of a command's name: the writer's blank after it is shown before a sign only
GAP = "\u2001"  # between operands that would run into each other: sin x, x_i y
WIDE = "\u2002"  # before brackets too: a/b (c)
NARROW = "\u2003"  # between numbers, and before a sum: 1/2 ∑, but 1/2πr
TIGHT = "\u2004"  # none, whatever else stands there
SIGN = "\u2005"  # behind an operator: as before it
BLANKS = " \u00a0\u2000-\u2005"
RUN = re.compile(f"[{BLANKS}]+")

MARKS = "".join(TEX["accents"])
SCRIPTS = "\u00b9\u00b2\u00b3\u2070-\u208e"  # raised and lowered characters
OPERAND_END = rf"[\w{MARKS}{SCRIPTS})\]}}|‖⟩⌋⌉∇⊤⊥'′!%°…∞∅]"
LARGE_SIGNS = "".join(TEX["large"])
OPERAND = rf"\w√∂∇∞…△∠{LARGE_SIGNS}"
DUE = re.compile(
    rf"{OPERAND_END}\s*(?:{GAP}\s*(?![{SCRIPTS}])[{OPERAND}]|{WIDE}\s*[{OPERAND}(\[{{|‖⟨⌊⌈]|{NARROW}\s*[\d{LARGE_SIGNS}])"
)
SPACED_SIGN = re.compile(rf"(?<={OPERAND_END})[{NAME}{GAP}{WIDE}{NARROW}]*[ {EXPLICIT}]+(.){SIGN}[{BLANKS}]*")
CLOSING_SIGN = re.compile(r"[,;)\]}⟩⌋⌉]|\.?\Z")
SIGN_CHARACTERS = {*TEX["signs"], *"=+-−/<>:|"}

# What needs no brackets: a numerator (ab²), a denominator (b², dx, 2), a radicand or exponent (b, 2), an index (ij).
LETTER = rf"[^\W\d_][{MARKS}]*"
NUMBER = r"\d+(?:\.\d+)?"
GROUPED = r"\([^()]*\)|\[[^\[\]]*\]|\|[^|]*\||‖[^‖]*‖"
PRODUCT = re.compile(rf"(?:[∂dδ][{SCRIPTS}]* )?(?:[\w.{MARKS}{SCRIPTS}∂∇√∞′'!°%·…^]|{GROUPED})+")
FACTOR = re.compile(
    rf"(?:[dδ∂Δ∇]?[{SCRIPTS}]*{LETTER}|[A-Z]{{2,4}}|{NUMBER}|{GROUPED})"
    rf"[{SCRIPTS}'′*!°]*(?:_[^\W_]+|\^\w|\^\([^()]*\))?(?:\(\w\))?"
    rf"|[\u4e00-\u9fff]+|√(?:{NUMBER}|{LETTER}|\([^()]*\))"
)
ATOM = re.compile(rf"{NUMBER}|{LETTER}['′]*|[\u4e00-\u9fff]+|[^\w\s]")
INDEX = re.compile(rf"(?:[^\W_][{MARKS}'′]*)+|[^\w\s]")
BRACKETED = re.compile(r"\([^()]*\)")
COMPOUND = re.compile("[/√^\u00b2\u00b3\u00b9\u2070-\u207f]")  # whose exponent would seem to belong to the end of it
ACCENTED = re.compile(rf"({LETTER}|\d)((?:[\u2080-\u2089]+|_\w)?)|[A-Z]{{2,4}}")  # x_i; AB stands without its bar
LOOSE = re.compile(r" +(?=[^\w(])|(?<=[^\w)]) +")  # the blanks of n + 1 as an index


def superscript(text: str) -> str:
    """Text raised, where every character of it can be: 10 and -6 give ⁻⁶; otherwise as it is."""
    return _moved(text, "superscripts") or text


def _moved(text: str, where: str) -> str:
    places = ALPHABETS[where]
    return text.translate(places) if places.keys() >= {*map(ord, text)} else ""


def readable(tex: str) -> str:
    r"""A formula as one line of text, or '' where it cannot be one. Never raises.

    Stand-ins of ``marks``, which an argument of ``{{math}}`` may hold, stay as they are.

    >>> readable(r"E = mc^2"), readable(r"\frac{1}{2}\pi r^{n}"), readable(r"\begin{matrix}1\end{matrix}")
    ('E = mc²', '1/2πrⁿ', '')
    """
    if len(tex) > MAX_LENGTH:
        return ""
    tex = " ".join(COMMENT.sub("", html.unescape(tex)).split())
    if rows := ALIGNED.fullmatch(tex):
        tex = ALIGNMENT.sub("", rows[2]) + rows[3]
    tex = DEGREES.sub("°", BEFORE_SCRIPT.sub("", tex.removesuffix("\\\\")))
    try:
        return _spaced(_Reader(tex).row())
    except (_Unshown, RecursionError):
        return ""


def rows(tex: str) -> list[str]:
    r"""A formula that only aligns its rows: each as a line. Empty where it is something else, or one cannot be shown.

    >>> rows(r"\begin{align} a &= b \\\\ &= c \end{align}")
    ['a = b', '= c']
    """
    found = ALIGNED.fullmatch(" ".join(tex.split())) if len(tex) <= MAX_ROWS * MAX_LENGTH else None
    if not found or "\\begin" in found[2]:
        return []
    shown = [readable(ALIGNMENT.sub("", row)) for row in ROW_END.split(found[2]) if row.strip()]
    return shown if all(shown) else []


def chemical(formula: str) -> str:
    """A formula of ``<chem>`` or ``{{chem}}`` as chemists type it: H2O, SO42-, 2H2 + O2 → 2H2O; '' where it is more."""
    if len(formula) > MAX_LENGTH:
        return ""
    text = re.sub(r"[_^]\{?([0-9+−-]+|[a-z](?![a-z]))\}?", r"\1", " ".join(formula.split()))
    text = re.sub(r"\{([^{}\\]*)\}", r"\1", text)  # a group, {S2O5}^{2-}
    text = re.sub(r" ?(?:<=+>>?|<<=+>|<-+>) ?", " ⇌ ", text)
    text = re.sub(r" ?<?(?:->|→)(?:\[[^\]]*\])? ?", " → ", text)
    return "" if re.search(r"[\\{}]", text) else " ".join(text.split())


class _Unshown(Exception):
    """A formula that no line can show."""


def _needed(value: Any) -> Any:
    """The value; without one the formula is not shown."""
    if not value:
        raise _Unshown
    return value


def _spaced(text: str) -> str:
    """What was read, with those of its blanks that are shown."""
    if SIGN in text:
        text = SPACED_SIGN.sub(r" \1 ", text)
    return RUN.sub(_blank, text)


def _blank(run: re.Match[str]) -> str:
    """What a run of blanks shows, between the characters before and after it."""
    blanks, text, start, end = run[0], run.string, run.start(), run.end()
    if blanks == NAME or TIGHT in blanks or SIGN in blanks:
        return ""
    if not start or text[start - 1] in "([{⟨⌊⌈" or CLOSING_SIGN.match(text, end):
        return ""
    named = blanks if text[end] in SIGN_CHARACTERS else blanks.replace(NAME + " ", "")
    return " " if " " in named or EXPLICIT in blanks or DUE.match(text, start - 1) else ""


def _script(mark: str, content: str, *, on_line: bool = False) -> str:
    """An exponent or index, on the line where not every character of it can be raised or lowered: x_(n+1)."""
    content = LOOSE.sub("", content)
    where, simple = ("superscripts", ATOM) if mark == "^" else ("subscripts", INDEX)
    moved = "" if on_line else _moved(content, where)
    return moved or content and mark + _bracketed(content, simple)


def _bracketed(text: str, simple: re.Pattern[str]) -> str:
    return text if simple.fullmatch(text) else f"({text})"


def _fraction(sign: str, above: str, below: str) -> str:
    """1/2πr is half of πr; a/b c and 1/(2a) c, else c would be read with what is below."""
    if sign == "C":
        return f"{GAP}C({above}, {below})"
    gap = NARROW if below.isdecimal() else WIDE
    return f"{WIDE}{_bracketed(_needed(above), PRODUCT)}/{_bracketed(_needed(below), FACTOR)}{gap}"


class _Reader:
    """Reads the tokens of a formula once; raises _Unshown where a line cannot show what comes."""

    def __init__(self, tex: str) -> None:
        self.tokens = ["", *reversed(TOKEN.findall(tex))]  # the next one is the last; '' is the end

    def row(self, closing: str = "") -> str:
        """What stands up to the closing token, with all kinds of blanks."""
        pieces = []
        while (token := self.tokens.pop()) != closing:
            if token in INFIX:
                return _fraction(INFIX[token], _spaced("".join(pieces)), _spaced(self.row(closing)))
            pieces.append(self.piece(token) if token[:1] in SPECIAL else token)
        return "".join(pieces)

    def piece(self, token: str) -> str:
        """What a token shows, with the arguments that it takes."""
        if token == "{":
            return self.base(self.row("}"))
        if token in SCRIPT_MARKS:
            script = _script(token, self.argument())
            return script + (GAP if script[:1] == token and script[-1] != ")" else "")
        read, value = _needed(COMMANDS.get(token))
        return read(self, value)

    def argument(self) -> str:
        """What a command takes: a group, a command with its own arguments, or one character."""
        self.skip(" ")
        token = self.tokens.pop()
        if token == "{":
            return _spaced(self.row("}"))
        if token in SCRIPT_MARKS:
            raise _Unshown
        if token[:1] in SPECIAL:
            return _spaced(self.piece(token))
        if len(token) > 1:
            self.tokens.append(token[1:])
        return token[0]

    def skip(self, *these: str) -> bool:
        """Whether the next token was one of these, and is read."""
        return self.tokens[-1] in these and bool(self.tokens.pop())

    def option(self) -> str:
        """An argument in square brackets, or ''."""
        self.skip(" ")
        return _spaced(self.row("]")) if self.skip("[") else ""

    def limits(self) -> str:
        """The scripts of an operator, on the line where one of them is: ∑_(i=1)^n."""
        scripts = []
        while self.tokens[-1] in SCRIPT_MARKS:
            scripts.append((self.tokens.pop(), self.argument()))
        on_line = any(_script(*script)[:1] in SCRIPT_MARKS for script in scripts)
        return "".join(_script(*script, on_line=on_line) for script in scripts)

    def base(self, text: str) -> str:
        """In brackets where a script follows that would seem to belong to the end of it: (a/b)²."""
        alone = self.tokens[-1] not in SCRIPT_MARKS or not COMPOUND.search(text) or BRACKETED.fullmatch(text)
        return text if alone else f"({text})"

    # What the commands show. Each of these takes what formulas.toml says of the command.

    def function(self, name: str) -> str:
        """A word, with a blank before an argument without brackets: sin x; a fraction gets brackets: ln(a/b)."""
        shown = GAP + name + self.limits()
        if shown[-1] == ")":
            return shown + WIDE
        following = self.tokens[-2] if self.tokens[-1] == " " else self.tokens[-1]
        return f"{shown}({self.argument()})" if following in FRACTIONS else shown + GAP + NAME

    def large(self, sign: str) -> str:
        limits = self.limits()
        return sign + limits + (WIDE if limits else TIGHT)

    def font(self, kind: str) -> str:
        self.skip(" ", "*")
        content = self.row("}") if self.skip("{") else self.argument()  # with its blanks: \text{ and }
        if content in FUNCTIONS or kind == "operator" and len(content) > 1:
            return self.function(content)
        return content.translate(ALPHABETS[kind]) + (NAME if content == "d" else "")  # \mathrm{d} x

    def accent(self, mark: str) -> str:
        content = self.argument()
        letter = _needed(ACCENTED.fullmatch(content))
        if not letter[1]:
            return content
        return unicodedata.normalize("NFC", letter[1].translate(ALPHABETS["accented"]) + mark) + letter[2]

    def fraction(self, sign: str) -> str:
        above = self.argument()
        return self.base(_fraction(sign, above, self.argument()))

    def root(self, sign: str) -> str:
        index = self.option()
        raised = WIDE + _needed(_moved(index, "superscripts")) if index else ""
        root = raised + sign + _bracketed(_needed(self.argument()), ATOM)
        return self.base(root if root[-1] == ")" else root + GAP)

    def negated(self, stroke: str) -> str:
        sign = unicodedata.normalize("NFC", self.argument() + stroke)
        return _needed(len(sign) == 1 and sign) + SIGN

    def labelled(self, mark: str) -> str:
        """A definition's ≝, and a word with its limit below it: lim_(x→0)."""
        label, base = self.argument(), self.argument()
        if mark == "_" and len(base) > 1 and base.replace(" ", "").isalpha():
            self.tokens += ["}", label, "{", mark]
            return self.function(base)
        return _needed(base == "=" and TEX["equal"].get(label)) + SIGN

    def dropped(self, blank: str) -> str:
        self.skip("*")
        self.option()
        self.argument()
        return blank

    def arrow(self, sign: str) -> str:
        """An arrow as long as what stands above and below it."""
        scripts = {"_": self.option(), "^": self.argument()}
        return EXPLICIT + sign + "".join(_script(*script, on_line=True) for script in scripts.items()) + EXPLICIT


SPECIAL = {"", *"\\{}&~^_"}  # what tokens that are no text begin with; the end is ""
SCRIPT_MARKS = {"^", "_"}
INFIX = {"\\over": "/", "\\choose": "C"}
# What reads the commands of each table of formulas.toml.
READERS: dict[str, Callable[[_Reader, str], str]] = {
    "characters": lambda _, shown: shown,
    "letters": lambda _, letter: letter + NAME,
    "signs": lambda _, sign: sign + SIGN,
    "opening": lambda _, bracket: bracket + TIGHT,
    "closing": lambda _, bracket: TIGHT + bracket,
    "spaces": lambda *_: EXPLICIT,
    "switches": lambda *_: NAME,
    "modulo": lambda reader, mod: f"{EXPLICIT}({mod} {reader.argument()})",
    "words": _Reader.function,
    "large": _Reader.large,
    "accents": _Reader.accent,
    "fonts": _Reader.font,
    "dropped": _Reader.dropped,
    "fractions": _Reader.fraction,
    "roots": _Reader.root,
    "left": lambda reader, _: reader.argument().translate(ALPHABETS["delimiters"]) + TIGHT,
    "right": lambda reader, _: TIGHT + reader.argument().translate(ALPHABETS["delimiters"]),
    "arrows": _Reader.arrow,
    "labelled": _Reader.labelled,
    "negated": _Reader.negated,
    "chemistry": lambda reader, _: _needed(chemical(reader.argument())),
}
# Of each command: what reads it, and what that is given.
COMMANDS = {f"\\{name}": (_Reader.function, name) for name in FUNCTIONS} | {
    f"\\{name}": (read, value)
    for kind, read in READERS.items()
    for value, names in TEX[kind].items()
    for name in names.split()
}
COMMANDS |= dict.fromkeys(("~", "\\ ", "\\"), (READERS["spaces"], ""))
