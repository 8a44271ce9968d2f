"""Each document is written once, whatever corpus it stands in, and what is only similar stays."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import datasets
import numpy as np
import psutil  # accelerate brings it
import pytest

from course_utils import profiles, wiki_cleaning
from course_utils.corpora import deduplication, loading
from course_utils.corpora.deduplication import deduplicate, similarity
from course_utils.errors import CourseError

WORDS = ["北京", "上海", "的", "是", "在", "城市", "历史", "人口", "河流", "大学", "铁路", "气候"]


def text(seed: int, words: int = 100) -> str:
    return "".join(np.random.default_rng(seed).choice(WORDS, words))


def write(path: Path, rows: list[dict]) -> list[Path]:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return [path]


def texts(folder: Path, corpus: str) -> list[str]:
    return loading.load_documents(folder, corpus)["text"][:]


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_similarity_is_the_share_of_common_ngrams():
    assert similarity("一二三四五六七八", "一二三四五六七八") == 1
    assert similarity("一二三四五六七八", "一二三四五六七九") == pytest.approx(1 / 3)
    assert similarity("一二三四五六七", "七六五四三二一") == 0


def test_the_first_of_equal_and_of_similar_documents_stays_within_and_across_corpora(tmp_path):
    a, b, c, d = map(text, range(4))
    wiki = write(
        tmp_path / "wiki.jsonl", [{"id": "7", "title": "甲", "text": a}, {"id": "8", "title": "乙", "text": b}]
    )
    title, rest = c[:4], c[4:]
    baike = write(
        tmp_path / "baike.jsonl",
        [
            {"title": title, "summary": rest, "sections": [], "tags": [], "url": ""},
            {"title": title, "summary": rest + "（转载）", "sections": [], "tags": [], "url": ""},
            {"title": "", "summary": a.replace("，", "\u3000"), "sections": None, "tags": [], "url": ""},
        ],
    )
    medical = write(
        tmp_path / "medical.jsonl", [{"text": b[:-9]}, {"text": f"{title}\n{rest}"}, {"text": d}, {"text": "短"}]
    )
    out = tmp_path / "out"
    summary = deduplicate({"wiki": wiki, "baike": baike, "medical": medical}, out).summary
    assert summary == {"read": 9, "kept": 4, "exact": 2, "near": 2, "filtered": 1}
    assert texts(out, "wiki") == [a, b] and texts(out, "baike") == [f"{title}\n{rest}"] and texts(out, "medical") == [d]
    found = report(out)
    fates = {fate: count for fate, count in found["corpora"]["medical"]["documents"].items() if count}
    assert fates == {"read": 4, "too short": 1, "exact": 1, "near": 1, "kept": 1}
    assert found["corpora"]["wiki"]["characters"] == {"read": len(a) + len(b), "kept": len(a) + len(b)}
    where = {(row["in"], row["of"]): row["kind"] for row in found["duplicates"]}
    assert where.pop(("baike", "wiki")) == where.pop(("medical", "baike")) == "exact"
    assert where == {("baike", "baike"): "near", ("medical", "wiki"): "near"}
    assert all(row["similarity"] == 1 if row["kind"] == "exact" else 0.8 <= row["similarity"] < 1
               for row in found["examples"])  # fmt: skip
    assert not (out / "scratch").exists()


def test_documents_are_normalised_and_named(tmp_path):
    write(tmp_path / "a.jsonl", [{"text": "\u3000\u3000ＡＢＣ公司\u200b成立于１９４９年。\r\n\r\n第二段"}])
    deduplicate({"medical": [tmp_path / "a.jsonl"]}, tmp_path / "out")
    (row,) = datasets.load_from_disk(str(tmp_path / "out"))["medical"]
    assert row == {"id": "a.jsonl:1", "title": "", "text": "ABC公司成立于1949年。\n第二段"}


def test_what_stays_is_near_every_document_that_gave_way_to_it(tmp_path):
    """A chain: each text is near the next, the last is far from the first and so stays."""
    whole = text(5, 300)
    step = len(whole) // 12
    chain = [whole[i * step : i * step + len(whole) // 2] for i in range(5)]
    near = [similarity(chain[0], other) >= deduplication.THRESHOLD for other in chain]
    write(tmp_path / "a.jsonl", [{"text": part} for part in chain])
    deduplicate({"medical": [tmp_path / "a.jsonl"]}, tmp_path / "out")
    kept = texts(tmp_path / "out", "medical")
    for part in chain:
        others = [similarity(part, other) for other in kept if other != part]
        assert part in kept or max(others) >= deduplication.THRESHOLD
        assert part not in kept or max(others, default=0) < deduplication.THRESHOLD
    assert near[0] and not near[-1] and len(kept) > 1


def test_many_copies_of_one_text_give_way_to_the_first(tmp_path):
    first = text(6, 300)
    write(tmp_path / "a.jsonl", [{"text": first}] + [{"text": f"{first}（{i}）"} for i in range(300)])
    assert deduplicate({"medical": [tmp_path / "a.jsonl"]}, tmp_path / "out").summary["kept"] == 1


def small_parts(monkeypatch) -> None:
    """Work for several processes, in several parts, in files of some kilobytes."""
    monkeypatch.setattr(loading, "SPAN_BYTES", 5_000)
    monkeypatch.setattr(loading, "PART_BYTES", 50_000)
    monkeypatch.setattr(loading, "BYTES_A_WORKER", 1)


def test_the_number_of_workers_changes_no_byte(tmp_path, monkeypatch):
    small_parts(monkeypatch)
    rows = [{"text": text(i % 150)} for i in range(200)]
    sources = {"baike": write(tmp_path / "b.jsonl", rows), "medical": write(tmp_path / "m.jsonl", rows[50:])}
    for workers in (1, 3):
        deduplicate(sources, tmp_path / f"{workers}", workers=workers)
    names = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.arrow")] + ["report.json"]
    assert len(names) == 2, "all medical texts are copies"
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes() for name in names)
    assert len(texts(tmp_path / "1", "baike")) == 150 and texts(tmp_path / "1", "medical") == []


def test_files_that_change_corpus_or_order_are_deduplicated_anew(tmp_path):
    a = write(tmp_path / "a.jsonl", [{"text": text(1)}])
    b = write(tmp_path / "b.jsonl", [{"text": text(1)}, {"text": text(2)}])
    kept = []
    for sources in ({"wiki": a, "baike": b}, {"wiki": b, "baike": a}, {"wiki": a + b, "baike": []}):
        deduplicate(sources, tmp_path / "out")
        kept.append([loading.load_documents(tmp_path / "out", name)["id"][:] for name in sources])
    assert kept == [[["a.jsonl:1"], ["b.jsonl:2"]], [["b.jsonl:1", "b.jsonl:2"], []], [["a.jsonl:1", "b.jsonl:2"], []]]


def test_a_missing_source_is_named_however_it_is_given(tmp_path):
    with pytest.raises(CourseError, match="gone.jsonl is missing"):
        deduplicate({"wiki": [str(tmp_path / "gone.jsonl")]}, tmp_path / "out")


def test_a_limit_of_documents_holds_for_each_corpus(tmp_path):
    files = write(tmp_path / "a.jsonl", [{"text": text(i)} for i in range(6)])
    files += write(tmp_path / "b.jsonl", [{"text": text(i)} for i in range(6, 12)])
    deduplicate({"medical": files}, tmp_path / "out", max_documents=8)
    assert texts(tmp_path / "out", "medical") == [text(i) for i in range(8)]


@pytest.mark.parametrize("line", ["{broken", "[1]", '{"text": 5}', '{"title": "a", "sections": ["b"]}', '{"title": 1}'])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_row_is_named(tmp_path, monkeypatch, line, workers):
    small_parts(monkeypatch)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": text(1)}) + "\n\n" + line + "\n")
    with pytest.raises(CourseError, match=r"rows.jsonl:3: not a (JSON object|document)"):
        deduplicate({"medical": [tmp_path / "rows.jsonl"]}, tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()


def test_corpora_without_a_document_are_an_error(tmp_path):
    with pytest.raises(CourseError, match="no corpus holds a text of 10 characters"):
        deduplicate({"medical": write(tmp_path / "a.jsonl", [{"text": "短"}])}, tmp_path / "out")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """-> (profile, folder) of the whole embedded world, deduplicated."""
    folder = tmp_path_factory.mktemp("world")
    profile = profiles.load("cpu-mini")
    wiki_cleaning.clean_dumps(profile.wiki_dumps, folder / "wiki")
    sources = {"wiki": [folder / "wiki"], "baike": profile.baike, "medical": profile.medical}
    deduplicate(sources, folder / "out")
    return profile, folder


def test_every_copy_in_the_embedded_world_is_dropped_and_hardly_anything_else(world):
    profile, folder = world
    statistics = json.loads((profile.wiki_dumps[0].parents[1] / "statistics.json").read_text(encoding="utf-8"))
    found = report(folder / "out")
    for corpus, originals, copies in (
        ("baike", "baike", "baike_copies"),
        ("medical", "medical_texts", "medical_copies"),
    ):
        kept = datasets.load_from_disk(str(folder / "out"))[corpus]["id"][:]
        file = getattr(profile, corpus)[0].name
        written = [f"{file}:{i + 1}" for i in range(statistics[originals])]
        originals_kept = [place for place in written if place in set(kept)]
        stayed = kept[len(originals_kept) :]
        assert kept[: len(originals_kept)] == originals_kept, "in their order, before any copy"
        assert len(stayed) <= statistics[copies] / 250, f"MinHash estimates: near the threshold one may stay: {stayed}"
        assert len(written) - len(originals_kept) <= len(written) / 400, "short retellings of one thing may be alike"
        assert found["corpora"][corpus]["documents"]["read"] == statistics[originals] + statistics[copies]
    articles = [row["text"] for row in wiki_cleaning.read_articles(folder / "wiki")]
    assert len(texts(folder / "out", "wiki")) == len(articles)
    assert {(row["of"], row["kind"]) for row in found["duplicates"] if row["in"] == "medical"} == {
        (of, kind) for of in ("baike", "medical") for kind in ("exact", "near")
    }


def test_texts_of_one_pattern_are_far_from_the_threshold(world, tmp_path):
    """The world's articles are made from sentence patterns; few are nearly as near another as a copy is."""
    rows = datasets.concatenate_datasets(list(datasets.load_from_disk(str(world[1] / "out")).values()))
    signed = rows.with_format("arrow").map(deduplication._normalise_and_sign, batched=True)
    documents = deduplication.Documents(signed.with_format(None))
    similarities = deduplication.find_near(documents, np.arange(len(rows)), tmp_path, threshold=0.5)
    near = [value for value in similarities.values() if value > deduplication.THRESHOLD - 0.1]
    assert similarities and len(near) <= len(rows) / 200


