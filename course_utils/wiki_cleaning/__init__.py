"""A MediaWiki dump as clean paragraphs: what a reader of the rendered page sees, and nothing else.

In come ``pages-articles`` XML dumps; out go JSONL shards ``{"id", "title", "text"}`` and ``report.json``.

Read ``cleaning`` first, the stage: it chooses pages and spreads them over workers. ``dumps`` reads a dump, ``wikitext``
cleans a page: ``tags`` go first, then ``templates`` are rendered with ``formulas`` and ``units``, the text is converted
(``language_conversion``, ``regional_words``) and cut into ``paragraphs``. Between them they leave ``marks`` in it. What
they know is data and stands in TOML files beside them (``tables``).
"""

from .cleaning import clean_dumps, read_articles, read_report, reason_to_drop, shards
from .dumps import read_pages
from .wikitext import clean_page, clean_wikitext
