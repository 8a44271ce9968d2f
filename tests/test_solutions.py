"""The hidden solutions of a notebook's exercises: put in place of the almost right lines, they pass the checks."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient

from course_utils import profiles, steps

from .conftest import REPOSITORY

IMPROVE = "# ← improve this"
QUICK = steps.NOTEBOOKS["llama_by_hand"]  # needs nothing but itself
BOOKS = [  # the others read what the road has made, and are executed whole once more
    pytest.param(name, marks=() if name == QUICK else pytest.mark.trial)
    for name in dict.fromkeys(steps.NOTEBOOKS.values())
]


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a value to; those of a comprehension are its own."""
    nodes = list(ast.walk(statement))
    inner = {id(name) for node in nodes if isinstance(node, ast.comprehension) for name in ast.walk(node.target)}
    stored = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    names = {node.id for node in stored if id(node) not in inner}
    return {statement.name} if isinstance(statement, ast.FunctionDef) else names


def solved(exercise: str, solution: str) -> str:
    """The exercise with the solution in place of the statements that bind the same names, without marked calls."""
    new = set().union(*map(bound, ast.parse(solution).body))
    kept, lines, written = [], exercise.splitlines(), False
    for statement in ast.parse(exercise).body:
        if bound(statement) & new:
            kept += [] if written else [solution]
            written = True
        elif not (isinstance(statement, ast.Expr) and "# ←" in lines[statement.end_lineno - 1]):
            kept += lines[statement.lineno - 1 : statement.end_lineno]
    assert written, "the solution says what the exercise asks for"
    return "\n".join(kept)


def test_a_solution_takes_the_place_of_what_it_defines():
    exercise = f"before = 1\ndef f(x):\n    return x    {IMPROVE}\n\ncheck(f(before))"
    assert (
        solved(exercise, "def f(x):\n    return 2 * x\n")
        == "before = 1\ndef f(x):\n    return 2 * x\n\ncheck(f(before))"
    )
    assert (
        solved(f"a = [1]\na.clear()    {IMPROVE}\na.pop()  # ← or this\ncheck(a)", "a = [2]\n") == "a = [2]\n\ncheck(a)"
    )


@pytest.mark.parametrize("name", BOOKS)
def test_every_exercise_is_open_and_its_solution_passes(name):
    if name != QUICK and not (profiles.load().dir("merge_and_chat", "scoreboard") / "scoreboard.json").exists():
        pytest.skip("the road has not been walked: run `course run`")
    path = REPOSITORY / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    exercises = []
    for cell, after in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and IMPROVE in cell.source:
            assert "✗ not yet" in "".join(output.get("text", "") for output in cell.outputs), cell.id
            solution = re.search(r"<summary>Solution</summary>.*?```python\n(.*?)```", after.source, re.S)
            cell.source = solved(cell.source, solution[1])
            exercises.append(cell)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert 4 <= len(exercises) <= 6
    for cell in exercises:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert "✓" in printed and "✗" not in printed, f"{cell.id}: {printed}"
