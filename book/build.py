"""Build the web edition: the notebooks with their outputs, as pages that ask no other host for anything.

python book/build.py        -> build/book/index.html and build/book/<language>/

Sphinx wants all pages in one folder, so what the course says is copied there first, the README as the first page.
Nothing is executed. A second language is a second row of LANGUAGES; its pages stand beside those of the first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD = REPOSITORY / "build"
# The folder of its pages -> the language as HTML names it, the README that is its first page, titles.
LANGUAGES = {
    "en": {
        "language": "en",
        "readme": "README.md",
        "title": "Build a Chinese Llama from scratch",
        "search": "Search the course",
        "parts": {"The course": "notebooks", "How to": "docs", "About": "about"},
    },
}
COPIED = ("notebooks", "docs", "data", "benchmarks", "course_utils", "GLOSSARY.md", "CONTRIBUTING.md", "LICENSE",
          "CITATION.cff", "README.zh-CN.md", "nbdime_config.json", "pyproject.toml", "Makefile")  # fmt: skip
ABOUT = ("GLOSSARY", "CONTRIBUTING", "README.zh-CN", "data/README", "data/readings", "benchmarks/README")
FETCHES = "# Where this notebook came alone"  # the cell that fetches the course: nothing to read
BADGE = re.compile(r"\[!\[([^\]]*)\]\(https?://[^)\s]*\)\]")  # a picture of another host that is a link: its words stay
LEFT = "\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
ENTRY = '<!doctype html><meta charset="utf-8"><title>{title}</title><meta http-equiv="refresh" content="0; url={to}">\n'


def pages(part: str) -> list[str]:
    """The pages of a part, in order, as Sphinx names them."""
    if part == "about":
        return [page for page in ABOUT if (REPOSITORY / f"{page}.md").is_file()]
    pattern = "0*.ipynb" if part == "notebooks" else "*.md"
    found = (path.relative_to(REPOSITORY).with_suffix("") for path in sorted((REPOSITORY / part).glob(pattern)))
    return [path.as_posix() for path in found]


def without_hosts(notebook: Path) -> None:
    """Take out of a copied notebook what a page has no use for, or would fetch from elsewhere."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = BADGE.sub(r"[\1]", text)
        elif text.startswith(FETCHES):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "remove-cell"]
    notebook.write_text(json.dumps(book, ensure_ascii=False), encoding="utf-8")


def lay(source: Path, edition: dict) -> None:
    """Copy what the pages are made of, and what they link to, into an empty folder."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name in COPIED:
        path, hidden = REPOSITORY / name, shutil.ignore_patterns("__pycache__", ".*")
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=hidden)
        elif path.is_file():
            shutil.copy2(path, source / name)
    for notebook in source.glob("notebooks/*.ipynb"):
        without_hosts(notebook)
    for page in source.rglob("*.md"):  # the README is the index
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("](README.md", "](index.md").replace("](../README.md", "](../index.md"), "utf-8")
    text = (REPOSITORY / edition["readme"]).read_text(encoding="utf-8")
    text += "".join(LEFT.format(caption=part, pages="\n".join(pages(of))) for part, of in edition["parts"].items())
    (source / "index.md").write_text(text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "book/_static", source / "_static")


def build(folder: str, edition: dict) -> int:
    """One edition. -> Sphinx's exit code; a warning is an error."""
    source = BUILD / "book-source" / folder
    lay(source, edition)
    settings = {"BOOK_TITLE": edition["title"], "BOOK_LANGUAGE": edition["language"], "BOOK_SEARCH": edition["search"]}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", REPOSITORY / "book"]
    command += ["-d", BUILD / "book-cache" / folder, source, BUILD / "book" / folder]
    return subprocess.run(command, env={**os.environ, **settings}).returncode


def main() -> None:
    failed = [folder for folder, edition in LANGUAGES.items() if build(folder, edition)]
    first = next(iter(LANGUAGES))
    page = ENTRY.format(title=LANGUAGES[first]["title"], to=f"{first}/index.html")
    (BUILD / "book").mkdir(parents=True, exist_ok=True)
    (BUILD / "book" / "index.html").write_text(page, encoding="utf-8")
    (BUILD / "book" / ".nojekyll").touch()  # GitHub Pages: folders that begin with _ are pages' own
    if failed:
        sys.exit(f"error: the edition {', '.join(failed)} has warnings")
    print(f"open {(BUILD / 'book' / 'index.html').relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
