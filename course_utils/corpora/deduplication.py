"""Read every corpus, write each document once: exact and near duplicates go, within a corpus and across corpora.

In come the cleaned wiki, Baike articles and medical texts; out go their documents ``{"id", "title", "text"}``, written
in one way, as a `datasets.DatasetDict` with a part a corpus, and ``report.json``. What was scraped goes through the
filters of ``quality`` first. Of documents that are alike the first stays, in the order wiki, Baike, medical. A text
that stands in a corpus many times is learned by heart, and one that also stands among the held-out documents makes the
measured loss too good (Lee et al. 2022, https://arxiv.org/abs/2107.06499).

The one idea: comparing all pairs is out of the question, so each document becomes a *signature*, a few numbers of which
two documents share as large a part as they share n-grams (MinHash, Broder 1997). The signature is cut into bands, and a
document is compared with those alone that were kept before it and agree with it in a whole band: a family of n copies
costs n comparisons. What is compared is then compared exactly.

Cost: some 100 bytes of memory a document; on disk, while it runs, the text twice more and 0.7 kB a document; about 10
MB of text a second and core. What is written does not depend on the number of workers.
"""

import hashlib
import os
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts
from ..errors import CourseError
from ..progress import track
from . import loading, ngrams, normalisation, quality, reading
from .loading import load_rows, mapped
from .normalisation import normalise

if TYPE_CHECKING:
    from datasets import Dataset

CLEANED = ("wiki",)  # corpora that were cleaned by their own stage; all others are scraped text, and filtered
NGRAM = 7  # characters: Lee et al. take 5 words, and a Chinese word has about 1.5 characters
THRESHOLD = 0.8  # Jaccard similarity of the sets of n-grams; Lee et al. (section 4.2) draw their line at 0.8 too
# A pair of similarity s agrees in some band with probability 1 - (1 - s**ROWS)**BANDS: 0.998 at 0.8, 0.27 at 0.5.
BANDS, ROWS = 20, 6
# An estimate from the signature has a standard deviation of 0.037 at the threshold; what it puts three of them below
# is not worth reading two texts for.
MARGIN = 0.11
NEIGHBOURS = 32  # that a document is compared with in each band: bounds the cost where all texts have one pattern
SEED = 20_241
SCRATCH = "scratch"  # the folder of texts and signatures, while the stage runs
EXAMPLES = 3  # in the report, of each kind
EXCERPT = 120  # characters of an example; of two that are alike, from about where they differ
FATES = (*quality.REASONS, "exact", "near", "kept")


class Documents:
    """The normalised documents of all corpora, in order of precedence, and what is known of each in arrays.

    ``rows``: ``id``, ``title``, ``text``, ``characters``, ``digest`` (equal for equal texts), ``signature``, and what
    ``quality`` says: ``removed`` lines, ``reason`` and what was ``measured``. ``lengths`` int32, ``digests`` uint64 and
    ``reasons`` int8 ``(documents,)`` are in memory, texts and signatures stay on disk.
    """

    def __init__(self, rows: "Dataset"):
        self.rows = rows
        columns = (rows.data.column(name).to_numpy() for name in ("characters", "digest", "reason"))
        self.lengths, self.digests, self.reasons = columns
        chunks = rows.data.column("signature").chunks
        self.signatures = [chunk.flatten().to_numpy().reshape(-1, BANDS * ROWS) for chunk in chunks]
        self._starts = [0, *accumulate(map(len, chunks))]

    def signature(self, number: int):
        """uint32 ``(BANDS * ROWS,)``."""
        chunk = bisect_right(self._starts, number) - 1
        return self.signatures[chunk][number - self._starts[chunk]]


def deduplicate(
    sources: dict[str, Sequence[reading.Source]], out: Path,
    *, max_documents: int | None = None, workers: int | None = None, force: bool = False,
) -> artifacts.Manifest:  # fmt: skip
    """Write the documents of each corpus that pass the filters and that no earlier one equals or nearly equals.

    ``sources`` names the files of each corpus in order of precedence: rows with ``text`` or with Baike's fields, or the
    folder of a cleaned dump. ``max_documents`` of each are read (all by default) by ``workers`` processes (one a core).
    A killed run goes on where it was. Rows that are no documents are left out and reported; raises CourseError for a
    missing file, and where more than one row in a hundred of a corpus is of no use.
    """
    artifacts.check_present("deduplication", [path for paths in sources.values() for path in paths])
    sources = {corpus: reading.files(paths) for corpus, paths in sources.items()}
    settings = {"corpora": {corpus: len(paths) for corpus, paths in sources.items()}, "max_documents": max_documents}
    return artifacts.build(
        out, lambda folder: _deduplicate_into(folder, sources, max_documents, workers), stage="deduplication",
        settings=settings | {"code": _code()}, inputs=[path for paths in sources.values() for path in paths],
        resumable=True, force=force, scratch=(SCRATCH,),
    )  # fmt: skip