def copies(count: int) -> list[dict]:
    """Near-copies of one text of 200 characters, each with another change."""
    first = text(6, 130)
    return [{"text": f"{first[: i % 180]}东{first[i % 180 + 1 :]}（{i}）"} for i in range(count)]


def test_a_family_of_copies_costs_a_comparison_each(tmp_path, monkeypatch):
    compared = []
    jaccard = deduplication._jaccard
    monkeypatch.setattr(deduplication, "_jaccard", lambda a, b: compared.append(1) or jaccard(a, b))
    kept = deduplicate({"medical": write(tmp_path / "a.jsonl", copies(2_000))}, tmp_path / "out").summary["kept"]
    assert kept < 20 and len(compared) < 2 * 2_000


def test_texts_of_one_pattern_that_all_stay_are_compared_with_some_of_them_alone(tmp_path, monkeypatch):
    """Half of each text is the same: all stay, all agree in some bands, and the work stays bounded."""
    same, read = text(7, 130), []
    rows = [{"text": same + text(1_000 + i, 90)} for i in range(1_500)]
    worth = deduplication._worth_reading
    monkeypatch.setattr(deduplication, "_worth_reading", lambda *args: read.append(len(args[2])) or worth(*args))
    assert deduplicate({"medical": write(tmp_path / "a.jsonl", rows)}, tmp_path / "out").summary["near"] == 0
    assert max(read) <= deduplication.NEIGHBOURS * deduplication.BANDS and sum(read) / len(read) > 2


