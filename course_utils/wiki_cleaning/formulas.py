r"""TeX of ``<math>`` and ``<chem>`` as a line of readable text, or nothing where a line cannot show it.

``E=mc^2`` becomes E=mc², ``\frac{1}{2}\pi r`` becomes 1/2πr, a matrix becomes nothing. The one idea: read the formula
once from left to right, write what each command shows, and give up at the first one that a line cannot show or that is
not in ``formulas.toml``, because half a formula is worse than none.

What stands on the line means what the formula means: ``\frac{1}{2a}`` is 1/(2a), ``x_iy`` is x_i y, ``\bar{x}`` is x̄.
Blanks are those of a person who types: the writer's own around signs, one after sin and after ∑_(i=1)^n, none where a
blank only ends the name of a command. Cost: linear in the length, 20 µs for a formula of 37 characters.
``benchmarks/formulas.py`` holds it against pylatexenc and others: they take ten times as long, and either leave TeX in
the text or drop brackets and signs without a word.
"""

import html
import re
import unicodedata
from collections.abc import Callable

from . import tables

MAX_LENGTH = 400  # characters of TeX; longer formulas are set off from the text and no line to read
MAX_DEPTH = 12  # of groups and arguments in each other; no readable line has more

TEX = tables.FORMULAS
LETTERS, SIGNS, LARGE, OPENING, CLOSING, ACCENTS, WORDS = (
    {name: sign for sign, names in TEX[kind].items() for name in names.split()}
    for kind in ("letters", "signs", "large", "opening", "closing", "accents", "words")
)
FUNCTIONS = {name: name for name in TEX["functions"].split()}
BLACKBOARD = str.maketrans("CHNPQRZ", "ℂℍℕℙℚℝℤ")
SUPERSCRIPTS = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
LABELLED = {"def": "≝", "Def": "≝", "△": "≜", "Δ": "≜", "?": "≟", "⋆": "≛", "*": "≛"}  # what stands above =

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.?|[{}\[\]^_~&]|\s+|[^\\{}\[\]^_~&\s]+", re.S)
MARKUP = re.compile(r"[\\{}^_~&]|<!--")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z]{2,8});")
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
# Environments that only align; with one row they are a line.
ALIGNED = re.compile(
    r"\s*\\begin\s*\{(align(?:ed|at|edat)?\*?|split|gather(?:ed)?\*?|equation\*?)\}(?:\{\d\})?"
    r"(.*?)(?:\\\\\s*)?\\end\s*\{\1\}(\s*[.,]?)\s*",
    re.S,
)
ALIGNMENT = re.compile(r"(?<!\\)&")

MARKS = "".join(TEX["accents"])
LETTER = rf"[^\W\d_][{MARKS}]*"
NUMBER = r"\d+(?:\.\d+)?"
SCRIPTS = "\u00b9\u00b2\u00b3\u2070-\u208e"  # raised and lowered characters
# What needs no brackets as a numerator (ab²), as a denominator or factor (b², dx, 2), under a root (b, 2), as an index
# (max, ij) and as an exponent (b, 2).
GROUPED = r"\([^()]*\)|\[[^\[\]]*\]"
PRODUCT = re.compile(rf"(?:[∂dδ][{SCRIPTS}]* )?(?:[\w.{MARKS}{SCRIPTS}∂∇√∞′'!°%·…^]|{GROUPED})+")
ROOTED = rf"{NUMBER}|{LETTER}[\u2080-\u2089]*|[\u4e00-\u9fff]+"
FACTOR = re.compile(
    rf"(?:[dδ∂Δ∇]?[{SCRIPTS}]*{LETTER}|[A-Z]{{2,4}}|{NUMBER}|∞|{GROUPED})"
    rf"[{SCRIPTS}'′*!°]*(?:_[^\W_]+|\^\w|\^\([^()]*\))?(?:\(\w\))?"
    rf"|\|[^|]*\||‖[^‖]*‖|[\u4e00-\u9fff]+|√(?:{ROOTED}|\([^()]*\))"
)
RADICAND = re.compile(ROOTED)
INDEX = re.compile(rf"(?:[^\W_][{MARKS}'′]*)+|[^\w\s]")
EXPONENT = re.compile(rf"{NUMBER}|{LETTER}['′]*|[^\w\s]")
BRACKETED = re.compile(r"\([^()]*\)")
ACCENTED = re.compile(rf"({LETTER}|\d)((?:[\u2080-\u2089]+|_\w)?)")
POINTS = re.compile("[A-Z]{2,4}")  # a segment, AB, which is written without its bar
WORDY = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]{3}")
TIGHT = re.compile(r" +(?=[^\w(])|(?<=[^\w)]) +")  # the blanks of n + 1 as an index
SPACED_COMMA = re.compile(r" +(?=[,;])")