def _code() -> str:
    modules = (ngrams, normalisation, quality, reading, loading)
    return artifacts.code_version(__file__, quality.TABLE, *(module.__file__ for module in modules))


def _deduplicate_into(folder: Path, sources: dict, max_documents: int | None, workers: int | None) -> dict:
    scratch = folder / SCRATCH
    documents, spans, left_out = _prepare(scratch, sources, max_documents, workers)
    passed = np.flatnonzero(documents.reasons == 0)
    if not len(passed):
        least = f"a text of {quality.MIN_CHARACTERS} characters that passes the filters"
        raise CourseError(f"no corpus holds {least}: name files with documents")
    _, first, which = np.unique(documents.digests[passed], return_index=True, return_inverse=True)
    keepers = np.full(len(documents.reasons), -1)
    keepers[passed] = passed[first[which]]  # of each document the first of the same digest
    similarities = find_near(documents, keepers, scratch)
    _write_kept(folder, documents.rows, spans, keepers)
    report = _report(documents, spans, left_out, keepers, similarities)
    artifacts.write_json(folder / "report.json", report)
    counts, kinds = [corpus["documents"] for corpus in report["corpora"].values()], sum(left_out.values(), [])
    summary = {fate: sum(count[fate] for count in counts) for fate in ("read", "kept", "exact", "near")}
    filtered = len(documents.reasons) - len(passed)
    return summary | ({"filtered": filtered} if filtered else {}) | ({"left_out": kinds} if kinds else {})


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of two texts: n-grams that are in both, of those that are in either. 0 … 1."""
    return _jaccard(_distinct(a), _distinct(b))


def _distinct(text: str):
    return np.unique(ngrams.ngrams([text], NGRAM)[0])


def _jaccard(a, b) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def signatures(texts: Sequence[str]):
    """-> uint32 ``(texts, BANDS * ROWS)``: MinHash signatures by rensa (https://github.com/beowolx/rensa).

    Several times as fast as datasketch for the same error: ``benchmarks/deduplication.py``.
    """
    from rensa import RMinHash

    hashes, offsets = ngrams.ngrams(texts, NGRAM)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, BANDS * ROWS, SEED)
    return np.array(matrix.to_rows(), np.uint32).reshape(len(texts), BANDS * ROWS)


def _prepare(scratch: Path, sources: dict, limit: int | None, workers: int | None) -> tuple[Documents, dict, dict]:
    """Read, normalise and sign every document. -> (them, the numbers of each corpus' own, its rows of no use)."""
    from datasets import List, Value, concatenate_datasets

    string = Value("string")
    features = {
        "id": string, "title": string, "text": string, "characters": Value("int32"), "digest": Value("uint64"),
        "signature": List(Value("uint32"), length=BANDS * ROWS), "removed": string, "reason": Value("int8"),
        "measured": Value("float32"),
    }  # fmt: skip
    parts, spans, left_out, start = [], {}, {}, 0
    for corpus, paths in sources.items():
        rows, left_out[corpus] = load_rows(
            paths, reading.document, ("id", "title", "text"), scratch, title=corpus, limit=limit, workers=workers
        )
        hashes = {str(path): artifacts.sha256(path) for path in paths}
        mark = artifacts.fingerprint("signed", {"corpus": corpus, "limit": limit, "code": _code()}, hashes)
        how = {"title": f"normalising {corpus}", "fingerprint": mark, "features": features, "workers": workers}
        parts.append(mapped(rows, partial(_normalise_and_sign, scraped=corpus not in CLEANED), scratch, **how))
        spans[corpus] = slice(start, start + len(rows))
        start += len(rows)
    return Documents(concatenate_datasets(parts)), spans, left_out


def _normalise_and_sign(table, scraped: bool = True):
    """A table of ``id``, ``title`` and ``text`` -> the same, normalised, with the columns of ``Documents.rows``."""
    import pyarrow as pa

    titles, texts = (list(map(normalise, table[name].to_pylist())) for name in ("title", "text"))
    texts, removed, reasons, measured = quality.examine(texts, titles, scraped=scraped)
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    signed = np.zeros((len(texts), BANDS * ROWS), np.uint32)
    if len(passed := np.flatnonzero(reasons == 0)):
        signed[passed] = signatures([texts[i] for i in passed])
    columns = {
        "id": table["id"], "title": titles, "text": texts,
        "characters": np.array([len(text) for text in texts], np.int32), "digest": np.frombuffer(digests, np.uint64),
        "signature": pa.FixedSizeListArray.from_arrays(signed.ravel(), BANDS * ROWS), "removed": removed,
        "reason": reasons, "measured": measured,
    }  # fmt: skip
    return pa.table(columns)


def shared_bands(documents: Documents, numbers, scratch: Path) -> dict[int, list[int]]:
    """number -> keys of its bands that another of the documents ``numbers`` has too; most documents have none."""
    keys = np.memmap(scratch / "bands", np.uint64, "w+", shape=(BANDS, max(len(documents.lengths), 1)))
    start = 0
    for chunk in documents.signatures:
        keys[:, start : start + len(chunk)] = _band_keys(chunk)
        start += len(chunk)
    shared = defaultdict(list)
    for band in track(range(BANDS), "comparing bands", BANDS):
        mine = keys[band, numbers]
        order = np.argsort(mine, kind="stable")
        same = mine[order[1:]] == mine[order[:-1]]
        several = np.zeros(len(mine), bool)
        several[order[1:][same]] = several[order[:-1][same]] = True
        for number, key in zip(numbers[several].tolist(), mine[several].tolist(), strict=True):
            shared[number].append(key)
    return shared


def _band_keys(signed):
    """uint32 ``(documents, BANDS * ROWS)`` -> uint64 ``(BANDS, documents)``: a number for each band, and its place."""
    keys = np.repeat(np.arange(BANDS, dtype=np.uint64)[:, None], len(signed), axis=1)
    for row in range(ROWS):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + signed[:, row::ROWS].T
    return keys


def find_near(documents: Documents, keepers, scratch: Path, threshold: float = THRESHOLD) -> dict[int, float]:
    """Set in ``keepers`` the document that a near duplicate gives way to. -> its similarity to it, by number.

    ``keepers`` int64 ``(documents,)``: of each document the first equal one, -1 for those filtered out. A document
    is compared with those that stayed: of a chain of ever less similar texts each is near the one kept.
    """

    @lru_cache(256)  # those that stay are asked for again and again
    def ngrams_of(number: int):
        return _distinct(documents.rows.data.column("text")[number].as_py())

    shared = shared_bands(documents, np.flatnonzero(keepers == np.arange(len(keepers))), scratch)
    kept: dict[int, list[int]] = defaultdict(list)  # key of a band -> documents that its owners are, or gave way to
    similarities = {}
    for number in track(sorted(shared), "comparing documents", len(shared)):
        others = {other for key in shared[number] for other in kept[key]}
        for other in _worth_reading(documents, number, others, threshold):
            alike = _jaccard(ngrams_of(number), ngrams_of(other))
            if alike >= threshold:
                keepers[number], similarities[number] = other, alike
                break
        for key in shared[number]:
            if (keeper := int(keepers[number])) not in kept[key]:
                kept[key] = [*kept[key], keeper][-NEIGHBOURS:]
    counted = keepers >= 0
    keepers[counted] = keepers[keepers[counted]]  # what equals a near duplicate gives way to the same document
    return similarities


def _worth_reading(documents: Documents, number: int, others: set[int], threshold: float) -> list[int]:
    """Those of the others, earliest first, that the signatures do not put far below the threshold."""
    signature = documents.signature(number)
    agree = ((documents.signature(other) == signature).mean() for other in sorted(others))
    return [other for other, part in zip(sorted(others), agree, strict=True) if part >= threshold - MARGIN]


def _write_kept(folder: Path, rows: "Dataset", spans: dict[str, slice], keepers) -> None:
    from datasets import DatasetDict

    parts = {}
    for corpus, span in spans.items():
        kept = np.arange(span.start, span.stop)
        kept = kept[keepers[span] == kept]
        if len(kept):  # `datasets` does not read back what it writes of no row
            mark = artifacts.fingerprint("kept", {"corpus": corpus}, {"kept": hashlib.sha256(kept).hexdigest()})
            parts[corpus] = rows.select(kept, new_fingerprint=mark).select_columns(["id", "title", "text"])
    with loading.quiet_workers():
        DatasetDict(parts).save_to_disk(str(folder))


def _report(documents: Documents, spans: dict[str, slice], left_out: dict, keepers, similarities: dict) -> dict:
    """Documents and characters by corpus and fate, duplicates by where they stood and what they equal, examples."""
    fates = np.full(len(keepers), FATES.index("exact"), np.int8)
    fates[keepers == np.arange(len(keepers))] = FATES.index("kept")
    fates[list(similarities)] = FATES.index("near")
    fates[keepers < 0] = documents.reasons[keepers < 0] - 1
    corpora = {}
    for corpus, span in spans.items():
        counts = dict(zip(FATES, np.bincount(fates[span], minlength=len(FATES)).tolist(), strict=True))
        lengths, lines = documents.lengths[span], _removed(documents, span)
        kept = int(lengths[fates[span] == FATES.index("kept")].sum())
        corpora[corpus] = {
            "documents": {"read": len(lengths), **counts}, "left_out": left_out[corpus], "boilerplate": lines,
            "characters": {"read": int(lengths.sum()) + lines["characters"], "kept": kept},
            "filtered": _filtered(documents, span),
        }  # fmt: skip
    corpus_of = np.repeat(list(spans), [span.stop - span.start for span in spans.values()])
    kinds, examples = Counter(), []
    for number in np.flatnonzero((fates == FATES.index("exact")) | (fates == FATES.index("near"))).tolist():
        keeper = int(keepers[number])
        kind = str(corpus_of[number]), str(corpus_of[keeper]), FATES[fates[number]]
        kinds[kind] += 1
        if kinds[kind] <= EXAMPLES:
            examples.append(_example(documents.rows[keeper], documents.rows[number], *kind))
    duplicates = [{"in": a, "of": b, "kind": kind, "documents": n} for (a, b, kind), n in sorted(kinds.items())]
    return {"corpora": corpora, "duplicates": duplicates, "examples": examples}


def _removed(documents: Documents, span: slice) -> dict:
    """Lines of boilerplate removed from a corpus, their characters with the line ends, and examples."""
    import pyarrow.compute as pc

    lines = documents.rows.data.column("removed").slice(span.start, span.stop - span.start)
    lengths = pc.utf8_length(lines).to_numpy()
    some = np.flatnonzero(lengths)
    shown = [documents.rows[span.start + int(number)] for number in some[:EXAMPLES]]
    examples = [{"id": row["id"], "title": row["title"], "lines": row["removed"][:EXCERPT]} for row in shown]
    count = len(some) + (pc.sum(pc.count_substring(lines, "\n")).as_py() or 0)
    return {"lines": count, "characters": int(lengths.sum()) + len(some), "examples": examples}


def _filtered(documents: Documents, span: slice) -> list[dict]:
    """Examples of what was filtered out of a corpus, of each reason, with what was measured."""
    examples = []
    for number, reason in enumerate(quality.REASONS, 1):
        for place in np.flatnonzero(documents.reasons[span] == number)[:EXAMPLES]:
            row = documents.rows[span.start + int(place)]
            text = row["removed"] if reason == "boilerplate" else row["text"]
            what = {"reason": reason, "measured": round(row["measured"], 3), "id": row["id"], "title": row["title"]}
            examples.append(what | {"text": text[:EXCERPT]})
    return examples


def _example(kept: dict, dropped: dict, dropped_in: str, kept_in: str, kind: str) -> dict:
    """Two documents that are alike, from about where they differ."""
    a, b = kept["text"], dropped["text"]
    start = 0 if a == b else max(len(os.path.commonprefix([a, b])) - EXCERPT // 2, 0)
    example = {"kind": kind, "similarity": round(similarity(a, b), 3)}
    for side, corpus, row in (("kept", kept_in, kept), ("dropped", dropped_in, dropped)):
        excerpt = row["text"][start : start + EXCERPT]
        example[side] = {"corpus": corpus, "id": row["id"], "title": row["title"], "text": excerpt}
    return example
