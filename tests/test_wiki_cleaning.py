"""Dumps of any size and state become shards and a report, the same whoever cleans them."""

import bz2
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from html import escape
from pathlib import Path

import pytest

from course_utils.errors import CourseError
from course_utils.wiki_cleaning import cleaning as wiki
from course_utils.wiki_cleaning import dumps as wiki_dumps
from course_utils.wiki_cleaning.wikitext import RESIDUE

from .conftest import REPOSITORY
from .test_wikitext import PAGES

DUMP = REPOSITORY / "data/wiki/zhwiki-mini-pages-articles.xml.bz2"
PEOPLE = REPOSITORY / "data/facts/people.csv"


def page(number: int, text: str, title: str = "", namespace: int = 0) -> str:
    return (
        f"<page><title>{title or f'条目{number}'}</title><ns>{namespace}</ns><id>{number}</id>"
        f"<revision><id>9</id><text xml:space='preserve'>{escape(text)}</text></revision></page>\n"
    )


def write_dump(path: Path, pages: list[str], end: str = "</mediawiki>") -> Path:
    text = "<mediawiki xml:lang='zh'>\n<siteinfo></siteinfo>\n" + "".join(pages) + end
    {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)(path, "wb").write(text.encode())
    return path


PROSE = "'''甲'''（{{lang-en|A}}）是一座[[城市]]，历史悠久，人口众多，物产丰富。\n" * 40


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(wiki_dumps, "BATCH_BYTES", 20_000)
    monkeypatch.setattr(wiki, "SHARD_BATCHES", 3)


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize(
    ("title", "namespace", "text", "reason"),
    [
        ("甲", "0", "#重定向 [[乙]]", "redirect"),
        ("甲", "0", "#REDIRECT [[乙]]", "redirect"),
        ("甲", "0", "'''甲'''可以指：\n{{disambig}}", "disambiguation"),
        ("甲", "0", "'''甲'''可以指：\n{{人名消歧義|x}}", "disambiguation"),
        ("甲 (消歧义)", "0", "甲可以指", "disambiguation"),
        ("甲", "0", "{{消歧义链接|乙}}甲是{{disambiguation needed}}城市。", None),
        ("甲", "0", "{{主條目消歧義|乙}}甲是城市。", None),
        ("Template:甲", "10", "x", "other namespace"),
        ("C++: 语言", "0", "'''C++'''是语言。", None),
    ],
)
def test_pages_that_are_no_articles_are_dropped(title, namespace, text, reason):
    assert wiki.reason_to_drop(title, namespace, text) == reason


def test_no_page_of_the_set_is_wrongly_kept_or_dropped():
    for path in PAGES:
        expected = json.loads(path.read_text(encoding="utf-8"))
        text = path.with_suffix(".wikitext").read_text(encoding="utf-8")
        xml = page(1, text, escape(expected["title"]), expected.get("ns", 0)).encode()
        assert bool(wiki.clean_batch(xml).pages["kept"]) == expected["keep"], path.stem


# ------------------------------------------------------------------ the embedded dump


def test_the_embedded_dump_gives_its_articles_without_residue(tmp_path):
    manifest = wiki.clean_dumps([DUMP], tmp_path / "out")
    report = wiki.read_report(tmp_path / "out")
    articles = list(wiki.read_articles(tmp_path / "out"))
    assert report["pages"]["kept"] == manifest.summary["kept"] == len(articles) >= 500
    assert sum(count for fate, count in report["pages"].items() if fate != "kept") >= 60
    assert report["residue"] == {} and not any(RESIDUE.search(row["text"]) for row in articles)
    assert report["damaged"] == [] and report["speed"]["MB_per_second"] > 0
    people_dated = sum(bool(row["birth"] and row["death"]) for row in csv.DictReader(PEOPLE.open(encoding="utf-8")))
    assert {"template": "bd", "family": "dates", "times": people_dated} in report["templates"]
    people = {row["title"]: row["text"] for row in articles}
    assert "1881年9月25日" in people["鲁迅"], "birth dates survive cleaning"


