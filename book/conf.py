"""The web edition's settings for Sphinx: notebooks as they were executed, and no request to any other host."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.search.en import SearchEnglish

project = os.environ["BOOK_TITLE"]
author = "the authors of the course"
language = os.environ["BOOK_LANGUAGE"]
extensions = ["myst_nb", "sphinx_book_theme"]
root_doc = "index"
include_patterns = ["**.md", "notebooks/0*.ipynb"]

nb_execution_mode = "off"  # outputs are the source's own
nb_ipywidgets_js = {}  # controls need a kernel: without one their text stands there, and no script is fetched
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_use_index = html_copy_source = html_show_sourcelink = False
html_search_language = "both"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_source_button": False,
    "navbar_persistent": [],
    "search_bar_text": os.environ["BOOK_SEARCH"],
}


class Search(SearchEnglish):
    """English by the stems of its words, Chinese by pairs of characters, here and in the reader's browser alike."""

    lang = "both"
    js_splitter_code = r"""
function splitQuery(query) {
  const found = query.match(/[\u4e00-\u9fff]+|(?:(?![\u4e00-\u9fff])[\p{L}\p{N}_])+/gu) || [];
  return found.flatMap((run) => {
    if (!/[\u4e00-\u9fff]/.test(run) || run.length === 1) return [run];
    return Array.from({ length: run.length - 1 }, (_, i) => run.slice(i, i + 2));
  });
}
"""

    def split(self, text: str) -> list[str]:
        words = re.findall(r"[^\W\u4e00-\u9fff]+", text)
        for run in re.findall(r"[\u4e00-\u9fff]+", text):
            words += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        return words


def formula(node: nodes.Element, display: str) -> str:
    return convert(node.astext().replace("±", r"\pm "), display=display)


def inline(writer, node):
    writer.body.append(f'<span class="formula">{formula(node, "inline")}</span>')
    raise nodes.SkipNode


def block(writer, node):
    writer.body.append(f'<div class="formula">{formula(node, "block")}</div>')
    raise nodes.SkipNode


def described(source: Path) -> dict[str, str]:
    """Hash of a figure, which is its file's name in the book -> what its notebook says is to be seen in it."""
    found = {}
    for book in source.glob("notebooks/0*.ipynb"):
        for cell in json.loads(book.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    picture = base64.b64decode("".join(output["data"]["image/png"]))
                    told = output["metadata"].get("image/png", {}).get("alt", "")
                    found[hashlib.sha256(picture).hexdigest()] = told or "Figure: drawn by the cell above"
    return found


def describe(app, tree):
    for image in tree.findall(nodes.image):
        told = app.config.alternatives.get(Path(image["uri"]).stem)
        if told:
            image["alt"] = told


def settle(app, config):
    config.add("alternatives", described(Path(app.srcdir)), "", ())


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))  # no script: browsers draw MathML themselves
    app.add_search_language(Search)
    app.connect("config-inited", settle)
    app.connect("doctree-read", describe)


html_math_renderer = "mathml"
