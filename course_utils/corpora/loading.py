"""Rows of files as a `datasets.Dataset`, and functions mapped over one: in parts, on all cores, memory-mapped.

In come files and a function that says what a row is read as; out comes a ``Dataset`` whose Arrow files lie in a folder
of the stage, so a corpus larger than memory is no different from a small one. ``mapped`` is ``Dataset.map`` with what a
run of hours needs.

Two ideas. A row that cannot be used becomes a row that says why; it is counted by reason and left out, and the run
stops where they are more than one in a hundred. (``load_dataset("json")`` of datasets 5.2 ends at one broken line and
does not name it.) And work is done in parts of ``PART_BYTES``, each in a file that bears its fingerprint (of settings,
inputs and code): a killed run reads or maps one part again.

Cost: some 50 MB of JSON a second and core, and the text once more on disk.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts, processes
from ..errors import CourseError
from ..profiles import Profile
from ..progress import Line
from . import reading
from .reading import Reader, Source, Span, Unusable

if TYPE_CHECKING:
    from datasets import Dataset

HELD_OUT_EVERY = 50  # one document, or conversation, in fifty is kept for validation
BAD_SHARE = 0.01  # of the rows of a corpus; with more it is not what it is taken for
SPAN_BYTES = 2**22  # of a file, that a worker reads at a time
PART_BYTES = 2**28  # between two lines of progress, and what a killed run does again: ten seconds' work or so
BYTES_A_WORKER = 2**24  # a second of work, which is what starting a process takes: not for less
BATCH_ROWS = 1_000  # that a mapped function gets at a time
PROBLEM = ("problem", "place")  # columns of rows that cannot be used: why, and file:line
BROKEN = "the file"  # the place where the problem is the file's, and no row's


def load_rows(
    sources: Sequence[Source], read: Reader, columns: Sequence[str], folder: Path,
    *, title: str, limit: int | None = None, workers: int | None = None,
) -> tuple["Dataset", list[dict]]:  # fmt: skip
    """-> (the usable rows, with these columns of texts, in order; what was left out).

    ``read`` turns a row into the columns. The Arrow files lie in ``folder``; started again, what they hold is not read
    again. At most ``limit`` rows are read. What was left out is ``{"reason", "rows", "first"}``, the first as
    file:line. Raises CourseError for a missing file, and where more than ``BAD_SHARE`` of the rows are of no use.
    """
    from datasets import Value, concatenate_datasets

    paths = reading.files(sources)
    features = dict.fromkeys([*columns, *PROBLEM], Value("string"))
    parts, rows, done = [empty(features)], 0, 0
    with Line(f"reading {title}", sum(path.stat().st_size for path in paths)) as line, quiet_workers():
        for part in _parts(paths):
            parts.append(_read_part(part, read, features, folder, workers or processes.cores()))
            rows, done = rows + len(parts[-1]), done + sum(span.size for span in part)
            line.update(done, f"reading {title}: {rows:,} rows")
            if limit is not None and rows >= limit:
                break
    whole = concatenate_datasets(parts)
    whole = whole if limit is None else whole.select(range(min(limit, len(whole))))
    usable, left_out = _sorted_out(whole)
    bad = len(whole) - len(usable)
    if bad > BAD_SHARE * len(whole):
        kinds = "; ".join(f"{kind['first']}: {kind['reason']} ({kind['rows']:,} such)" for kind in left_out[:3])
        share = f"{bad:,} of {len(whole):,} rows of {title} are of no use, more than {BAD_SHARE:.0%}"
        raise CourseError(f"{kinds}: {share}: mend or remove them")
    return (whole.select(usable) if bad else whole).remove_columns(PROBLEM), left_out


def _sorted_out(rows: "Dataset") -> tuple[Sequence[int], list[dict]]:
    """-> (numbers of the usable rows, the others by reason, most frequent first)."""
    problems, places = (rows.data.column(name) for name in PROBLEM)
    bad = problems.is_valid().to_numpy()
    counts, first = Counter(), {}
    for number in np.flatnonzero(bad).tolist():
        reason = problems[number].as_py()
        counts[reason] += 1
        first.setdefault(reason, places[number].as_py())
    left_out = [{"reason": reason, "rows": n, "first": first[reason]} for reason, n in counts.most_common()]
    return np.flatnonzero(~bad), left_out


def _parts(paths: Sequence[Path]) -> Iterator[list[Span]]:
    """All spans of the files in order, about ``PART_BYTES`` at a time."""
    spans = chain.from_iterable(reading.spans(path, SPAN_BYTES) for path in paths)
    while part := list(islice(spans, max(1, PART_BYTES // SPAN_BYTES))):
        yield part


def _read_part(part: list[Span], read: Reader, features: dict, folder: Path, workers: int) -> "Dataset":
    import pyarrow.compute as pc
    from datasets import Dataset, Features

    workers = min(workers, sum(span.size for span in part) // BYTES_A_WORKER)
    code = artifacts.code_version(__file__, reading.__file__, sys.modules[read.__module__].__file__)
    spans = [(artifacts.shown(span.path), span.start, span.end) for span in part]
    settings = {"spans": spans, "columns": list(features), "read": read.__qualname__, "code": code}
    inputs = {str(path): artifacts.sha256(path) for path in {span.path for span in part}}
    try:
        rows = Dataset.from_generator(
            _rows, features=Features(features), gen_kwargs={"spans": part, "read": read, "columns": tuple(features)},
            num_proc=workers if workers > 1 else None, cache_dir=str(folder / "rows"),
            fingerprint=artifacts.fingerprint("rows", settings, inputs),
        )  # fmt: skip
    except ValueError as error:
        if "corresponds to no data" not in str(error):  # what `datasets` says of no row
            raise
        return empty(features)
    problems, places = (rows.data.column(name) for name in PROBLEM)
    if broken := problems.filter(pc.equal(places, BROKEN)).to_pylist():
        raise CourseError(broken[0])
    return rows


def _rows(spans: list[Span], read: Reader, columns: tuple[str, ...]) -> Iterator[dict]:
    """The rows of spans for ``Dataset.from_generator``, in whatever process it runs."""
    nothing = dict.fromkeys(columns)
    try:
        for row, place in chain.from_iterable(map(reading.objects, spans)):
            try:
                yield {**nothing, **reading.usable(row, read, place)}
            except Unusable as problem:
                yield {**nothing, "problem": str(problem), "place": place}
    except CourseError as error:  # of the file itself; an exception does not come whole from another process
        yield {**nothing, "problem": str(error), "place": BROKEN}


def mapped(
    dataset: "Dataset", function: Callable, folder: Path,
    *, title: str, fingerprint: str, features: dict, workers: int | None = None, count: str = "",
) -> "Dataset":  # fmt: skip
    """``dataset.map(function)`` with a line of progress, gone on with where it was stopped.

    ``function`` takes and gives tables of Arrow, ``BATCH_ROWS`` rows at a time; ``features`` are the columns it gives.
    Its results lie in ``folder``, in files that bear the fingerprint, which says what they are made from. Small data
    start no process. ``count`` names a column of lists whose elements are counted as tokens a second.
    """
    from datasets import Features, concatenate_datasets

    folder.mkdir(parents=True, exist_ok=True)
    size = max(dataset.data.nbytes, 1)
    rows = max(1, PART_BYTES * len(dataset) // size)
    workers = min(workers or processes.cores(), size // BYTES_A_WORKER)
    parts, started, counted = [empty(features)], time.perf_counter(), 0
    with Line(title, len(dataset)) as line, quiet_workers():
        for start in range(0, len(dataset), rows):
            part = dataset.select(range(start, min(start + rows, len(dataset))))
            mark = f"{fingerprint}-{start}-{rows}"
            done = part.with_format("arrow").map(
                function, batched=True, batch_size=BATCH_ROWS, remove_columns=dataset.column_names,
                features=Features(features), num_proc=min(workers, len(part)) if workers > 1 else None,
                cache_file_name=str(folder / f"{mark}.arrow"), load_from_cache_file=True, new_fingerprint=mark,
            )  # fmt: skip
            parts.append(done.with_format(None))
            counted += sum(len(chunk.flatten()) for chunk in done.data.column(count).chunks) if count else 0
            rate = f" · {counted / (time.perf_counter() - started):,.0f} tokens/s" if count else ""
            line.update(start + len(part), title + rate)
    return concatenate_datasets(parts)


def empty(features: dict) -> "Dataset":
    """A Dataset with these columns and no row."""
    from datasets import Dataset, Features

    return Dataset.from_dict({name: [] for name in features}, features=Features(features))


@contextmanager
def quiet_workers() -> Iterator[None]:
    """Within this context `datasets` starts processes that end with this one, and shows no bars: our line does."""
    import datasets

    hidden = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with processes.ending_with_this():
            yield
    finally:
        if not hidden:
            datasets.enable_progress_bars()


def source_paths(profile: Profile) -> dict[str, list[Path]]:
    """Files and folders that each corpus is made of, in order of precedence: the cleaned wiki, Baike, medicine."""
    wiki = artifacts.require(profile, "wiki_cleaning")
    return {"wiki": [wiki], "baike": [*profile.baike], "medical": [*profile.medical]}


def corpus_files(profile: Profile, name: str) -> list[Path]:
    """The Arrow files of the deduplicated corpus ``wiki``, ``baike`` or ``medical``; none while it is not made."""
    # What a reader maps over a corpus, `datasets` lays beside them as cache-….arrow.
    return sorted((profile.dir("deduplication") / name).glob("data-*.arrow"))


def load_corpus(profile: Profile, name: str) -> "Dataset":
    """The deduplicated documents of a corpus, ``{"id", "title", "text"}``, memory-mapped."""
    return load_documents(artifacts.require(profile, "deduplication"), name)


def load_documents(folder: Path, name: str) -> "Dataset":
    """The documents of a corpus in a folder that ``deduplicate`` wrote; of one that was all copies, none."""
    from datasets import Value, load_from_disk

    columns = dict.fromkeys(("id", "title", "text"), Value("string"))
    return load_from_disk(str(folder / name)) if (folder / name).is_dir() else empty(columns)
