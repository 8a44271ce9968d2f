"""Formulas become a line of text, or nothing."""

import pytest

from course_utils.wiki_cleaning.formulas import chemical, readable


@pytest.mark.parametrize(
    ("tex", "line"),
    [
        (r"E = mc^2", "E = mc²"),
        (r"\frac{1}{2}\pi r^{n}", "1/2πrⁿ"),
        (r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}", "x=(-b±√(b²-4ac))/2a"),
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
)
def test_a_formula_is_a_line_or_nothing(tex, line):
    assert readable(tex) == line


def test_chemistry_is_typed_as_chemists_do():
    assert chemical("H2SO4") == "H2SO4" and chemical("SO4^{2-}") == "SO42-"
    assert chemical("2H2 + O2 -> 2H2O") == "2H2 + O2 → 2H2O"