def test_a_bad_row_in_twenty_thousand_is_named_and_left_out(tmp_path):
    rows = [json.dumps({"text": f"第{i}号" + text(i % 40, 20)}) for i in range(20_000)]
    rows[19_990] = '{"text": "half a r'
    rows[30] = '{"text": ["a list"]}'
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    summary = deduplicate({"medical": [tmp_path / "a.jsonl"]}, tmp_path / "out").summary
    left_out = report(tmp_path / "out")["corpora"]["medical"]["left_out"]
    assert summary["read"] == 19_998 and summary["left_out"] == left_out
    assert {kind["first"]: kind["rows"] for kind in left_out} == {"a.jsonl:19991": 1, "a.jsonl:31": 1}
    assert all("not a JSON object" in kind["reason"] or "not a document" in kind["reason"] for kind in left_out)


def test_code_that_was_edited_is_not_answered_with_the_old_result(tmp_path):
    """A copy of the package, whose `normalise` is edited between two calls: the second result is a new one."""
    package = Path(deduplication.__file__).parents[1]
    subprocess.run(["cp", "-r", package, tmp_path / "course_utils"], check=True)
    write(tmp_path / "a.jsonl", [{"text": text(1)}])
    code = (
        "from pathlib import Path\nimport datasets\nfrom course_utils import corpora\n"
        "corpora.deduplicate({'medical': [Path('a.jsonl')]}, Path('out'))\n"
        "print(datasets.load_from_disk('out')['medical'][0]['text'])"
    )

    def run() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    assert run() == text(1)
    module = tmp_path / "course_utils/corpora/normalisation.py"
    edited = module.read_text(encoding="utf-8").replace('.strip(" \\n")', '.strip(" \\n") + "!"')
    module.write_text(edited, encoding="utf-8")
    assert run() == text(1) + "!"


