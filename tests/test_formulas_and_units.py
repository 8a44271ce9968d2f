"""Formulas and measures become text that a reader could say aloud, or nothing."""

import pytest

from course_utils.wiki_cleaning.formulas import chemical, readable
from course_utils.wiki_cleaning.units import convert


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


@pytest.mark.parametrize(
    ("args", "named", "shown"),
    [
        ("8848.86 m ft", {}, "8,848.86米（29,031.7英尺）"),
        ("30 m ft", {}, "30米（98英尺）"),
        ("100 km", {}, "100公里（62英里）"),
        ("10 km mi", {"abbr": "on"}, "10 km（6.2 mi）"),
        ("3 to 5 km", {}, "3至5公里（1.9至3.1英里）"),
        ("20 C F", {}, "20℃（68℉）"),
        ("16410.54 km2 sqmi", {}, "16,410.54平方公里（6,336.14平方英里）"),
        ("12 hp kW 1", {}, "12马力（8.9千瓦）"),
        ("5 furlong m", {}, "5furlong"),
        ("数百 km", {}, "数百公里"),
        ("7", {}, "7"),
    ],
)
def test_a_measure_stands_in_both_units_as_the_template_rounds_them(args, named, shown):
    assert convert(args.split(), named) == shown
