"""A sentence about an output, held against the run: ``claim("the loss falls", last < first)``.

Prose and output drift apart unseen. So each sentence that asserts something about an output has its claim beside it, in
a cell of its own that nbval compares in every run; `course notebooks` lists the claims that did not hold and exits 1.
"""

import re
from collections.abc import Iterable

from . import profiles

TRUE, FALSE, ELSEWHERE = "✓ claim: ", "✗ claim: ", "– claim: "


def claim(text: str, condition: object, *, everywhere: bool = False, **numbers: object) -> None:
    """Print whether what the text asserts is true of this run.

    ``condition`` is a truth value (Python's, or numpy's or torch's of one element). ``numbers`` are printed where it is
    false: a true claim is the same line in every run. A claim is made for the small world of ``cpu-mini``; under
    another profile it is printed without a judgement, unless it holds ``everywhere``, as an identity does.

    Raises TypeError for a condition that is no truth value: ``claim("…", loss)`` would hold for a NaN.
    """
    if hasattr(condition, "item"):
        condition = condition.item()
    if not isinstance(condition, bool):
        raise TypeError(f"a claim is true or false, not {condition!r}: compare it with something")
    if not everywhere and profiles.chosen_name() != profiles.DEFAULT:
        print(ELSEWHERE + text)
    elif condition:
        print(TRUE + text)
    else:
        figures = {name: f"{n:,.4g}" if isinstance(n, float) else n for name, n in numbers.items()}
        shown = ", ".join(f"{name} = {figure}" for name, figure in figures.items())
        print(FALSE + text + (f" ({shown})" if shown else ""))


def false_claims(outputs: Iterable) -> list[str]:
    """The texts of the claims in a notebook cell's outputs that did not hold."""
    texts = "".join(output.get("text", "") for output in outputs if output.get("output_type") == "stream")
    return re.findall(f"^{FALSE}(.*)$", texts, re.M)
