"""Each document is written once, whatever corpus it stands in, and what is only similar stays."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from course_utils import deduplication, profiles, wiki_cleaning
from course_utils.deduplication import deduplicate, similarity
from course_utils.errors import CourseError

WORDS = ["北京", "上海", "的", "是", "在", "城市", "历史", "人口", "河流", "大学", "铁路", "气候"]


def text(seed: int, words: int = 100) -> str:
    return "".join(np.random.default_rng(seed).choice(WORDS, words))


def write(path: Path, rows: list[dict]) -> list[Path]:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return [path]


def texts(folder: Path, corpus: str) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / f"{corpus}.jsonl").open(encoding="utf-8")]


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
    assert summary == {"read": 9, "kept": 4, "exact": 2, "near": 2}
    assert texts(out, "wiki") == [a, b] and texts(out, "baike") == [f"{title}\n{rest}"] and texts(out, "medical") == [d]
    found = report(out)
    assert found["corpora"]["medical"]["documents"] == {"read": 4, "too short": 1, "exact": 1, "near": 1, "kept": 1}
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
    (row,) = map(json.loads, (tmp_path / "out" / "medical.jsonl").open(encoding="utf-8"))
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


def test_the_number_of_workers_changes_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(deduplication, "BATCH_BYTES", 20_000)
    rows = [{"text": text(i % 150)} for i in range(200)]
    sources = {"baike": write(tmp_path / "b.jsonl", rows), "medical": write(tmp_path / "m.jsonl", rows[50:])}
    for workers in (1, 3):
        deduplicate(sources, tmp_path / f"{workers}", workers=workers)
    names = ["baike.jsonl", "medical.jsonl", "report.json"]
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes() for name in names)
    assert len(texts(tmp_path / "1", "baike")) == 150 and texts(tmp_path / "1", "medical") == []


def test_a_limit_of_documents_holds_for_each_corpus(tmp_path):
    files = write(tmp_path / "a.jsonl", [{"text": text(i)} for i in range(6)])
    files += write(tmp_path / "b.jsonl", [{"text": text(i)} for i in range(6, 12)])
    deduplicate({"medical": files}, tmp_path / "out", max_documents=8)
    assert texts(tmp_path / "out", "medical") == [text(i) for i in range(8)]


@pytest.mark.parametrize("line", ["{broken", "[1]", '{"text": 5}', '{"title": "a", "sections": ["b"]}', '{"title": 1}'])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_row_is_named(tmp_path, monkeypatch, line, workers):
    monkeypatch.setattr(deduplication, "BATCH_BYTES", 10)
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


def test_every_copy_in_the_embedded_world_is_dropped_and_nothing_else(world):
    profile, folder = world
    statistics = json.loads((profile.wiki_dumps[0].parents[1] / "statistics.json").read_text(encoding="utf-8"))
    found = report(folder / "out")
    for corpus, originals, copies in (
        ("baike", "baike", "baike_copies"),
        ("medical", "medical_texts", "medical_copies"),
    ):
        kept = [json.loads(line)["id"] for line in (folder / "out" / f"{corpus}.jsonl").open(encoding="utf-8")]
        file = getattr(profile, corpus)[0].name
        assert kept == [f"{file}:{i + 1}" for i in range(statistics[originals])], "the originals, in their order"
        assert found["corpora"][corpus]["documents"]["read"] == statistics[originals] + statistics[copies]
    articles = [row["text"] for row in wiki_cleaning.read_articles(folder / "wiki")]
    assert len(texts(folder / "out", "wiki")) == len(articles)
    assert {(row["of"], row["kind"]) for row in found["duplicates"] if row["in"] == "medical"} == {
        (of, kind) for of in ("baike", "medical") for kind in ("exact", "near")
    }
    assert min(row["similarity"] for row in found["examples"]) > deduplication.THRESHOLD + 0.05


def test_texts_of_one_pattern_are_far_from_the_threshold(world, monkeypatch):
    """The world's articles are made from sentence patterns; none is nearly as near another as a copy is."""
    documents = [doc for corpus in ("wiki", "baike", "medical") for doc in texts(world[1] / "out", corpus)]
    monkeypatch.setattr(deduplication, "LEAST_ESTIMATE", 0.5)
    pairs = deduplication.candidate_pairs(deduplication.signatures(documents), np.arange(len(documents)))
    nearest = max(similarity(documents[a], documents[b]) for a, b in pairs.tolist())
    assert 0.5 < nearest < deduplication.THRESHOLD - 0.1


def test_memory_grows_by_little_more_than_the_arrays(tmp_path):
    """What 10,000 more documents add to the peak, traced by Python: not their texts, of about a kilobyte each."""

    def peak(count: int) -> int:
        rows = [{"text": text(i, 5) * 60 + text(i, 20)} for i in range(count)]
        files = write(tmp_path / f"{count}.jsonl", rows)
        del rows
        tracemalloc.start()
        deduplicate({"baike": files}, tmp_path / f"{count}", workers=1)
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced

    peak(100)  # imports
    assert (peak(15_000) - peak(5_000)) / 10_000 < 250
