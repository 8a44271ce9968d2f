"""Turn MediaWiki dumps into clean paragraphs: what a reader of the rendered page sees, and nothing else.

In come ``pages-articles`` XML dumps (plain, .bz2, .gz), out go JSONL shards ``{"id", "title", "text"}`` and a report.
``wikitext`` cleans a page, ``dumps`` reads the dump; here pages are chosen, spread over workers and written.

The one idea: the unit of work is a batch of whole pages, about a megabyte. Batches are cleaned anywhere, by this
process, by others, or on a Dask or Ray cluster, and written in the dump's order, so that the output is the same bytes
whoever made it. Each finished shard is noted; a killed run goes on after the last one.

Cost: memory for the few batches that are under way, however long the dump.
"""

import importlib
import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from .. import artifacts
from ..errors import CourseError
from ..processes import cores, pool
from ..progress import Line
from . import dumps as wiki_dumps
from .dumps import Batch
from .templates import FAMILIES, Family
from .wikitext import RESIDUE, clean_page

SHARD_BATCHES = 64  # a shard holds the articles of 64 MiB of dump
PROGRESS = "progress.json"
RESIDUE_SHOWN = 20  # places in the report
BACKENDS = {"processes": "joblib", "dask": "distributed", "ray": "ray"}  # and the package each needs
CLUSTER_SECONDS = 30  # to wait for a scheduler

REDIRECT = re.compile(r"\s*#\s*(?:redirect\b|重定向|重新導向|重新导向)", re.I)
# Names of the templates that make a page a disambiguation; not {{消歧义链接}}.
DISAMBIGUATION = re.compile(
    r"\{\{\s*(?:template:|模板:)?(?:"
    r"(?!主[条條]目|非|not |no )[^{}|\n:]{0,24}?(?:消歧[义義异異][页頁]?|多[义義][词詞]?)"
    r"|(?:(?!no |not )[\w -]{0,30}[ -])?disambig(?:uation)?(?: ?page|[- ]cleanup)?"
    r"|disamb|dab|hndis|hndisambig|geodis|mathdab|numberdis|schooldis|roaddis|letterdis)\s*[|}]",
    re.I,
)
DISAMBIGUATION_TITLE = re.compile(r"[(（]\s*(?:消歧[义義]|disambiguation)\s*[)）]$", re.I)


def reason_to_drop(title: str, namespace: str, wikitext: str) -> str | None:
    """Why a page is no article, or None. ``namespace`` is its number as text; "0" are articles."""
    if namespace not in ("0", ""):
        return "other namespace"
    if REDIRECT.match(wikitext):
        return "redirect"
    if DISAMBIGUATION_TITLE.search(title) or DISAMBIGUATION.search(wikitext) or "__DISAMBIG__" in wikitext:
        return "disambiguation"
    return None


@dataclass(frozen=True)
class Options:
    """What may be chosen, and changes the output."""

    min_chars: int = 20  # of an article's clean text; shorter ones are dropped
    headings: bool = True  # as in ``wikitext.clean_page``
    tables: Literal["drop", "text"] = "drop"  # as there
    own_templates: tuple[Family, ...] = ()  # tried before those of the course


@dataclass
class Cleaned:
    """What came of some pages."""

    pages: Counter = field(default_factory=Counter)  # by fate
    characters: Counter = field(default_factory=Counter)
    templates: Counter = field(default_factory=Counter)  # (name, family it was rendered by)
    residue: Counter = field(default_factory=Counter)  # what looks like markup or a scar in the clean text
    residue_at: list[str] = field(default_factory=list)  # the first of it, with its page and what stands around it
    damaged: list[str] = field(default_factory=list)  # where pages or dumps are broken
    rows: bytes = b""  # JSON lines of the articles kept

    def add(self, other: "Cleaned") -> None:
        """Count the other's pages in; its rows are written elsewhere."""
        for name in ("pages", "characters", "templates", "residue"):
            getattr(self, name).update(getattr(other, name))
        self.residue_at = (self.residue_at + other.residue_at)[:RESIDUE_SHOWN]
        self.damaged += other.damaged

    def report(self) -> dict:
        """All but the rows, for JSON: the most frequent template first."""
        frequent = sorted(self.templates.items(), key=lambda item: (-item[1], item[0]))
        templates = [{"template": name, "family": family, "times": n} for (name, family), n in frequent]
        return {name: value for name, value in vars(self).items() if name != "rows"} | {"templates": templates}