# Before which characters a blank stands, besides letters and digits, after what would else run into them.
OPERANDS = "√∂∇∞…△∠" + "".join(LARGE.values())
ARGUMENTS = OPERANDS + "ℏ"  # after a function; a string of its own, by which a fraction knows
BRACKETS = OPERANDS + "([{|‖" + "".join(OPENING.values())
AFTER_NUMBER = "0123456789" + "".join(LARGE.values())  # and no letters: 1/2πr
# What an operand ends with, besides letters and digits.
ENDS = set(MARKS + ")]}|‖∇⊤⊥'′!%°…∞∅" + "".join(CLOSING.values()) + "⁺⁻⁼⁽⁾₊₋₌₍₎")


def superscript(text: str) -> str:
    """Text raised, where every character of it can be: 10 and -6 give ⁻⁶; otherwise as it is."""
    return _all_moved(text, SUPERSCRIPTS)


def subscript(text: str) -> str:
    """Text lowered, where every character of it can be: the 2 of H₂O; otherwise as it is."""
    return _all_moved(text, SUBSCRIPTS)


def _all_moved(text: str, places: dict[int, int]) -> str:
    return text.translate(places) if all(ord(char) in places for char in text) else text


def readable(tex: str) -> str:
    r"""A formula as one line of text, or '' where it cannot be one. Never raises.

    Stand-ins of ``marks``, which an argument of ``{{math}}`` may hold, stay as they are.

    >>> readable(r"E = mc^2"), readable(r"\frac{1}{2}\pi r^{n}"), readable(r"\begin{matrix}1\end{matrix}")
    ('E = mc²', '1/2πrⁿ', '')
    """
    if len(tex) > MAX_LENGTH:
        return ""
    if MARKUP.search(tex):
        tex = COMMENT.sub("", ENTITY.sub(lambda entity: html.unescape(entity[0]), tex))
        if "\\begin" in tex and (rows := ALIGNED.fullmatch(tex)):
            tex = ALIGNMENT.sub("", rows[2]) + rows[3]
        try:
            tex = _Reader(tex).row().text
        except _Unshown:
            return ""
    text = " ".join(tex.split())
    if " ," in text or " ;" in text:
        text = SPACED_COMMA.sub("", text)
    return text[:-2] + "." if text.endswith(" .") else text


def chemical(formula: str) -> str:
    """A formula of ``<chem>`` or ``{{chem}}`` as chemists type it: H2O, SO42-, 2H2 + O2 → 2H2O; '' where it is more."""
    text = re.sub(r"[_^]\{?([0-9+−-]+)\}?", r"\1", formula)
    text = re.sub(r"\s*(?:<=+>>?|<<=+>|<-+>)\s*", " ⇌ ", text)
    text = re.sub(r"\s*<?(?:->|→)(?:\[[^\]]*\])?\s*", " → ", text)
    return "" if re.search(r"[\\{}]", text) else " ".join(text.split())


class _Unshown(Exception):
    """A formula that no line can show."""


