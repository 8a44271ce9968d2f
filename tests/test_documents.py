"""What is written around the course: links lead somewhere, both READMEs say the same, terms and spelling are right."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter

import pytest
import yaml

import course_utils
from course_utils import cli, steps

from .conftest import REPOSITORY

PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*/README.md")]
PAGES = sorted({*PAGES, *(REPOSITORY / "data").glob("*.md")})
BOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
ENGLISH, CHINESE = (REPOSITORY / name for name in ("README.md", "README.zh-CN.md"))
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
LINK = re.compile(r'\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|<img src="([^"]+)"')
MONTHS = {"November": "11"}


def text_of(path) -> str:
    """The prose of a page or of a notebook, without code and formulas."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"```.*?```|`[^`\n]+`|\$[^$\n]+\$", "", text, flags=re.S)


def links(path) -> list[str]:
    return [first or second for first, second in LINK.findall(text_of(path))]


def name(path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("path", [*PAGES, *BOOKS], ids=name)
def test_links_lead_somewhere(path):
    for link in links(path):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            assert re.fullmatch(r"https?://[\w.-]+\.[a-z]+(/\S*)?", link), link
        else:
            assert (path.parent / target).exists(), f"{name(path)} links to {link}"
            assert not anchor, f"{link}: a heading's name differs between places; link to the page"


def test_a_link_to_nothing_would_be_found(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("a [page](missing.md), [there](page.md)", encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "REPOSITORY", tmp_path)
    with pytest.raises(AssertionError, match="missing.md"):
        test_links_lead_somewhere(tmp_path / "page.md")


def code(text: str) -> list[str]:
    """What a README tells to type, or to look for: its indented blocks and what stands between backticks."""
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ") and "›" not in line]
    prose = re.sub(r"(?m)^    .*$", "", text)
    return blocks + [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose)]


def figures(text: str) -> list[str]:
    """All numbers, dates made alike; not those of code and addresses."""
    text = re.sub(r"(?m)^    .*$|`[^`]+`|\]\([^)]*\)|<img [^>]*>|https?://\S+", " ", text)
    text = re.sub(r"(\d+) (November)(?: (\d{4}))?", lambda m: f"{m[3] or ''} {MONTHS[m[2]]} {m[1]}", text)
    return re.findall(r"\d+(?:[.,]\d+)*", text)


def test_both_readmes_say_the_same():
    english, chinese = (path.read_text(encoding="utf-8") for path in (ENGLISH, CHINESE))
    same = {
        "commands": code,
        "figures": figures,
        "links": lambda text: [link for link in map("".join, LINK.findall(text)) if not link.startswith("README")],
        "what the model says": lambda text: re.findall(r"(?m)^    .* › .*$", text),
        "sections": lambda text: re.findall(r"(?m)^(#+) ", text),
        "questions": lambda text: ["question" for _ in re.findall(r"(?m)^\*\*", text)],
        "rows of tables": lambda text: ["row" for _ in re.findall(r"(?m)^\|", text)],
    }
    for what, find in same.items():
        here, there = Counter(find(english)), Counter(find(chinese))
        assert here == there, f"{what}: in English alone {here - there}, in Chinese alone {there - here}"
    assert figures("on 26 November 2026, 3.5 M") == figures("2026 年 11 月 26 日，3.5 M") == ["2026", "11", "26", "3.5"]


@pytest.mark.parametrize("path", [page for page in PAGES if page.parent.name not in ("data", "benchmarks")], ids=name)
def test_the_commands_that_are_told_are_there(path):
    text = path.read_text(encoding="utf-8")
    known = {command.name or command.callback.__name__.replace("_", "-") for command in cli.app.registered_commands}
    known |= {group.name for group in cli.app.registered_groups}
    told = set(re.findall(r"(?:^    (?:[^#\n]* )?|`)course ([a-z][a-z-]+)", text, re.M))
    assert told <= known, told - known
    makes = set(re.findall(r"(?:^    |`)make ([a-z]+)", text, re.M))
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert makes <= set(phony), makes - set(phony)