def clean_batch(xml: bytes, start: int = 0, options: Options = Options()) -> Cleaned:  # noqa: B008
    """Clean the pages of a batch. ``start`` is its place in the dump, in bytes, to say where a broken page is."""
    done, rows = Cleaned(), []
    chosen = {"headings": options.headings, "tables": options.tables, "templates": done.templates}
    if options.own_templates:
        chosen["families"] = options.own_templates + FAMILIES
    for page in wiki_dumps.parse_pages(xml):
        if isinstance(page, tuple):
            byte, error = page
            done.pages["damaged"] += 1
            done.damaged.append(f"byte {start + byte:,}: {error}")
            continue
        fate = "redirect" if page.redirect else reason_to_drop(page.title, page.namespace, page.wikitext)
        if not fate:
            title, text = clean_page(page.title, page.wikitext, **chosen)
            fate = "kept" if len(text) >= options.min_chars else "too short"
        done.pages[fate] += 1
        done.characters["wikitext of " + fate] += len(page.wikitext)
        if fate == "kept":
            done.characters["clean text"] += len(text)
            for match in RESIDUE.finditer(text):
                done.residue[match[0]] += 1
                if len(done.residue_at) < RESIDUE_SHOWN:
                    around = text[max(match.start() - 20, 0) : match.end() + 20]
                    done.residue_at.append(f"{title}: {around!r}")
            rows.append(json.dumps({"id": page.id, "title": title, "text": text}, ensure_ascii=False) + "\n")
    done.rows = "".join(rows).encode("utf-8", errors="replace")
    return done


