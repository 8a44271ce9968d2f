"""A MediaWiki dump as clean paragraphs: what a reader of the rendered page sees, and nothing else.

In come ``pages-articles`` XML dumps; out go JSONL shards ``{"id", "title", "text"}`` and ``report.json``.

Read ``cleaning`` first, the stage: it chooses pages and spreads them over workers. ``dumps`` reads a dump, ``wikitext``
cleans a page with the help of ``paragraphs``, ``templates``, ``language_conversion``, ``regional_words``, ``formulas``
and ``units``. What these know is data, and stands in ``zhwiki.toml``, ``words.toml``, ``formulas.toml``, ``units.toml``.
"""

from .cleaning import clean_dumps, read_articles, read_report, reason_to_drop, shards
from .dumps import read_pages
from .wikitext import clean_page, clean_wikitext