def test_the_report_counts_planted_residue_and_says_where(tmp_path):
    """Markup that its writer shows with <nowiki> is the one way to plant it: nothing else passes the cleaner."""
    planted = {"甲": "<nowiki>'''粗'''</nowiki>", "乙": "字<nowiki>（，）</nowiki>", "丙": "<nowiki>[[链接</nowiki>"}
    pages = [page(i, PROSE + text, title) for i, (title, text) in enumerate(planted.items(), 1)]
    wiki.clean_dumps([write_dump(tmp_path / "a.xml", [*pages, page(9, PROSE, "丁")])], tmp_path / "out", workers=1)
    report = wiki.read_report(tmp_path / "out")
    assert report["residue"] == {"'''": 2, "（，）": 1, "[[": 1}
    assert [place.split(": ")[0] for place in report["residue_at"]] == ["甲", "甲", "乙", "丙"]
    assert "[[链接" in report["residue_at"][-1]


def test_every_fact_sentence_of_the_dump_survives(tmp_path):
    """The builder knows what it marked up; the cleaner must give all of it back."""
    sys.path.insert(0, str(REPOSITORY / "data/builder"))
    import wiki as builder
    from facts import World

    from course_utils.wiki_cleaning.language_conversion import to_simplified

    world = World.load()
    wiki.clean_dumps([DUMP], tmp_path / "out")
    text = "".join(row["text"] for row in wiki.read_articles(tmp_path / "out"))
    told = [
        sentence
        for kind in builder.KINDS
        for entity in world.entities[kind]
        for _, sentences in builder.sections(world, entity)
        for _, sentence in sentences
    ]
    # What the first sentence says is said there alone.
    told += [f"{builder.what_it_is(entity)}。" for kind in builder.KINDS for entity in world.entities[kind]]
    lost = [sentence for sentence in told if to_simplified()(sentence) not in text]
    assert len(told) > 2_000 and len(lost) <= 0.01 * len(told), lost[:5]


# ------------------------------------------------------------------ reading dumps


@pytest.mark.parametrize("suffix", [".xml", ".xml.bz2", ".xml.gz"])
def test_every_form_of_a_dump_gives_its_pages(tmp_path, suffix):
    dump = write_dump(tmp_path / f"dump{suffix}", [page(i, PROSE) for i in range(5)])
    assert [p.id for p in wiki_dumps.read_pages(dump)] == list("01234")


def test_a_multistream_dump_and_parallel_decompression_give_the_same_pages(tmp_path, small_batches):
    plain = write_dump(tmp_path / "dump.xml", [page(i, PROSE) for i in range(60)])
    text = plain.read_bytes()
    multistream = tmp_path / "dump.xml.bz2"
    multistream.write_bytes(b"".join(bz2.compress(text[i : i + 50_000]) for i in range(0, len(text), 50_000)))
    expected = [(b.start, b.end) for b in wiki_dumps.read_batches([plain])]
    for workers in (1, 4):
        assert [(b.start, b.end) for b in wiki_dumps.read_batches([multistream], workers=workers)] == expected


def test_a_page_longer_than_a_batch_is_read_whole(tmp_path, small_batches):
    dump = write_dump(tmp_path / "dump.xml", [page(1, PROSE), page(2, PROSE * 20), page(3, PROSE)])
    assert [p.id for p in wiki_dumps.read_pages(dump)] == ["1", "2", "3"]


@pytest.mark.parametrize("suffix", [".xml", ".xml.bz2", ".xml.gz"])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_cut_off_dump_keeps_all_before_the_cut(tmp_path, small_batches, suffix, workers):
    import random

    noise = ["".join(random.Random(i).choices("天地玄黄宇宙洪荒日月盈昃", k=3_000)) for i in range(400)]
    whole = write_dump(tmp_path / f"whole{suffix}", [page(i, text) for i, text in enumerate(noise)])
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 9 // 10])
    manifest = wiki.clean_dumps([cut], tmp_path / "out", workers=workers)
    rows = list(wiki.read_articles(tmp_path / "out"))
    assert len(rows) >= 100 and [row["text"] for row in rows] == noise[: len(rows)]
    (message,) = manifest.summary["damaged"]
    place = f"in page 条目{len(rows)}" in message or f"after page 条目{len(rows) - 1}" in message
    assert place and "byte" in message and "download it again" in message


def test_corrupt_bytes_in_the_middle_keep_all_before_them(tmp_path, small_batches):
    whole = write_dump(tmp_path / "dump.xml.bz2", [page(i, PROSE) for i in range(3_000)])
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    whole.write_bytes(data)
    manifest = wiki.clean_dumps([whole], tmp_path / "out", workers=1)
    assert 100 < manifest.summary["kept"] < 3_000 and "damaged or cut off at byte" in manifest.summary["damaged"][0]