def clean_dumps(
    dumps: Sequence[Path],
    out: Path,
    *,
    workers: int | None = None,
    backend: str = "processes",
    scheduler: str | None = None,
    force: bool = False,
    **options,
) -> artifacts.Manifest:
    """Clean dumps into ``out``: ``wiki-00000.jsonl`` …, and ``report.json``. A killed run goes on at its next shard.

    A page is kept when it is an article and long enough; every other fate is counted. ``options``: see ``Options``.
    ``workers``: processes, by default one a core; with ``backend`` "dask" or "ray" the workers of the cluster at
    ``scheduler`` (or a local one) do the cleaning. None of the three changes the output.

    A dump that is damaged or cut off gives what stands before the damage, and the manifest's summary says where it is.
    Raises CourseError for missing or foreign dumps, unknown backends, and an output folder that holds something else.
    """
    dumps, chosen, workers = list(dumps), Options(**options), workers or cores()
    if backend not in BACKENDS:
        raise CourseError(f"no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if chosen.tables not in ("drop", "text"):
        raise CourseError(f"tables can be 'drop' or 'text', not {chosen.tables!r}")
    for dump in dumps:
        wiki_dumps.check(dump)  # say what is wrong with an input before anything is made
    own = [[family, list(names), render and render.__name__] for family, names, render in chosen.own_templates]
    return artifacts.build(
        out, lambda folder: _clean_into(folder, dumps, workers, _runner(chosen, workers, backend, scheduler)),
        settings=vars(chosen) | {"own_templates": own, "code": artifacts.code_version(Path(__file__).parent)},
        stage="wiki_cleaning", inputs=dumps, resumable=True, force=force,
    )  # fmt: skip


def _clean_into(folder: Path, dumps: list[Path], workers: int, runner: AbstractContextManager["Runner"]) -> dict:
    place, done = _resume(folder)
    began, first_pages, text_bytes = time.perf_counter(), done.pages.total(), 0
    sizes = [path.stat().st_size for path in dumps]
    batches = wiki_dumps.read_batches(dumps, place["dump"], place["byte"], workers=workers)
    partial_shard = folder / ".shard.partial"
    with runner as run, Line("cleaning", sum(sizes)) as line:
        for first in batches:
            with partial_shard.open("wb") as file:
                for batch, result in run(chain([first], islice(batches, SHARD_BATCHES - 1))):
                    file.write(result.rows)
                    done.add(result)
                    if batch.damage:
                        done.damaged.append(batch.damage)
                    text_bytes += batch.end - batch.start
                    speed = text_bytes / 1e6 / (time.perf_counter() - began)
                    read = sum(sizes[: batch.dump]) + batch.read
                    line.update(read, f"cleaning: {done.pages.total():,} pages, {speed:.1f} MB/s")
            if partial_shard.stat().st_size:
                partial_shard.replace(folder / f"wiki-{place['shard']:05}.jsonl")
                place["shard"] += 1
            place |= {"dump": batch.dump, "byte": batch.end}
            artifacts.write_json(folder / PROGRESS, place | done.report())
    if not done.pages:
        raise CourseError(f"{', '.join(map(artifacts.shown, dumps))}: no page in it: name a pages-articles dump")
    artifacts.write_json(folder / "report.json", done.report())
    partial_shard.unlink(missing_ok=True)
    (folder / PROGRESS).unlink()
    seconds = time.perf_counter() - began
    summary = {
        "pages": done.pages.total(),
        "kept": done.pages["kept"],
        "characters": done.characters["clean text"],
        "residue": done.residue.total(),
        "MB_per_second": round(text_bytes / 1e6 / seconds, 1),
        "pages_per_second": round((done.pages.total() - first_pages) / seconds),
    }
    return summary | ({"damaged": done.damaged[:5]} if done.damaged else {})


def _resume(folder: Path) -> tuple[dict[str, int], Cleaned]:
    """-> (number of the next shard, index of the dump, byte in its text; counts so far), as noted after a shard."""
    place, done = {"shard": 0, "dump": 0, "byte": 0}, Cleaned()
    if (path := folder / PROGRESS).exists():
        noted = json.loads(path.read_text(encoding="utf-8"))
        place = {name: noted[name] for name in place}
        counted = {name: Counter(noted[name]) for name in ("pages", "characters", "residue")}
        templates = Counter({(entry["template"], entry["family"]): entry["times"] for entry in noted["templates"]})
        done = Cleaned(**counted, templates=templates, residue_at=noted["residue_at"], damaged=noted["damaged"])
    return place, done


Runner = Callable[[Iterator[Batch]], Iterator[tuple[Batch, Cleaned]]]


@contextmanager
def _runner(options: Options, workers: int, backend: str, scheduler: str | None) -> Iterator[Runner]:
    """A function that cleans batches and gives the results in order: here, in processes, or on a cluster."""
    local = backend == "processes"
    if local and workers == 1:
        yield lambda batches: ((b, clean_batch(b.xml, b.start, options)) for b in batches)
        return
    how = "list" if backend == "ray" else "generator"  # Ray's backend gives results all at once: a shard at a time
    cluster = nullcontext() if local else _cluster(backend, scheduler)
    with cluster, pool(workers if local else -1, return_as=how) as parallel:
        yield lambda batches: _spread(parallel, batches, options)


def _spread(parallel, batches: Iterator[Batch], options: Options) -> Iterator[tuple[Batch, Cleaned]]:
    import joblib

    sent: deque[Batch] = deque()  # without their text, which is a worker's now

    def tasks():
        for batch in batches:
            sent.append(replace(batch, xml=b""))
            yield joblib.delayed(clean_batch)(batch.xml, batch.start, options)

    for result in parallel(tasks()):
        yield sent.popleft(), result


@contextmanager
def _cluster(backend: str, scheduler: str | None) -> Iterator[None]:
    """Here joblib sends its tasks to the cluster. Raises CourseError when none answers or a package is missing."""
    import joblib

    try:
        cluster = importlib.import_module(BACKENDS[backend])
        if backend == "dask":
            close = cluster.Client(scheduler, timeout=CLUSTER_SECONDS).close
        else:
            cluster.init(address=scheduler)
            importlib.import_module("ray.util.joblib").register_ray()
            close = cluster.shutdown
    except ImportError:
        needed = BACKENDS[backend]
        raise CourseError(f"backend {backend} needs the package {needed}: pip install {needed}") from None
    except (OSError, ValueError) as error:  # ConnectionError and TimeoutError among them
        hint = "start it, or name another"
        raise CourseError(f"no {backend} scheduler answers at {scheduler}: {hint} ({error})") from None
    try:
        with joblib.parallel_config(backend):
            yield
    finally:
        close()


def shards(folder: Path) -> list[Path]:
    """The JSONL files of a cleaned dump, in order."""
    return sorted(folder.glob("wiki-*.jsonl"))


def read_articles(folder: Path) -> Iterator[dict]:
    """The articles of a cleaned dump: ``{"id", "title", "text"}``."""
    for shard in shards(folder):
        with shard.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def read_report(folder: Path) -> dict:
    """The report: ``pages`` and ``characters`` by fate, ``templates`` by number, ``residue`` and where, ``damaged``.

    Its ``speed`` comes from the manifest, so that the report itself is the same whoever made it.
    """
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    manifest = artifacts.read_manifest(folder)
    if manifest:
        report["speed"] = {name: manifest.summary[name] for name in ("MB_per_second", "pages_per_second")}
        report["speed"]["seconds"] = manifest.seconds
    return report