class _Line:
    """What is written of a row: the text, and what the next operand must know of it.

    ``gap``: before which characters, besides letters and digits, a blank is due; None: before none. ``unit``: where the
    last group, fraction or root begins, which as the base of an exponent may need brackets. ``large``: it ends in an
    operator whose limits follow. ``over``: the infix command that ended the numerator, and the numerator.
    """

    __slots__ = ("text", "gap", "unit", "large", "over")

    def __init__(self) -> None:
        self.text, self.gap, self.unit, self.large, self.over = "", None, None, False, None

    def operand(self, text: str, gap: str | None = None) -> None:
        if text:
            due = self.gap
            if due is not None and (text[0] in due or (due is not AFTER_NUMBER and text[0].isalnum())):
                self.text += " "
            self.text += text
        self.gap, self.unit, self.large = gap, None, False

    def apart(self, text: str, gap: str | None = None) -> None:
        """An operand that does not run into the one before it: sin in x sin y, the fraction of 2 1/2."""
        last = self.text[-1:]
        if last.isalnum() or last in ENDS and (text[0] != "(" or self.gap is not None):
            self.text += " "
            self.gap = None
        self.operand(text, gap)


class _Reader:
    """Reads the tokens of a formula once; raises _Unshown where a line cannot show what comes."""

    __slots__ = ("tokens", "at", "depth")

    def __init__(self, tex: str) -> None:
        self.tokens, self.at, self.depth = TOKEN.findall(tex), 0, 0
        while self.tokens and (self.tokens[-1] == "\\\\" or self.tokens[-1].isspace()):  # no row after the last one
            self.tokens.pop()

    def row(self, closing: str = "") -> _Line:
        """What stands up to the closing token, or to the end."""
        line = _Line()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unshown
        tokens, end = self.tokens, len(self.tokens)
        while self.at < end:
            token = tokens[self.at]
            self.at += 1
            if token == closing:
                break
            first = token[0]
            if first == "\\":
                self.command(line, token)
            elif first == "{":
                self.group(line)
            elif first in "^_":
                self.script(line, token)
            elif first == "~" or first.isspace():
                line.text += " "
            elif first in "}&":
                raise _Unshown
            else:
                line.operand(token)
        else:
            if closing:
                raise _Unshown
        self.depth -= 1
        if line.over:
            command, above = line.over
            below, line = line.text, _Line()
            if command == "over":
                _fraction(line, above, below)
            else:
                line.operand(f"C({above.strip()}, {below.strip()})")
        return line

    def command(self, line: _Line, token: str) -> None:
        read, value = COMMANDS.get(token[1:], UNKNOWN)
        read(self, line, value)

    def group(self, line: _Line) -> None:
        start = len(line.text)
        inner = self.row("}")
        line.operand(inner.text, inner.gap)
        line.unit = start

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def skip_blanks(self) -> None:
        if self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1

    def end_name(self) -> None:
        """A blank that only ends the name of a command is none of the text; before a sign it is the writer's."""
        if self.peek().isspace():
            following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
            if following[:1] not in PLAIN_SIGNS and not (following[:1] == "\\" and following[1:] in SIGNS):
                self.at += 1

    def argument(self) -> str:
        """What a command takes: a group, a command with its own arguments, or one character."""
        self.skip_blanks()
        token = self.peek()
        self.at += 1
        if token[:1] == "\\":
            if token[1:] in SIGNS:
                self.end_name()
                return SIGNS[token[1:]]
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise _Unshown
            line = _Line()
            self.command(line, token)
            self.depth -= 1
            return line.text.strip()
        if token == "{":
            return self.row("}").text.strip()
        if token in ("", "}", "^", "_", "&", "~"):
            raise _Unshown
        if len(token) > 1:
            self.at -= 1
            self.tokens[self.at] = token[1:]
        return token[0]

    def option(self) -> str:
        """An argument in square brackets, or ''."""
        self.skip_blanks()
        if self.peek() != "[":
            return ""
        self.at += 1
        return self.row("]").text.strip()

    def raw(self) -> str:
        """A group as it is written."""
        self.skip_blanks()
        if self.peek() != "{":
            raise _Unshown
        start, depth = self.at + 1, 0
        for at in range(self.at, len(self.tokens)):
            depth += {"{": 1, "}": -1}.get(self.tokens[at], 0)
            if not depth:
                self.at = at + 1
                return "".join(self.tokens[start:at])
        raise _Unshown

    def script(self, line: _Line, mark: str) -> None:
        """An exponent or index, on the line where not every character of it can be raised or lowered: x_(n+1)."""
        if line.unit != len(line.text):  # the base is there, and is neither {} nor a sign
            line.text = line.text.rstrip(" ")
        large = line.large
        scripts = [(mark, TIGHT.sub("", self.argument()))]
        if large:
            at = self.at
            self.skip_blanks()
            other = self.peek()
            if other in ("^", "_") and other != mark:
                self.at += 1
                scripts.append((other, TIGHT.sub("", self.argument())))
            else:
                self.at = at
        elif line.unit is not None:
            base = line.text[line.unit :].lstrip(" ")
            if ("/" in base or "√" in base) and not BRACKETED.fullmatch(base):
                line.text = f"{line.text[: len(line.text) - len(base)]}({base})"
        shown = [_moved(mark, content, line.text) for mark, content in scripts]
        inline = "" in shown
        if inline:
            shown = [_on_line(mark, content) for mark, content in scripts]
        function = line.text[-1:].isalpha()
        line.text += "".join(shown)
        bracket = line.text.endswith(")")
        if large:
            line.gap = BRACKETS if inline and (bracket or not function) else ARGUMENTS if function else OPERANDS
        else:
            line.gap = "" if inline and not bracket else None
        line.unit, line.large = None, False

    # What the commands show. Each of these takes the line so far, and what COMMANDS holds for the command.

    def letter(self, line: _Line, sign: str) -> None:
        line.operand(sign)
        self.end_name()

    def sign(self, line: _Line, sign: str) -> None:
        before = line.text.rstrip(" ")
        spaced = before != line.text and (before[-1:].isalnum() or before[-1:] in ENDS)
        self.skip_blanks()
        line.operand(sign + " " if spaced else sign)
        line.unit = len(line.text)

    def word(self, line: _Line, word: str) -> None:
        line.apart(word, ARGUMENTS)
        line.large = True
        self.skip_blanks()

    def large(self, line: _Line, sign: str) -> None:
        line.operand(sign)
        line.large = True
        self.skip_blanks()

    def opening(self, line: _Line, sign: str) -> None:
        line.operand(sign)
        self.skip_blanks()

    def closing(self, line: _Line, sign: str) -> None:
        line.text = line.text.rstrip(" ")
        line.operand(sign)

    def plain(self, line: _Line, sign: str) -> None:
        line.operand(sign)

    def blank(self, line: _Line, _: str) -> None:
        line.text += " "

    def switch(self, line: _Line, _: str) -> None:
        self.skip_blanks()

    def font(self, line: _Line, alphabet: dict[int, str]) -> None:
        self.skip_blanks()
        if self.peek() == "{":
            self.at += 1
            content = self.row("}").text  # with its blanks: \text{ and }
        else:
            content = self.argument()
        if content in FUNCTIONS:
            self.word(line, content)
            return
        line.operand(content.translate(alphabet))
        if content == "d":  # \mathrm{d} x
            self.skip_blanks()

    def named(self, line: _Line, _: str) -> None:
        if self.peek()[:1] == "*":
            self.argument()
        content = self.argument()
        if len(content) > 1:
            self.word(line, content)
        else:
            line.operand(content)

    def accent(self, line: _Line, mark: str) -> None:
        content = self.argument()
        if letter := ACCENTED.fullmatch(content):
            base = letter[1].replace("ı", "i").replace("ȷ", "j")
            line.operand(unicodedata.normalize("NFC", base + mark) + letter[2])
        elif POINTS.fullmatch(content):
            line.operand(content)
        else:
            raise _Unshown

    def fraction(self, line: _Line, _: str) -> None:
        above = self.argument()
        _fraction(line, above, self.argument())

    def binomial(self, line: _Line, _: str) -> None:
        above = self.argument()
        line.apart(f"C({above}, {self.argument()})")

    def over(self, line: _Line, command: str) -> None:
        if line.over:
            raise _Unshown
        line.over = command, line.text
        line.text, line.gap, line.unit, line.large = "", None, None, False

    def root(self, line: _Line, _: str) -> None:
        index, content = self.option(), self.argument()
        if not content:
            raise _Unshown
        start = len(line.text)
        raised = superscript(index)
        if index and raised == index:  # no character for the index of this root
            base = content if FACTOR.fullmatch(content) else f"({content})"
            line.apart(f"{base}^(1/{index})")
            return
        root = f"{raised}√{content if RADICAND.fullmatch(content) else f'({content})'}"
        gap = None if root[-1] == ")" else AFTER_NUMBER if root[-1].isdecimal() else ""
        write = line.apart if index else line.operand  # 3√2, but 3 ³√2
        write(root, gap)
        line.unit = start

    def modulus(self, line: _Line, _: str) -> None:
        before = line.text.rstrip(" ")
        line.text = before + ("mod " if before.endswith("(") else " mod ")
        self.skip_blanks()

    def modulo(self, line: _Line, _: str) -> None:
        line.text = f"{line.text.rstrip(' ')} (mod {self.argument()})"

    def left(self, line: _Line, _: str) -> None:
        if delimiter := self.delimiter():
            line.operand(delimiter.replace("<", "⟨").replace(">", "⟩"))
        self.skip_blanks()

    def right(self, line: _Line, _: str) -> None:
        line.text = line.text.rstrip(" ")
        line.operand(self.delimiter().replace("<", "⟨").replace(">", "⟩"))

    def delimiter(self) -> str:
        delimiter = self.argument()
        if len(delimiter) > 1:
            raise _Unshown
        return delimiter.replace(".", "")

    def negated(self, line: _Line, _: str) -> None:
        sign = unicodedata.normalize("NFC", self.argument() + "\u0338")
        if len(sign) != 1:
            raise _Unshown
        self.sign(line, sign)

    def labelled(self, line: _Line, mark: str) -> None:
        """A sign with something above or below it, which is written as its exponent or index: →^d, =^(?)."""
        label, base = self.argument(), self.argument()
        if base == "=" and mark == "^" and label in LABELLED:
            self.sign(line, LABELLED[label])
        elif mark == "_" and (base.isalpha() and len(base) > 1 or base in LARGE.values() or " " in base):  # max, lim
            read = self.word if base[0].isalpha() else self.large
            read(line, base)
            line.operand(_moved(mark, label, base) or _on_line(mark, label), BRACKETS)
        elif len(base) == 1 and (base in SIGN_CHARACTERS or base in "=+<>") and WORDLIKE.search(label):
            self.sign(line, base + _on_line(mark, label))
        else:
            raise _Unshown

    def arrow(self, line: _Line, sign: str) -> None:
        """An arrow as long as what stands above and below it."""
        below, above = self.option(), self.argument()
        self.sign(line, sign + (_on_line("^", above) if above else "") + (_on_line("_", below) if below else ""))

    def brace(self, line: _Line, mark: str) -> None:
        """A brace above or below: its label, where it is words, in brackets behind what it spans."""
        content = self.argument()
        self.skip_blanks()
        if self.peek() == mark:
            self.at += 1
            label = self.argument()
            if not WORDY.search(label):
                raise _Unshown
            content = f"{content} ({label})"
        line.operand(content)

    def dropped(self, line: _Line, _: str) -> None:
        if self.peek()[:1] == "*":
            self.argument()
        self.option()
        self.raw()

    def space(self, line: _Line, _: str) -> None:
        self.dropped(line, _)
        line.text += " "

    def colored(self, line: _Line, _: str) -> None:
        self.option()
        self.raw()
        line.operand(self.argument())

    def chemistry(self, line: _Line, _: str) -> None:
        shown = chemical(self.raw())
        if not shown:
            raise _Unshown
        line.operand(shown)

    def unknown(self, line: _Line, _: str) -> None:
        raise _Unshown