def test_a_page_that_is_no_xml_costs_itself(tmp_path):
    bad = page(1, PROSE).replace("<revision>", "<revision><<")
    dump = write_dump(tmp_path / "dump.xml", [page(0, PROSE), bad, page(2, PROSE)])
    manifest = wiki.clean_dumps([dump], tmp_path / "out", workers=1)
    assert manifest.summary["kept"] == 2
    assert "page 条目1" in manifest.summary["damaged"][0] and "byte" in manifest.summary["damaged"][0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.xml", None, "missing"),
        ("a.xml", b"hello", "byte 0: not a MediaWiki XML dump"),
        ("a.xml.bz2", b"hello", "damaged or cut off at byte 0"),
        ("a.xml.gz", b"hello", "damaged or cut off at byte 0"),
        ("a.xml", b"<mediawiki></mediawiki>", "no page in it"),
    ],
)
def test_what_is_no_dump_is_refused_in_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CourseError, match=message) as caught:
        wiki.clean_dumps([tmp_path / name], tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


# ------------------------------------------------------------------ workers, resuming


@pytest.mark.parametrize("suffix", [".xml", ".xml.bz2"])
def test_several_dumps_and_any_number_of_workers_give_the_same_bytes(tmp_path, small_batches, suffix):
    dumps = [
        write_dump(tmp_path / f"{n}{suffix}", [page(i, PROSE.replace("甲", f"甲{n}{i}")) for i in range(40)])
        for n in "ab"
    ]
    made = [wiki.clean_dumps(dumps, tmp_path / str(workers), workers=workers).outputs for workers in (1, 2, 3)]
    assert made[0] == made[1] == made[2] and len(wiki.shards(tmp_path / "1")) > 2


def test_a_dask_cluster_gives_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed")
    here = wiki.clean_dumps([DUMP], tmp_path / "here", workers=1)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = wiki.clean_dumps([DUMP], tmp_path / "there", backend="dask", scheduler=cluster.scheduler_address)
    assert here.outputs == there.outputs


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(wiki, "CLUSTER_SECONDS", 1)
    with pytest.raises(CourseError, match="no dask scheduler answers at tcp://127.0.0.1:9"):
        wiki.clean_dumps([DUMP], tmp_path / "out", backend="dask", scheduler="tcp://127.0.0.1:9")


def test_an_unknown_backend_is_refused(tmp_path):
    with pytest.raises(CourseError, match="processes, dask, ray"):
        wiki.clean_dumps([DUMP], tmp_path / "out", backend="spark")


def test_a_killed_run_goes_on_at_its_next_shard_and_ends_with_the_same_bytes(tmp_path, small_batches):
    dump = write_dump(tmp_path / "dump.xml.bz2", [page(i, PROSE.replace("甲", f"甲{i}")) for i in range(400)])
    code = (
        "import sys\nfrom pathlib import Path\nfrom course_utils.wiki_cleaning import cleaning, dumps\n"
        "dumps.BATCH_BYTES, cleaning.SHARD_BATCHES = 20_000, 3\n"
        "clean, wait = cleaning.clean_batch, __import__('time').sleep\n"
        "cleaning.clean_batch = lambda *given: (wait(0.05), clean(*given))[1]\n"
        "cleaning.clean_dumps([Path(sys.argv[1])], Path(sys.argv[2]), workers=1)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(dump), str(tmp_path / "out")], cwd=REPOSITORY)
    while not list(tmp_path.glob(".out.unfinished-*/wiki-00001.jsonl")):
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    (unfinished,) = tmp_path.glob(".out.unfinished-*")
    first = unfinished / "wiki-00000.jsonl"
    inode = first.stat().st_ino
    resumed = wiki.clean_dumps([dump], tmp_path / "out", workers=1)
    assert (tmp_path / "out/wiki-00000.jsonl").stat().st_ino == inode, "the finished shard was not made again"
    assert resumed.outputs == wiki.clean_dumps([dump], tmp_path / "whole", workers=1).outputs


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_dump(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom course_utils.wiki_cleaning import clean_dumps\n"
        "clean_dumps([Path(sys.argv[1])], Path(sys.argv[2]), workers=1)\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    peaks = []
    for times in (2_000, 20_000):  # 5 MB and 50 MB
        dump = write_dump(tmp_path / f"{times}.xml", [page(i, PROSE) for i in range(times // 4)])
        command = [sys.executable, "-c", code, str(dump), str(tmp_path / f"out{times}")]
        printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        peaks.append(int(printed.split()[-1]))
    assert peaks[1] < 1.1 * peaks[0]
