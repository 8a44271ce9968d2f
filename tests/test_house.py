"""The package is built as its map says: floors that rest on lower ones alone, rooms in the order of the road."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import course_utils
from course_utils import steps

from .conftest import REPOSITORY

PACKAGE = REPOSITORY / "course_utils"
# From the ground up: a module may import what stands before it, and its neighbours in the same room.
FLOORS = (
    "errors", "profiles", "steps", "processes", "progress", "artifacts", "claims", "plots",
    "wiki_cleaning", "corpora", "tokenizer_pruning", "parameter_budgeting", "training", "merge_and_chat",
    "notebooks", "road", "cli",
)  # fmt: skip
MODULES = {
    ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}


def imported(name: str) -> set[str]:
    """The modules of the course that a module imports, inside functions too; for types alone does not count."""
    tree, file = ast.parse(MODULES[name].read_text(encoding="utf-8")), MODULES[name]
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else node.module
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {other for other in found if other in MODULES and other != name}


def floor(name: str) -> int:
    return FLOORS.index(name.split(".")[1]) if "." in name else -1


@pytest.mark.parametrize("name", [name for name in MODULES if "." in name])
def test_a_module_imports_lower_floors_alone(name):
    for other in imported(name) - {"course_utils"}:
        same_room = name.split(".")[1] == other.split(".")[1]
        assert floor(other) < floor(name) or same_room, f"{name} imports {other}"


def test_there_is_no_circle():
    done, path = set(), []

    def visit(name: str) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for other in imported(name):
            if not name.startswith(f"{other}."):  # a room is loaded before its modules
                visit(other)
        done.add(path.pop())

    for name in MODULES:
        visit(name)


def test_a_circle_and_a_later_room_would_be_found(monkeypatch, tmp_path):
    broken = tmp_path / "errors.py"
    broken.write_text("def later():\n    from .training import running\n")
    monkeypatch.setitem(MODULES, "course_utils.errors", broken)
    assert imported("course_utils.errors") == {"course_utils.training.running"}
    with pytest.raises(AssertionError, match="errors imports course_utils.training.running"):
        test_a_module_imports_lower_floors_alone("course_utils.errors")
    with pytest.raises(AssertionError, match="errors -> "):
        test_there_is_no_circle()


def test_profiles_are_data():
    assert imported("course_utils.profiles") == {"course_utils.errors"}
    assert not imported("course_utils.steps")


def test_the_package_is_small():
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in MODULES.items()}
    drawn = sum(number for name, number in lines.items() if name.startswith("course_utils.plots"))
    assert sum(lines.values()) - drawn <= 10_600 and drawn <= 1_100
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 20
    for name, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 59, f"{name}.{node.name}"


def test_the_map_names_what_is_there():
    named = set(re.findall(r"``(\w+)``", course_utils.__doc__))
    top = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert named == top - {"__init__"}
    for name, file in MODULES.items():
        if file.name == "__init__.py" and "." in name:
            named = set(re.findall(r"``(\w+)``", ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))))
            inside = {other.rpartition(".")[2] for other in MODULES if other.startswith(f"{name}.")}
            assert inside <= named, f"{name} has rooms that its map does not name: {inside - named}"


@pytest.mark.parametrize("name", [name for name in MODULES if "." in name])
def test_a_module_can_be_imported_and_says_what_it_is(name):
    module = importlib.import_module(name)
    assert module.__doc__, "says what comes in and what goes out"


def test_a_room_exports_its_stages():
    from course_utils import corpora, merge_and_chat, parameter_budgeting, tokenizer_pruning, training, wiki_cleaning

    stages = (wiki_cleaning.clean_dumps, corpora.deduplicate, tokenizer_pruning.prune_tokenizer,
              parameter_budgeting.budget, training.pretrain, training.fine_tune, merge_and_chat.merge_lora,
              merge_and_chat.evaluate)  # fmt: skip
    assert all(callable(stage) and stage.__doc__ for stage in stages)


def test_notebooks_have_their_names_in_one_place():
    """So that one can be inserted: everywhere else they are asked of ``steps``."""
    files = [*MODULES.values(), *(REPOSITORY / "tests").glob("*.py"), *(REPOSITORY / "benchmarks").glob("*.py")]
    files += [*PACKAGE.rglob("*.toml"), REPOSITORY / "Makefile", REPOSITORY / ".ci/run"]
    name = re.compile(r"\b0\d_[a-z]|[Nn]otebooks? \d\d")
    for file in files:
        if file not in (PACKAGE / "steps.py", Path(__file__)):
            assert not name.search(file.read_text(encoding="utf-8")), file


def test_the_readme_links_to_the_notebooks_that_there_are():
    links = re.findall(r"\(notebooks/(\w+)\.ipynb\)", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    assert links == list(dict.fromkeys(steps.NOTEBOOKS.values()))


def test_an_installed_package_has_every_room_and_the_command(tmp_path):
    """Not editable, in a folder of its own: what the wheel lacks is missed here."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    shutil.copytree(PACKAGE, tmp_path / "course_utils", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    installed = tmp_path / "installed"
    subprocess.run([*pip, "--no-build-isolation", "--target", installed, tmp_path], check=True)
    code = (
        f"import importlib, sys; sys.path.insert(0, {str(installed)!r}); import course_utils\n"
        f"assert course_utils.__file__.startswith({str(installed)!r}), course_utils.__file__\n"
        f"for name in {list(MODULES)}: importlib.import_module(name)\n"
        "from course_utils import profiles; profiles.load('gpu-6gb')\n"
        "sys.argv = ['course', '--help']; from course_utils.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "installed", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wiki-clean" in done.stdout and (installed / "bin/course").exists()


@pytest.mark.parametrize("script", sorted((REPOSITORY / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_imports_what_is_there(script):
    """They run by hand, rarely: a name that is gone would be found months later."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils"):
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                assert hasattr(module, name) or f"{node.module}.{name}" in MODULES, f"{node.module} has no {name}"
