"""What holds the course together: pins and bounds agree, profiles load, notebooks are whole."""

import json
import re
import tomllib

import pytest
import yaml
from ipykernel.kernelspec import get_kernel_dict
from packaging.requirements import Requirement

from course_utils import profiles, steps
from course_utils.errors import CourseError

from .conftest import REPOSITORY


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str = "requirements.txt") -> dict[str, str]:
    lines = [line.strip() for line in (REPOSITORY / file).read_text().splitlines()]
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in found), "every requirement is pinned exactly"
    return {canonical(name): version for name, version in found}


def extras() -> dict[str, list[str]]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def bounds() -> list[Requirement]:
    apart = ("llama-cpp", "book")  # built from source: nobody's set-up should wait for it; has a set-up of its own
    named = [line for name, group in extras().items() if name not in apart for line in group]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return [Requirement(line) for line in [*project["dependencies"], *named]]


def test_pins_satisfy_the_packages_bounds():
    for bound in bounds():
        assert canonical(bound.name) in pins(), f"{bound.name} is not pinned"
        assert bound.specifier.contains(pins()[canonical(bound.name)]), bound


def test_bounds_are_lower_bounds_so_that_colab_keeps_its_torch():
    assert all({part.operator for part in bound.specifier} == {">="} for bound in bounds())


def test_nothing_is_pinned_that_the_package_does_not_name():
    assert set(pins()) == {canonical(bound.name) for bound in bounds()}


def test_the_book_has_pins_of_its_own():
    wanted, have = [Requirement(line) for line in extras()["book"]], pins("requirements-book.txt")
    assert set(have) == {canonical(bound.name) for bound in wanted}
    for bound in wanted:
        assert bound.specifier.contains(have[canonical(bound.name)]), bound


def test_the_conda_environment_installs_the_pins_and_the_package():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    assert "python=3.12" in environment["dependencies"]
    pip = next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    assert pip == ["-r requirements.txt", "-e ."]


def test_every_profile_loads_and_names_a_known_device():
    from course_utils.parameter_budgeting import DEVICES

    assert profiles.names()[0] == profiles.DEFAULT == "cpu-mini"
    for name in profiles.names():
        profile = profiles.load(name)
        assert profile.device in DEVICES
        assert profile.pretraining.block_size <= profile.model.max_position_embeddings
        assert profile.lora.r == 16 and profile.lora.alpha == 32 and profile.lora.dropout in (0.0, 0.05)


def test_an_unknown_profile_lists_the_known():
    with pytest.raises(CourseError, match="cpu-mini, gpu-6gb, colab-t4"):
        profiles.load("laptop")


def test_jupyterlab_finds_nothing_to_write_into_a_notebook_that_it_opens():
    kernel = get_kernel_dict()
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        told = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
        assert told == {"name": "python3", "display_name": kernel["display_name"], "language": kernel["language"]}


def test_the_notebooks_are_those_that_steps_names():
    books = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
    assert books == list(dict.fromkeys(steps.NOTEBOOKS.values()))
    assert [book[:2] for book in books] == [f"{i:02}" for i in range(len(books))]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_was_run_top_to_bottom_and_is_made_of_small_steps(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert max(len("".join(cell["source"]).splitlines()) for cell in code) <= 30
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert "<summary>" in prose, "every notebook has an exercise with a hidden solution"
