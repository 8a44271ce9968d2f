"""Formulas become a line of text that means the same, or nothing."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.wiki_cleaning import formulas
from course_utils.wiki_cleaning.formulas import chemical, readable, rows

# By the page that each group was written from: TeX, and the line.
CASES = {
    "the first ones of the course": [
        (r"E = mc^2", "E = mc²"),
        (r"\frac{1}{2}\pi r^{n}", "1/2πrⁿ"),
        (r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}", "x=(-b±√(b²-4ac))/(2a)"),
        (r"\nabla\cdot\mathbf{E}=\frac{\rho}{\varepsilon_0}", "∇·E=ρ/ε₀"),
        (r"\int_0^1 f(x)\,dx", "∫₀¹ f(x) dx"),
        (r"\mathbb{R}^n \subset \R^m", "ℝⁿ ⊂ ℝ^m"),
        (r"a_{n+1}", "a_(n+1)"),
        (r"1.67 \times 10^{-27}\ \mathrm{kg}", "1.67 × 10⁻²⁷ kg"),
        (r"\sqrt[3]{x} \not= {a \over b}", "³√x ≠ a/b"),
        (r"\{a, b\}", "{a, b}"),
        (r"90^\circ", "90°"),
        (r"\begin{matrix}1\end{matrix}", ""),
        (r"\unknowncommand{x}", ""),
        (r"{x", ""),
        ("x" * 1000, ""),
    ],
    "Help:Displaying a formula, accents and functions": [
        (r"\dot{a}, \ddot{a}, \acute{a}", "ȧ, ä, á"),
        (r"\bar{x} = \hat x + \tilde\theta", "x̄ = x̂ + θ̃"),
        (r"\vec{F}=m\vec a", "F⃗=ma⃗"),
        (r"\hat\imath", "î"),
        (r"\sin x\cos\theta+2\tan x", "sin x cos θ+2 tan x"),
        (r"\sin^2\alpha + \log_2 n", "sin² α + log₂ n"),
        (r"\ln\frac{a}{b}", "ln(a/b)"),
        (r"\exp(x), \max\{a,b\}, \operatorname{sgn} y", "exp(x), max{a,b}, sgn y"),
        (r"\arg\max_{x\in S} f(x)", "arg max_(x∈S) f(x)"),
        (r"a \equiv b \pmod{n}, a \bmod b", "a ≡ b (mod n), a mod b"),
        (r"\mathrm{d}x, \partial x, \nabla\psi", "dx, ∂x, ∇ψ"),
        (r"\hbar, \imath, \ell, \Re, \Im, \wp", "ℏ, ı, ℓ, ℜ, ℑ, ℘"),
        (r"f', f'', f^\prime", "f', f'', f′"),
    ],
    "Help:Displaying a formula, operators, sets, logic, relations": [
        (r"A\supseteq B, \bigcap_{i=1}^n S_i, \bigcup S", "A⊇B, ⋂_(i=1)^n S_i, ⋃S"),
        (r"x \not\in A, A\nsubseteq B, a\not\equiv b", "x ∉ A, A⊈B, a≢b"),
        (r"\forall x \in A\; \exists y", "∀x ∈ A ∃y"),
        (r"p \land \lnot q \implies \bot \iff \top", "p ∧ ¬q ⟹ ⊥ ⟺ ⊤"),
        (r"a \triangleq b \prec c \odot d", "a ≜ b ≺ c ⊙ d"),
        (r"3\times 4\div 2 = \pm 6", "3×4÷2 = ±6"),
        (r"U \backslash A = U \setminus A", r"U \ A = U ∖ A"),
        (r"\triangle ABC \cong \triangle DEF, \angle C", "△ABC ≅ △DEF, ∠C"),
        (r"A \triangle B", "A △ B"),
        (r"\aleph_0 < 2^{\aleph_0}, \beth", "ℵ₀ < 2^(ℵ₀), ℶ"),
    ],
    "Help:Displaying a formula, arrows": [
        (r"A\longrightarrow B \Longrightarrow C", "A⟶B ⟹ C"),
        (r"f\colon X\to Y, x\mapsto x^2", "f: X→Y, x↦x²"),
        (r"A\rightleftharpoons B \rightleftarrows C", "A⇌B ⇄ C"),
        (r"X_n \xrightarrow{d} X \xleftarrow{} Y", "X_n →^d X ← Y"),
        (r"\overset{\mathrm{def}}{=}, a \stackrel{?}{=} b", "≝, a ≟ b"),
        (r"\underset{x\in S}{\operatorname{arg\,max}} f(x)", "arg max_(x∈S) f(x)"),
    ],
    "Help:Displaying a formula, larger expressions": [
        (r"a_{ij}, x_{\text{max}}, x_ix_j, x_1x_2", "a_ij, x_max, x_i x_j, x₁x₂"),
        (r"e^{i\pi}+1=0, 2^{2^n}, A^{\mathsf T}A", "e^(iπ)+1=0, 2^(2ⁿ), A^T A"),
        (r"10^{-5}, e^{-x}, x^{n - 1}", "10⁻⁵, e^(-x), xⁿ⁻¹"),
        (r"{}^{226}_{88}\mathrm{Ra} \to {}^4_2\mathrm{He}", "²²⁶₈₈Ra → ⁴₂He"),
        (r"\sum_{i=1}^{n} a_i, \sum\limits_i x, \prod_{p|n}p", "∑_(i=1)^n a_i, ∑_i x, ∏_(p|n) p"),
        (r"\lim_{x \to 0}\frac{\sin x}{x} = 1", "lim_(x→0) (sin x)/x = 1"),
        (r"\int_a^b f\,dx, \iint_D, \oint_C, \coprod", "∫_a^b f dx, ∬_D, ∮_C, ∐"),
        (r"\tfrac12, \dfrac{a+b}{c}, \frac{dy}{dx}, \frac{\partial u}{\partial t}", "1/2, (a+b)/c, dy/dx, ∂u/∂t"),
        (r"\cfrac{1}{1+\cfrac{1}{2}}", "1/(1+1/2)"),
        (r"\frac{a}{b}c, \frac{a}{bc}, \left(\frac{a}{b}\right)^2, \frac{a}{b}^2", "a/b c, a/(bc), (a/b)², (a/b)²"),
        (r"\frac{\frac{a}{b}}{c}, 2\frac12", "(a/b)/c, 2 1/2"),
        (r"\sqrt2\pi, \sqrt{2\pi}\sigma, 2\sqrt[3]{x}, \sqrt[n]{x}", "√2 π, √(2π)σ, 2 ³√x, ⁿ√x"),
        (r"\sqrt{ab}^2, {x^2}^3, {x_i}^2, x\frac{a+b}{c}", "(√(ab))², (x²)³, x_i², x (a+b)/c"),
        (r"\binom{n}{k} = {n \choose k}", "C(n, k) = C(n, k)"),
        (r"\boxed{x} \cdot \left[ a,b \right), [ a, b ]", "x · [a,b), [a, b]"),
        (r"\left. x^2 \right|_{x=0}, \left\{ a \right\}", "x²|_(x=0), {a}"),
        (r"\left\langle a \right\rangle, \lfloor x \rfloor, \|x\|, \big(a\big)", "⟨a⟩, ⌊x⌋, ‖x‖, (a)"),
    ],
    "Help:Displaying a formula, fonts, colours, blanks": [
        (r"k\in\mathbb{N*}, \mathbb{E}[X], \mathcal{L}, \mathfrak{g}", "k∈ℕ*, E[X], L, g"),
        (r"{\rm kg}\, {\bf v}, \text{速度} = \frac{\text{路程}}{\text{时间}}", "kg v, 速度 = 路程/时间"),
        (r"x=1 \mbox{ and } y=2", "x=1 and y=2"),
        (r"\color{red}x + \color{blue}{y}, \textcolor{red}{z}", "x + y, z"),
        (r"x = y \tag{1}\label{eq}", "x = y"),
        (r"a\quad b~c\,d\!e \, ,", "a b c de,"),
        (r"25\,^{\circ}\mathrm{C}, 50\%", "25°C, 50%"),
        (r"\alpha\beta \Gamma (x) \alpha = 1", "αβΓ(x) α = 1"),
        (r"1{,}000", "1,000"),
    ],
    "Extension:Math, names of its own": [
        (r"\R \N \Z \C \Q \H", "ℝℕℤℂℚℍ"),
        (r"a \isin A \and b \or c \sub d \supe e", "a ∈ A ∧ b ∨ c ⊂ d ⊇ e"),
        (r"\exist x \infin \alef \thetasym \weierp \real \image", "∃x ∞ℵϑ℘ℜℑ"),
        (r"a \larr b \Rarr c \plusmn d \bull e", "a ← b ⇒ c ± d • e"),
        (r"\lang x \rang \Alpha\Beta \sect", "⟨x⟩ ΑΒ§"),
        (r"90^\operatorname{\omicron}, 45^oC, 45^{o}", "90°, 45°C, 45°"),
        (r"\color[HTML]{ff0000}x\hspace*{1em}y\tag*{1}", "x y"),
    ],
    "mw:Extension:Math/mhchem, and chemistry in TeX": [
        (r"\ce{2H2 + O2 -> 2H2O}", "2H2 + O2 → 2H2O"),
        (r"\ce{A <=> B}", "A ⇌ B"),
        (r"\ce{SO4^{2-}}", "SO4²⁻"),
        (r"\mathrm{ NH_3+H_2O \rightleftharpoons NH_4^+ + OH^-}", "NH₃+H₂O ⇌ NH₄⁺ + OH⁻"),
        (r"\mathrm{SO_4^{2-}} + CO_2\uparrow", "SO₄²⁻ + CO₂↑"),
        (r"\Delta G^\circ = -RT\ln K", "ΔG° = -RT ln K"),
    ],
    "Help:Wikitext, entities and comments": [
        (r"a &lt; b &amp;lt; c", ""),
        (r"a &lt; b&nbsp;&gt; c", "a < b > c"),
        (r"a<b<!-- sic -->", "a<b"),
    ],
    "Help:Displaying a formula, what no line can show": [
        (r"\begin{aligned} a &= b + c \end{aligned}", "a = b + c"),
        (r"\begin{align} a &= b \\ \end{align}", "a = b"),
        (r"\begin{align} a &= b \\ c &= d \end{align}", ""),
        (r"\begin{cases} 1 & x>0 \\ 0 \end{cases}", ""),
        (r"\overline{A \cup B}", ""),  # without its bar it would say something else
        (r"\overline{A}\cup\overline{B}, \overline{AB}=5", "Ā∪B̄, AB=5"),
        (r"\underbrace{a+b}_{c}", ""),
        (r"\sqrt[k]{x}", ""),
        (r"\cancel{x}y", ""),
        (r"\sideset{}{'}\sum a", ""),
        (r"a \\ b", ""),
        (r"x^", ""),
        (r"a^b^{", ""),
    ],
}

TYPICAL = r"""
a^2+b^2=c^2
S=\pi r^2
V=\frac{4}{3}\pi R^{3}
y = kx + b \quad (k \neq 0)
\Delta = b^2-4ac \geq 0
(a+b)^n=\sum_{k=0}^n \binom{n}{k} a^{n-k}b^k
\sin^2\theta+\cos^2\theta=1
\tan(\alpha+\beta)=\frac{\tan\alpha+\tan\beta}{1-\tan\alpha\tan\beta}
e^{i\theta}=\cos\theta+i\sin\theta
f'(x_0)=\lim_{h\to0}\frac{f(x_0+h)-f(x_0)}{h}
\int_{-\infty}^{+\infty} e^{-x^2}\,\mathrm{d}x=\sqrt{\pi}
f(x)=\frac{1}{\sigma\sqrt{2\pi}}\exp\left(-\frac{(x-\mu)^2}{2\sigma^2}\right)
P(A\mid B)=\frac{P(A\cap B)}{P(B)}
\bar X=\frac{1}{n}\sum_{i=1}^{n}X_i
\operatorname{Var}(X)=\operatorname{E}[X^2]-(\operatorname{E}[X])^2
\mathbf{F}=m\mathbf{a}=\frac{\mathrm{d}\mathbf{p}}{\mathrm{d}t}
F=G\frac{m_1m_2}{r^2}
E_k=\tfrac12 mv^2
\lambda=\frac{h}{p}
\Delta x\,\Delta p\ge\frac{\hbar}{2}
i\hbar\frac{\partial}{\partial t}|\psi\rangle=\hat H|\psi\rangle
\nabla\times\vec{B}=\mu_0\vec{J}+\mu_0\varepsilon_0\frac{\partial\vec{E}}{\partial t}
pV=nRT
\mathrm{pH}=-\log_{10}[\mathrm{H^+}]
K_\mathrm{a}=\frac{[\mathrm{H}^+][\mathrm{A}^-]}{[\mathrm{HA}]}
\mathrm{CaCO_3 \xrightarrow{\Delta} CaO + CO_2\uparrow}
A\times B=\{(a,b)\mid a\in A\land b\in B\}
f\colon\mathbb{Z}\to\mathbb{Z}/n\mathbb{Z}
\forall\varepsilon>0\,\exists\delta>0
|G|=[G:H]\,|H|
\det(A-\lambda I)=0
\mathbf{A}^{-1}\mathbf{A}=\mathbf{I}
\langle x,y\rangle\le\|x\|\cdot\|y\|
O(n\log n)
2^{10}=1024
a\equiv b\pmod m
x_1,x_2,\ldots,x_n\in\mathbb{R}
\left\lfloor\frac{n}{2}\right\rfloor
\overrightarrow{AB}+\overrightarrow{BC}=\overrightarrow{AC}
37\,^\circ\mathrm{C}
\zeta(s)=\prod_{p}\frac{1}{1-p^{-s}}
\begin{pmatrix}a&b\\c&d\end{pmatrix}
""".strip().splitlines()
INTERNAL = re.compile("[\ufdd0-\ufdef]")


@pytest.mark.parametrize(
    ("tex", "line"),
    [pytest.param(*case, id=f"{page}: {case[0][:40]}") for page, cases in CASES.items() for case in cases],
)
def test_a_formula_is_a_line_or_nothing(tex, line):
    assert readable(tex) == line


def test_typical_formulas_are_shown_all_but_the_matrix():
    assert [tex for tex in TYPICAL if not readable(tex)] == [r"\begin{pmatrix}a&b\\c&d\end{pmatrix}"]


def test_every_command_of_the_tables_shows_its_sign_and_nothing_of_its_name():
    for kind in ("letters", "signs", "large", "opening", "closing"):
        for sign, names in formulas.TEX[kind].items():
            for name in names.split():
                assert readable(f"\\{name}") == sign and readable(f"a \\{name}zz") == "", name


pieces = st.sampled_from([*formulas.COMMANDS, *formulas.INFIX, *"{}[]^_&~#$%'| \n", "x", "12", "\ufdd0", "\\"])


@given(st.lists(pieces | st.text(max_size=3), max_size=30).map("".join))
def test_a_formula_never_fails_and_never_shows_tex(tex):
    shown = readable(tex)
    assert set(INTERNAL.findall(shown)) <= set(INTERNAL.findall(tex))  # stand-ins of {{!}} and the like
    assert "\\" not in shown or "\\backslash" in tex or "&#" in tex
    assert not re.search("[{}]", shown) or re.search(r"\\[{}]|\\[lr]brace|&", tex)


HOSTILE = (
    r"{ } \frac ^ _ x^ {x} {x \left( \sqrt[ \sqrt \sqrt{ a_{ a_ \sin \, ( a| <!-- &lt; \begin{align} \underset{x}\max"
)


@pytest.mark.parametrize("part", [*HOSTILE.split(), r"\over a", r"\in ", r" \alpha"])
def test_hostile_formulas_take_no_time(part, monkeypatch):
    monkeypatch.setattr(formulas, "MAX_LENGTH", 20_000)  # fifty times what is read
    started = time.process_time()
    readable(part * (20_000 // len(part)))
    assert time.process_time() - started < 1


def test_rows_that_are_only_aligned_are_lines():
    assert rows(r"\begin{align} a &= b^2\\[4pt] &= c \end{align}") == ["a = b²", "= c"]
    for other in (r"\begin{cases} a\\ b \end{cases}", r"\begin{align} a\\ \unknown \end{align}", "a=b"):
        assert rows(other) == []


def test_chemistry_is_typed_as_chemists_do():
    assert (
        chemical("H2SO4") == "H2SO4"
        and chemical("SO4^{2-}") == "SO42-"
        and chemical("{S2O5}^{2-}") == "S2O52-"
        and chemical("H2S_{n}O6") == "H2SnO6"
    )
    assert chemical("2H2 + O2 -> 2H2O") == "2H2 + O2 → 2H2O"
    assert chemical("N2 + 3H2 <=> 2NH3") == "N2 + 3H2 ⇌ 2NH3" and chemical(r"\alpha-D") == ""
