"""The corpora: read from files of every kind, written in one way, each document once.

In come the cleaned wiki, Baike articles and medical texts, as their makers published them; out goes
``artifacts/<profile>/deduplication``, a `datasets.DatasetDict` with a part a corpus. ``downloading`` fetches the real
sources first.

Read ``deduplication`` first, the stage; it uses ``reading`` (files to rows), ``loading`` (rows to a `Dataset`, and
functions mapped over one), ``normalisation`` (one way of writing), ``quality`` (filters for what was scraped, whose
boilerplate stands in ``boilerplate.toml``) and ``ngrams``.
"""

from .deduplication import deduplicate
from .loading import corpus_files, load_corpus, load_rows, source_paths
from .reading import document_text, read_jsonl, read_texts
