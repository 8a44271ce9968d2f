"""Files as others wrote them are read whole, in order, and what is of no use is named and not lost unseen."""

import gzip
import json
from pathlib import Path

import datasets
import psutil
import pytest

from course_utils.corpora import downloading, loading, reading
from course_utils.errors import CourseError

ROWS = [{"text": f"第{i}篇：北京是首都。"} for i in range(300)]


def load(folder: Path, *names: str, **how) -> tuple[list[str], list[dict]]:
    paths = [folder / name for name in names]
    rows, left_out = loading.load_rows(paths, reading.plain_text, ("text",), folder / "cache", title="test", **how)
    return rows["text"][:], left_out


def lines(rows: list[dict]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


FORMS = {
    "a.jsonl": lines(ROWS),
    "b.json": lines(ROWS) + b"\n\n",
    "c.json": json.dumps(ROWS, ensure_ascii=False).encode(),
    "d.json": b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2).encode(),
    "e.jsonl.gz": gzip.compress(lines(ROWS)),
    "f.json.gz": gzip.compress(b" \n" + json.dumps(ROWS).encode() + b"\n"),
    "g.jsonl": b"\xef\xbb\xbf" + lines(ROWS).replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("workers", [1, 2])
def test_every_form_of_json_gives_the_same_rows(tmp_path, monkeypatch, name, workers):
    monkeypatch.setattr(loading, "SPAN_BYTES", 1_000)
    monkeypatch.setattr(loading, "PART_BYTES", 5_000)
    monkeypatch.setattr(loading, "BYTES_A_WORKER", 1)
    monkeypatch.setattr(reading, "BLOCK", 700)
    (tmp_path / name).write_bytes(FORMS[name])
    assert load(tmp_path, name, workers=workers) == ([row["text"] for row in ROWS], [])
    assert list(reading.read_texts(tmp_path / name)) == [row["text"] for row in ROWS]


def test_several_files_and_a_folder_are_read_in_order(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("folder/wiki-00001.jsonl", "folder/wiki-00000.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(json.dumps({"text": name}))
    assert load(tmp_path, "folder", "b.jsonl")[0] == ["folder/wiki-00000.jsonl", "folder/wiki-00001.jsonl", "b.jsonl"]
    assert load(tmp_path, "folder", "b.jsonl", limit=2)[0] == ["folder/wiki-00000.jsonl", "folder/wiki-00001.jsonl"]


@pytest.mark.parametrize("bad, reason", [
    (b"{half", "not a JSON object"),
    (b"[1]", "it is list"),
    (b"\xff\xfe", "not UTF-8"),
    (b"[" * 100_000, "not a JSON object"),
    (b'{"text": 5}', "not a JSON object with"),
    (b'{"text": null}', "not a JSON object with"),
    (b"1" * 5_000, "not a JSON object"),
])  # fmt: skip
def test_a_bad_row_is_counted_named_and_left_out(tmp_path, bad, reason):
    rows = lines(ROWS).split(b"\n")
    rows[40:40] = [bad, b"", bad]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(rows))
    texts, (kind,) = load(tmp_path, "a.jsonl")
    assert texts == [row["text"] for row in ROWS]
    assert kind["rows"] == 2 and kind["first"] == "a.jsonl:41" and reason in kind["reason"]


@pytest.mark.parametrize("row", [{"sections": [None]}, {"sections": "text"}, {"title": 5}, {"summary": ["a"]},
                                 {"sections": [{"content": 3}]}, {"text": {}}])  # fmt: skip
def test_a_row_that_is_no_document_says_why(row):
    with pytest.raises(reading.Unusable, match="not a document"):
        reading.document({"title": "泉州", "summary": "城市。", **row}, "a.json:1")


def test_more_than_one_bad_row_in_a_hundred_ends_the_run_with_the_first_of_each_kind(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS) + b'\n{"text": 1}' * 3 + b"\n{half" * 2)
    with pytest.raises(CourseError, match=r"a.jsonl:301: .*\(3 such\); a.jsonl:304: .*5 of 305 rows .*more than 1%"):
        load(tmp_path, "a.jsonl")


def test_an_array_that_breaks_names_the_line(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1)[:-400])
    with pytest.raises(CourseError, match=r"a.json:\d{3}: not a JSON array from here on"):
        load(tmp_path, "a.json")
    (tmp_path / "b.json").write_bytes(b'[{"text": "\xff"}]')
    with pytest.raises(CourseError, match="b.json:1: bytes that are not UTF-8"):
        load(tmp_path, "b.json")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cut_off_gz_is_named(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(loading, "BYTES_A_WORKER", 1)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS))[:-200])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(ROWS)))
    with pytest.raises(CourseError, match="^a.jsonl.gz is damaged or cut off .*fetch it again"):
        load(tmp_path, "b.jsonl.gz", "a.jsonl.gz", workers=workers)


