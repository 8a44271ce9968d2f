"""Read every corpus, write each document once: exact and near duplicates go, within a corpus and across corpora.

In come the cleaned wiki, Baike articles and medical texts; out go ``wiki.jsonl``, ``baike.jsonl`` and ``medical.jsonl``
of ``{"id", "title", "text"}``, all normalised in one way, and ``report.json``. Of documents that are alike the first
stays, in the order wiki, Baike, medical. A text that stands in a corpus many times is learned by heart, and one that
also stands among the held-out documents makes the measured loss too good (Lee et al. 2022,
https://arxiv.org/abs/2107.06499).

The one idea: comparing all pairs is out of the question, so each document becomes a *signature*, a few numbers of which
two documents share as large a part as they share n-grams (MinHash, Broder 1997). The signature is cut into bands, and
only documents that agree in a whole band are compared. What is compared is then compared exactly.

Cost: 130 bytes of memory a document (measured on 1.2 million; 7 million: 0.9 GB) and some megabytes a worker; on disk,
while it runs, the text once more and 0.5 kB a document; about 20 MB of text a second on one core. Workers make the
signatures; what is written does not depend on their number.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from . import artifacts, wiki_cleaning
from .corpora import document_text, parse_row
from .errors import CourseError
from .normalisation import normalise
from .progress import Line, track

if TYPE_CHECKING:
    import numpy as np

MIN_CHARACTERS = 10  # less is a title without a text
NGRAM = 7  # characters: Lee et al. take 5 words, and a Chinese word has about 1.5 characters
THRESHOLD = 0.8  # Jaccard similarity of the sets of n-grams; Lee et al. (section 4.2) draw their line at 0.8 too
# A pair of similarity s agrees in some band with probability 1 - (1 - s**ROWS)**BANDS: 0.998 at 0.8, 0.27 at 0.5.
BANDS, ROWS = 20, 6
# An estimate from the signature has a standard deviation of 0.037 at the threshold; what it puts three of them below
# is not worth reading two texts for.
LEAST_ESTIMATE = THRESHOLD - 0.11
NEIGHBOURS = 32  # that a document is compared with in each band; alike ones lead on to the first of their kind
SEED = 20_241
BATCH_BYTES = 2**22  # of text that a worker gets at a time
PAIRS_AT_ONCE = 2**16
EXAMPLES = 3  # in the report, of each kind
EXCERPT = 120  # characters of an example, from about where the two differ


@dataclass(frozen=True)
class Batch:
    """What a worker makes of some lines; a row of the arrays is a document that is long enough."""

    lines: list[bytes]  # normalised documents as JSON
    lengths: list[int]  # of their texts, in characters
    digests: np.ndarray  # uint64 (documents,), equal for equal texts; others meet by chance once in 10**19 pairs
    signatures: np.ndarray  # uint32 (documents, BANDS * ROWS)
    too_short: int  # documents left out
    characters: int  # in all of them


@dataclass(frozen=True)
class Documents:
    """The normalised documents, in order of precedence: their text on disk, what is known of each in arrays."""

    folder: Path
    spans: dict[str, range]  # corpus -> numbers of its documents
    too_short: Counter  # corpus -> documents left out
    characters: Counter  # corpus -> characters read
    lengths: np.ndarray  # int32, characters of each text
    digests: np.ndarray  # uint64
    ends: np.ndarray  # int64, where each document's line ends in the file

    def read(self, number: int) -> dict:
        """A document by its number."""
        start = int(self.ends[number - 1]) if number else 0
        with (self.folder / "documents").open("rb") as file:
            file.seek(start)
            return json.loads(file.read(int(self.ends[number]) - start))

    def signatures(self) -> np.ndarray:
        """uint32 ``(documents, BANDS * ROWS)``, mapped from disk."""
        import numpy as np

        return np.memmap(self.folder / "signatures", np.uint32, "r").reshape(-1, BANDS * ROWS)


def deduplicate(
    sources: dict[str, Sequence[Path]],
    out: Path,
    *,
    max_documents: int | None = None,
    workers: int | None = None,
    force: bool = False,
) -> artifacts.Manifest:
    """Write the documents of each corpus that no earlier document equals or nearly equals.

    ``sources`` names the files of each corpus in order of precedence: JSON Lines with ``text`` or with Baike's fields,
    or the folder of a cleaned dump. ``max_documents`` of each are read (all by default) by ``workers`` processes (one a
    core). Raises CourseError for a missing file and, with file and line, for a row that is no document.
    """
    paths = [path for files in sources.values() for path in files]
    return artifacts.build(
        out,
        lambda folder: _deduplicate_into(folder, sources, max_documents, workers or os.cpu_count()),
        stage="deduplication",
        settings={
            "corpora": list(sources),
            "max_documents": max_documents,
            "min_characters": MIN_CHARACTERS,
            "ngram": NGRAM,
            "threshold": THRESHOLD,
            "bands": BANDS,
            "rows": ROWS,
            "seed": SEED,
        },  # fmt: skip
        inputs=paths,
        force=force,
    )


def _deduplicate_into(folder: Path, sources: dict, max_documents: int | None, workers: int) -> dict:
    scratch = folder / "scratch"
    scratch.mkdir()
    documents = _prepare(scratch, sources, max_documents, workers)
    keepers = first_equals(documents.digests)
    similarities = _find_near(documents, keepers)
    _write_kept(folder, documents, keepers)
    report = _report(documents, keepers, similarities)
    shutil.rmtree(scratch)
    artifacts.write_json(folder / "report.json", report)
    fates = [counts["documents"] for counts in report["corpora"].values()]
    return {fate: sum(counts[fate] for counts in fates) for fate in ("read", "kept", "exact", "near")}


# ------------------------------------------------------------------ one document


def ngrams(texts: Sequence[str]):
    """-> (uint64 hashes of all n-grams of characters, in order; uint64 offsets ``(texts + 1,)`` of each text's first).

    Texts must be at least ``NGRAM`` characters long.
    """
    import numpy as np

    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.uint64)
    size = max(len(codes) - NGRAM + 1, 0)
    hashes = np.zeros(size, np.uint64)
    for shift in range(NGRAM):  # a polynomial in the golden ratio's 64 bits, modulo 2**64
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += codes[shift : shift + size]
    hashes ^= hashes >> np.uint64(32)  # its low bits know only the low bits of the characters: mix the high ones in
    hashes *= np.uint64(0xD6E8FEB86659FD93)
    hashes ^= hashes >> np.uint64(32)
    counts = np.array([len(text) - NGRAM + 1 for text in texts], np.int64)
    ends = np.cumsum(counts + NGRAM - 1)
    whole = np.ones(size, bool)
    for back in range(1, NGRAM):  # n-grams that begin in one text and end in the next
        whole[ends[:-1] - back] = False
    return hashes[whole], np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of two texts: n-grams that are in both, of those that are in either. 0 … 1."""
    return _jaccard(_distinct(a), _distinct(b))


def _distinct(text: str):
    import numpy as np

    return np.unique(ngrams([text])[0])


def _jaccard(a, b) -> float:
    import numpy as np

    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def signatures(texts: Sequence[str]):
    """-> uint32 ``(texts, BANDS * ROWS)``: MinHash signatures by rensa (https://github.com/beowolx/rensa).

    Several times as fast as datasketch for the same error: ``benchmarks/deduplication.py``.
    """
    import numpy as np
    from rensa import RMinHash

    hashes, offsets = ngrams(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, BANDS * ROWS, SEED)
    return np.array(matrix.to_rows(), np.uint32).reshape(len(texts), BANDS * ROWS)


# ------------------------------------------------------------------ first pass: normalise and sign


def _prepare(folder: Path, sources: dict, max_documents: int | None, workers: int) -> Documents:
    """Let the workers normalise and sign every document, and write what they give to ``folder`` in order."""
    import numpy as np
    from joblib import Parallel, delayed

    size = sum(path.stat().st_size for files in sources.values() for path in _files(files))
    workers = max(1, min(workers, size // BATCH_BYTES))  # a process takes a second to start: not for a small corpus
    counts, too_short, characters = Counter(), Counter(), Counter()
    lengths, digests, line_lengths = [], [], []
    tasks = (delayed(_work)(corpus, lines) for corpus, lines in _batches(sources, max_documents))
    with (
        Line("normalising") as line,
        (folder / "documents").open("wb") as texts,
        (folder / "signatures").open("wb") as signed,
    ):
        for corpus, batch in Parallel(workers, return_as="generator")(tasks):
            texts.writelines(batch.lines)
            signed.write(batch.signatures.tobytes())
            counts[corpus] += len(batch.lines)
            too_short[corpus] += batch.too_short
            characters[corpus] += batch.characters
            lengths.append(np.array(batch.lengths, np.int32))
            digests.append(batch.digests)
            line_lengths.append(np.fromiter(map(len, batch.lines), np.int64))
            line.update(counts.total(), f"normalising {corpus}: {counts[corpus]:,} documents")
    if not counts.total():
        raise CourseError(f"no corpus holds a text of {MIN_CHARACTERS} characters: name files with documents")
    ends = np.cumsum([counts[corpus] for corpus in sources]).tolist()
    spans = {corpus: range(end - counts[corpus], end) for corpus, end in zip(sources, ends, strict=True)}
    joined = map(np.concatenate, (lengths, digests, line_lengths))
    return Documents(folder, spans, too_short, characters, next(joined), next(joined), np.cumsum(next(joined)))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from wiki_cleaning.shards(path) if path.is_dir() else [path]


def _batches(sources: dict, max_documents: int | None) -> Iterator[tuple[str, list]]:
    """-> (corpus, lines with their place as (file, number, line)), some megabytes at a time."""
    for corpus, paths in sources.items():
        lines, size = [], 0
        for place in islice(_lines(paths), max_documents):
            lines.append(place)
            size += len(place[2])
            if size >= BATCH_BYTES:
                yield corpus, lines
                lines, size = [], 0
        if lines:
            yield corpus, lines


def _lines(paths: Sequence[Path]) -> Iterator[tuple[str, int, bytes]]:
    for path in _files(paths):
        name = artifacts.shown(path)
        with path.open("rb") as file:
            yield from ((name, number, line) for number, line in enumerate(file, 1) if line.strip())


def _work(corpus: str, lines: list[tuple[str, int, bytes]]) -> tuple[str, Batch]:
    """A worker's task: lines as they lie in the corpus -> normalised documents and their signatures."""
    import numpy as np

    rows, texts, characters = [], [], 0
    for name, number, line in lines:
        row = parse_row(line, name, number)
        try:
            text = normalise(document_text(row))
            title = normalise(row.get("title") or "")
        except (AttributeError, TypeError) as error:
            raise CourseError(f"{name}:{number}: not a document: mend or remove the line ({error})") from None
        characters += len(text)
        if len(text) >= MIN_CHARACTERS:
            document = {"id": row.get("id") or f"{name.rpartition('/')[2]}:{number}", "title": title, "text": text}
            rows.append(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            texts.append(text)
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return corpus, Batch(
        lines=rows,
        lengths=[len(text) for text in texts],
        digests=np.frombuffer(digests, np.uint64),
        signatures=signatures(texts),
        too_short=len(lines) - len(rows),
        characters=characters,
    )


# ------------------------------------------------------------------ what equals what


def first_equals(digests):
    """uint64 ``(documents,)`` -> int64 ``(documents,)``: the number of the first document of the same digest."""
    import numpy as np

    _, first, which = np.unique(digests, return_index=True, return_inverse=True)
    return first[which]


def candidate_pairs(signed, numbers):
    """-> int64 ``(pairs, 2)``: (later, earlier) documents that may be near duplicates, in ascending order.

    ``signed`` are the signatures ``(documents, BANDS * ROWS)``, ``numbers`` the documents to compare, ascending. A pair
    agrees in a band and, by the estimate from the whole signature, is near enough to be worth reading.
    """
    import numpy as np

    pairs = np.zeros(0, np.int64)
    for band in track(range(BANDS), "comparing bands", BANDS):
        keys = np.zeros(len(numbers), np.uint64)
        for start in range(0, len(numbers), PAIRS_AT_ONCE):
            some = slice(start, start + PAIRS_AT_ONCE)
            for column in signed[numbers[some], band * ROWS : (band + 1) * ROWS].T:
                keys[some] = keys[some] * np.uint64(0x9E3779B97F4A7C15) + column
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for distance in range(1, NEIGHBOURS + 1):
            met = np.flatnonzero(keys[distance:] == keys[:-distance])
            if not len(met):
                break
            earlier, later = numbers[order[met]], numbers[order[met + distance]]
            near = _estimates(signed, earlier, later) >= LEAST_ESTIMATE
            pairs = np.union1d(pairs, later[near] * len(signed) + earlier[near])
    return np.stack(np.divmod(pairs, len(signed)), axis=1)


def _estimates(signed, earlier, later):
    """float64 ``(pairs,)``: the part of the signatures that agrees, which estimates the Jaccard similarity."""
    import numpy as np

    some = (slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(earlier), PAIRS_AT_ONCE))
    return np.concatenate([(signed[earlier[part]] == signed[later[part]]).mean(axis=1) for part in some])


def _find_near(documents: Documents, keepers) -> dict[int, float]:
    """Set in ``keepers`` the document that a near duplicate gives way to. -> its similarity to it, by number.

    A document is compared with those that stayed: of a chain of ever less similar texts each is near the one kept.
    """
    import numpy as np

    @lru_cache(256)  # those that stay are asked for again and again
    def distinct(number: int):
        return _distinct(documents.read(number)["text"])

    unique = np.flatnonzero(keepers == np.arange(len(keepers)))
    pairs = candidate_pairs(documents.signatures(), unique)
    similarities = {}
    for later, near in groupby(track(pairs.tolist(), "reading candidates", len(pairs)), itemgetter(0)):
        for keeper in sorted({int(keepers[earlier]) for _, earlier in near}):
            alike = _jaccard(distinct(later), distinct(keeper))
            if alike >= THRESHOLD:
                keepers[later], similarities[later] = keeper, alike
                break
    keepers[:] = keepers[keepers]  # what equals a near duplicate gives way to the same document
    return similarities


# ------------------------------------------------------------------ second pass: write what stays


def _write_kept(folder: Path, documents: Documents, keepers) -> None:
    with (documents.folder / "documents").open("rb") as lines:
        for corpus, span in documents.spans.items():
            with (folder / f"{corpus}.jsonl").open("wb") as kept:
                kept.writelines(line for number, line in zip(span, lines) if keepers[number] == number)  # noqa: B905


def _report(documents: Documents, keepers, similarities: dict[int, float]) -> dict:
    """Documents and characters by corpus and fate, duplicates by where they stood and what they equal, examples."""
    import numpy as np

    fates = np.where(keepers == np.arange(len(keepers)), "kept", "exact")
    fates[list(similarities)] = "near"
    corpus_of = np.repeat(list(documents.spans), [len(span) for span in documents.spans.values()])
    corpora = {}
    for corpus, span in documents.spans.items():
        part = slice(span.start, span.stop)
        fate, short = Counter(fates[part].tolist()), documents.too_short[corpus]
        corpora[corpus] = {
            "documents": {
                "read": len(span) + short, "too short": short, "exact": fate["exact"], "near": fate["near"],
                "kept": fate["kept"],
            },
            "characters": {
                "read": documents.characters[corpus],
                "kept": int(documents.lengths[part][fates[part] == "kept"].sum()),
            },
        }  # fmt: skip
    kinds, examples = Counter(), []
    for number in np.flatnonzero(fates != "kept").tolist():
        keeper = int(keepers[number])
        kind = str(corpus_of[number]), str(corpus_of[keeper]), str(fates[number])
        kinds[kind] += 1
        if kinds[kind] <= EXAMPLES:
            a, b = documents.read(keeper), documents.read(number)
            alike = round(similarity(a["text"], b["text"]), 3)
            start = max(len(os.path.commonprefix([a["text"], b["text"]])) - EXCERPT // 2, 0) if alike < 1 else 0
            cited = {"kept": _cited(kind[1], a, start), "dropped": _cited(kind[0], b, start)}
            examples.append({"kind": kind[2], "similarity": alike, **cited})
    duplicates = [{"in": a, "of": b, "kind": kind, "documents": n} for (a, b, kind), n in sorted(kinds.items())]
    return {"corpora": corpora, "duplicates": duplicates, "examples": examples}


def _cited(corpus: str, document: dict, start: int) -> dict:
    return {"corpus": corpus, **document, "text": document["text"][start : start + EXCERPT]}
