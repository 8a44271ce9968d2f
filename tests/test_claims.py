"""A claim is the same line in every run while it is true, and cannot be true by accident."""

import math

import nbformat
import numpy as np
import pytest
import torch

from course_utils import profiles
from course_utils.claims import claim, false_claims
from course_utils.errors import CourseError
from course_utils.notebooks import execution

from .test_cli import course as course  # the fixture


def printed(capsys, *args, **named) -> str:
    claim(*args, **named)
    return capsys.readouterr().out


def test_a_true_claim_is_a_line_without_numbers_that_vary(capsys):
    assert printed(capsys, "the loss falls", 1.2 < 3.4, last=1.2, first=3.4) == "✓ claim: the loss falls\n"


def test_a_false_claim_shows_its_numbers(capsys):
    line = printed(capsys, "the loss falls", 3.41234567 < 1.2, last=3.41234567, steps=12)
    assert line == "✗ claim: the loss falls (last = 3.412, steps = 12)\n"


@pytest.mark.parametrize("truth", [np.float32(1) < 2, torch.tensor(1) < 2, np.array([True]), torch.tensor([True])])
def test_truth_values_of_numpy_and_torch_count(capsys, truth):
    assert printed(capsys, "one is less than two", truth).startswith("✓")


@pytest.mark.parametrize("condition", [math.nan, 1.0, "yes", None, np.nan, torch.tensor(3.0), [True]])
def test_what_is_no_truth_value_is_refused(condition):
    with pytest.raises(TypeError, match="compare it with something"):
        claim("the loss is there", condition)


def test_another_profile_does_not_judge_what_was_claimed_of_the_small_world(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "gpu-6gb")
    assert printed(capsys, "LoRA is behind", False, gap=0.1) == "– claim: LoRA is behind\n"
    assert printed(capsys, "by hand = library", True, everywhere=True) == "✓ claim: by hand = library\n"
    assert printed(capsys, "by hand = library", False, everywhere=True).startswith("✗")


def test_false_claims_are_found_in_the_outputs_of_a_cell():
    outputs = [
        nbformat.v4.new_output("stream", text="✓ claim: a\n✗ claim: b (x = 1)\n– claim: c\n"),
        nbformat.v4.new_output("display_data", {"text/plain": "✗ claim: no, a picture's text"}),
    ]
    assert false_claims(outputs) == ["b (x = 1)"]


def book(folder, *cells: str):
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbformat.write(notebook, folder / "book.ipynb")
    return folder / "book.ipynb"


CLAIMS = ("from course_utils.claims import claim\nclaim('two is more than one', 2 > 1)", "claim('one is more', 1 > 2)")


def test_running_notebooks_lists_false_claims_and_exits_with_1(course, tmp_path):
    path = book(tmp_path, *CLAIMS)
    shown = course("notebooks", path, code=1)
    assert "✗ claim: book.ipynb: one is more" in shown and "two is more" not in shown
    assert "✓ book.ipynb" in course("notebooks", book(tmp_path, CLAIMS[0]))


def test_a_cell_that_fails_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    with pytest.raises(CourseError, match="book.ipynb: cell 2 failed with ZeroDivisionError"):
        execution.execute(book(tmp_path, "1", "1 / 0"), profiles.load("cpu-mini"))