def test_the_glossary_names_what_the_notebooks_say():
    text = (REPOSITORY / "GLOSSARY.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (.+?) \| (.+?) \| (.+?) \| \[(\d\d)\]\(notebooks/(\w+)\.ipynb\) \|$", text)
    assert len(rows) >= 70 and len({row[0].lower() for row in rows}) == len(rows)
    assert len(rows) == len(re.findall(r"(?m)^\| ", text)) - len(re.findall(r"(?m)^\| English", text))
    for term, chinese, meaning, number, book in rows:
        assert book in steps.NOTEBOOKS.values() and book.startswith(number), book
        prose = text_of(REPOSITORY / "notebooks" / f"{book}.ipynb")
        assert re.search(rf"(?<!\w){re.escape(term)}(?:s|es)?(?!\w)", prose, re.I), f"{book} does not say {term!r}"
        assert meaning.endswith((".", "✗")) and re.search(r"[\u4e00-\u9fff]|SentencePiece|SwiGLU", chinese), term


def test_words_are_spelled(tmp_path):
    """By `codespell`, which knows mistakes and no words: few false alarms, and those stand in pyproject.toml."""
    prose = []
    for path in (*PAGES, *BOOKS):
        prose.append(tmp_path / (name(path).replace("/", ".") + ".txt"))
        prose[-1].write_text(text_of(path), encoding="utf-8")
    scripts = [path for folder in ("course_utils", "tests", "benchmarks", "book") for path in
               (REPOSITORY / folder).rglob("*.py")]  # fmt: skip
    command = [sys.executable, "-m", "codespell_lib", "--toml", REPOSITORY / "pyproject.toml"]
    found = subprocess.run([*command, *prose, *scripts], capture_output=True, text=True)
    assert not found.stdout and found.returncode == 0, found.stdout + found.stderr
    (tmp_path / "wrong.txt").write_text(f"This is {'t' + 'eh'} end.", encoding="utf-8")
    assert " ==> the" in subprocess.run([*command, tmp_path / "wrong.txt"], capture_output=True, text=True).stdout


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == course_utils.__version__ and citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_may_do_little_and_runs_what_it_names(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for title, job in workflow["jobs"].items():
        assert job["timeout-minutes"]
        assert job.get("permissions", {}) == ({"pages": "write", "id-token": "write"} if title == "deploy" else {})
    uses = re.findall(r"uses: (\S+)  # v\d+\.\d+\.\d+$", text, re.M)
    assert len(uses) == text.count("uses:"), "an action is named by its commit, with its version behind"
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in uses)
    for file in re.findall(r"tests/\w+\.py|requirements[\w-]*\.txt", text):
        assert (REPOSITORY / file).is_file(), file


def module(path: str):
    spec = importlib.util.spec_from_file_location("loaded", REPOSITORY / path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_book_has_every_page_and_asks_no_other_host(tmp_path):
    """What Sphinx is given; `make book` builds it, where a warning is an error."""
    build = module("book/build.py")
    for edition in build.LANGUAGES.values():
        build.lay(tmp_path / "source", edition)
        index = (tmp_path / "source/index.md").read_text(encoding="utf-8")
        named = re.findall(r"(?m)^(?:notebooks|docs)/\S+$|^[A-Z]+$", index)
        assert {f"notebooks/{book.stem}" for book in BOOKS} <= set(named) and len(set(named)) == len(named)
        assert {f"docs/{page.stem}" for page in REPOSITORY.glob("docs/*.md")} | {"GLOSSARY", "CONTRIBUTING"} <= set(
            named
        )
        for page in [*(tmp_path / "source").rglob("*.md"), *(tmp_path / "source").rglob("*.ipynb")]:
            for link in links(page):
                assert re.match(r"[a-z]+:", link) or (page.parent / link).exists(), f"{page.name}: {link}"
            assert not re.search(r"!\[[^\]]*\]\(http|<img src=.?http", page.read_text(encoding="utf-8")), page.name


def test_the_readmes_picture_is_one_of_a_notebook():
    extract = module("docs/images/extract.py")
    for picture, (book, drawn_by) in extract.PICTURES.items():
        assert extract.extract(REPOSITORY / "notebooks" / f"{book}.ipynb", drawn_by).startswith(b"\x89PNG")
        assert (REPOSITORY / "docs/images" / picture).is_file()
    assert re.findall(r'<img src="([^"]+)"', ENGLISH.read_text(encoding="utf-8")) == [
        f"docs/images/{picture}" for picture in extract.PICTURES
    ]
    for path in (ENGLISH, CHINESE):
        assert all(len(alt) > 40 for alt in re.findall(r'<img [^>]*alt="([^"]*)"', path.read_text(encoding="utf-8")))