@pytest.mark.parametrize("name, content", [
    ("a.json", b"[]"), ("a.jsonl", b"\n\n \n"), ("a.jsonl", b""), ("a.jsonl.gz", gzip.compress(b"", mtime=0)),
])  # fmt: skip
def test_files_without_a_row_give_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "z.jsonl").write_bytes(lines(ROWS))
    assert load(tmp_path, name) == ([], [])
    assert len(load(tmp_path, name, "z.jsonl")[0]) == len(ROWS)


def test_a_folder_without_rows_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no rows here")
    with pytest.raises(CourseError, match="is missing: name a file with rows, or a folder of .jsonl files"):
        reading.files([str(tmp_path)])


def test_half_a_character_becomes_the_replacement_character(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\\ud800a\\ud83d\\ude00"}')
    assert load(tmp_path, "a.jsonl")[0] == ["\ufffda\U0001f600"]


def test_what_was_read_is_not_read_again_until_the_file_changes(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    first = load(tmp_path, "a.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(reading, "objects", None)
        assert load(tmp_path, "a.jsonl") == first
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS[:7]))
    assert len(load(tmp_path, "a.jsonl")[0]) == 7


def test_rows_are_mapped_from_disk_and_not_held(tmp_path):
    text = "北京" * 2_000
    (tmp_path / "a.jsonl").write_bytes(lines([{"text": text}] * 5_000))
    before = psutil.Process().memory_full_info().uss
    rows, _ = loading.load_rows([tmp_path / "a.jsonl"], reading.plain_text, ("text",), tmp_path / "cache", title="a")
    assert rows.cache_files and rows.data.nbytes > 5_000 * 10_000
    assert psutil.Process().memory_full_info().uss - before < rows.data.nbytes / 2


def test_bars_and_settings_of_datasets_stay_as_they_were(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    for switch, hidden in ((datasets.disable_progress_bars, True), (datasets.enable_progress_bars, False)):
        switch()
        load(tmp_path, "a.jsonl")
        assert datasets.utils.are_progress_bars_disabled() is hidden


def test_an_address_of_the_hub_is_fetched_and_read_like_a_file(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_bytes(lines(ROWS))
    asked = []
    monkeypatch.setattr(downloading, "fetch_from_hub", lambda *what: asked.append(what) or tmp_path / "a.json")
    address = "hf://datasets/shibing624/medical/pretrain/train_encyclopedia.json"
    rows, _ = loading.load_rows([address], reading.document, ("id", "text"), tmp_path / "cache", title="medical")
    assert rows[0] == {"id": "a.json:1", "text": ROWS[0]["text"]}
    assert asked == [("datasets/shibing624/medical", "pretrain/train_encyclopedia.json")]
    assert reading.files([Path("/home") / address]) == [tmp_path / "a.json"], "as a profile names it"
    with pytest.raises(CourseError, match="no file of the Hub: write hf://datasets/OWNER/NAME/FILE"):
        reading.files(["hf://shibing624/medical"])