KILLED = """
import sys
from pathlib import Path
from course_utils.corpora import deduplication, loading
loading.SPAN_BYTES, loading.PART_BYTES, loading.BYTES_A_WORKER = 20_000, 150_000, 1
slow = deduplication.normalise
deduplication.normalise = lambda text: slow(text * 200)[: len(slow(text))]
print(deduplication.deduplicate({"medical": [Path("a.jsonl")]}, Path(sys.argv[1]), workers=2).outputs)
"""


@pytest.mark.trial
def test_a_killed_deduplication_goes_on_and_leaves_no_process(tmp_path):
    write(tmp_path / "a.jsonl", [{"text": f"第{i}号" + text(i, 60)} for i in range(2_500)])

    def start(out: str) -> subprocess.Popen:
        command = [sys.executable, "-c", KILLED, out]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    killed, deadline = start("a"), time.monotonic() + 120
    while len(list(tmp_path.glob(".a.unfinished-*/scratch/*_of_00002.arrow"))) < 2:
        assert killed.poll() is None and time.monotonic() < deadline, "no part was finished"
        time.sleep(0.01)
    children = psutil.Process(killed.pid).children(recursive=True)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not psutil.wait_procs(children, timeout=20)[1], "workers outlive the command"
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".a.unfinished-*/scratch/*.arrow")}
    again = start("a")
    while again.poll() is None:
        for path, written in done.items():
            with suppress(FileNotFoundError):  # the end of the work removes them
                assert path.stat().st_mtime_ns == written, "a finished part was made again"
        time.sleep(0.05)
    whole = start("b").communicate()[0]
    assert again.stdout.read().splitlines()[-1] == whole.splitlines()[-1]


def test_memory_grows_by_little_more_than_the_arrays(tmp_path):
    """What 6,000 more documents add to the peak, traced by Python: not their texts, of about a kilobyte each."""

    def peak(count: int) -> int:
        rows = [{"text": text(i, 220)} for i in range(count)]
        files = write(tmp_path / f"{count}.jsonl", rows)
        del rows
        tracemalloc.start()
        deduplicate({"baike": files}, tmp_path / f"{count}", workers=1)
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced

    peak(100)  # imports
    assert (peak(9_000) - peak(3_000)) / 6_000 < 250