def _fraction(line: _Line, above: str, below: str) -> None:
    above, below = above.strip(), below.strip()
    if not above or not below:
        raise _Unshown
    if not PRODUCT.fullmatch(above):
        above = f"({above})"
    if not FACTOR.fullmatch(below):
        below = f"({below})"
    start = len(line.text)
    if line.gap is ARGUMENTS:  # ln(a/b)
        line.operand(f"({above}/{below})")
        return
    # 1/2πr is half of πr; a/b c and 1/(2a) c, else c would be read with what is below.
    line.apart(f"{above}/{below}", AFTER_NUMBER if below.isdecimal() else BRACKETS)
    line.unit = start


def _moved(mark: str, content: str, base: str) -> str:
    """A script raised or lowered, or '' where it cannot be."""
    if mark == "^":
        if content and all(char in "°∘′'†‡" for char in content):
            return content.replace("∘", "°")
        if content in ("o", "ο") and base[-1:].isdecimal():  # 90^o
            return "°"
    shown = superscript(content) if mark == "^" else subscript(content)
    return shown if shown != content else ""


def _on_line(mark: str, content: str) -> str:
    atom = EXPONENT if mark == "^" else INDEX
    return mark + (content if atom.fullmatch(content) else f"({content})") if content else ""


PLAIN_SIGNS = tuple("=+-−*/<>:|≤≥≠→")
SIGN_CHARACTERS = {*SIGNS.values()}
WORDLIKE = re.compile(r"\w|[?!]")
UNKNOWN = (_Reader.unknown, "")
SINGLE = dict.fromkeys(",:;> \n", (_Reader.blank, "")) | dict.fromkeys("!/-", (_Reader.switch, ""))
SINGLE |= {sign: (_Reader.plain, sign) for sign in "{}%$#_&"} | {"|": (_Reader.plain, "‖")}
# Of each command: what reads it, and what that is given.
COMMANDS: dict[str, tuple[Callable[[_Reader, _Line, object], None], object]] = SINGLE | {
    name: (read, value)
    for read, values in (
        (_Reader.letter, LETTERS),
        (_Reader.large, LARGE),
        (_Reader.opening, OPENING),
        (_Reader.closing, CLOSING),
        (_Reader.accent, ACCENTS),
        (_Reader.word, FUNCTIONS | WORDS),
        (_Reader.sign, SIGNS),  # \div is ÷
        (_Reader.blank, dict.fromkeys(TEX["spaces"].split(), "")),
        (_Reader.switch, dict.fromkeys(TEX["switches"].split(), "")),
        (_Reader.font, dict.fromkeys(TEX["fonts"].split(), {}) | dict.fromkeys(("mathbb", "Bbb"), BLACKBOARD)),
        (_Reader.dropped, dict.fromkeys(TEX["dropped"].split(), "")),
        (_Reader.space, dict.fromkeys(TEX["blanks"].split(), "")),
        (_Reader.fraction, dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"), "")),
        (_Reader.binomial, dict.fromkeys(("binom", "dbinom", "tbinom"), "")),
        (_Reader.over, {"over": "over", "choose": "choose"}),
        (_Reader.modulus, dict.fromkeys(("bmod", "mod"), "")),
        (_Reader.modulo, {"pmod": "", "pod": ""}),
        (_Reader.labelled, {"overset": "^", "stackrel": "^", "underset": "_"}),
        (_Reader.arrow, {"xrightarrow": "→", "xleftarrow": "←", "xleftrightarrow": "↔"}),
        (_Reader.brace, {"underbrace": "_", "overbrace": "^"}),
        (_Reader.colored, {"textcolor": "", "colorbox": ""}),
        (_Reader.named, {"operatorname": "", "operatornamewithlimits": ""}),
        (_Reader.root, {"sqrt": ""}),
        (_Reader.left, {"left": ""}),
        (_Reader.right, {"right": ""}),
        (_Reader.negated, {"not": ""}),
        (_Reader.chemistry, {"ce": ""}),
        (_Reader.plain, {"colon": ": "}),
    )
    for name, value in values.items()
}
