"""A corpus becomes one stream of ids: in order, in one pass, and the same when the work was killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil  # accelerate brings it
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import corpus_tokenization as corpora
from course_utils import tokenizer_pruning as pruning
from course_utils.corpora import read_texts
from course_utils.errors import CourseError

from .conftest import REPOSITORY
from .test_fast_tokenizers import TEXTS, pair


@pytest.fixture(scope="module")
def tokenizer():
    model = pruning.load_model(REPOSITORY / "data/tokenizer/multilingual.model")
    return pruning.fast_tokenizer(pruning.prune(model, {"name"})[0])


def documents(count: int) -> list[str]:
    return [f"第{i}号文件：北京是中国的首都。" * (1 + i % 3) for i in range(count)]


def ids_by_hand(tokenizer, texts) -> list[int]:
    return [i for text in texts for i in (*tokenizer(text, add_special_tokens=False)["input_ids"], 2)]


def test_documents_stay_in_order_over_batches(tokenizer, monkeypatch):
    monkeypatch.setattr(corpora, "DOCUMENTS_AT_ONCE", 7)
    (stream,) = corpora.streams(tokenizer, documents(50), [None])
    assert stream.dtype == np.uint16
    assert stream.tolist() == ids_by_hand(tokenizer, documents(50))


def test_numbers_are_cut_into_digits_and_a_phrase_is_not(tokenizer):
    cut = corpora._cutter(tokenizer.backend_tokenizer)
    bits, ends = cut(["2026年", "", "北京的特色美食有"])
    assert bits[:5] == list("2026年") and "".join(bits[5:]) == "北京的特色美食有"
    assert ends == [5, 5, len(bits)] and "的特色美食有" in bits


def test_one_pass_sends_documents_to_several_streams(tokenizer, tmp_path):
    texts, reads = documents(30), []
    paths = [tmp_path / "a.tokens", tmp_path / "b.tokens"]
    once = (reads.append(text) or text for text in texts)
    kept, out = corpora.streams(tokenizer, once, paths, lambda i: int(i % 10 == 0))
    assert reads == texts
    assert out.tolist() == ids_by_hand(tokenizer, texts[::10])
    assert kept.tolist() == ids_by_hand(tokenizer, [text for i, text in enumerate(texts) if i % 10])
    assert isinstance(kept, np.memmap)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tokens", "b.tokens"]


@pytest.mark.parametrize("stop", [0, 3, 17, 39])
def test_a_stopped_run_ends_with_the_same_bytes(tokenizer, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(corpora, "DOCUMENTS_AT_ONCE", 5)
    texts = documents(40)
    whole, halves = [[folder / "a.tokens", folder / "b.tokens"] for folder in (tmp_path / "1", tmp_path / "2")]
    for paths in (whole, halves):
        paths[0].parent.mkdir()

    def broken():
        yield from texts[:stop]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpora.streams(tokenizer, broken(), halves, lambda i: i % 2)
    assert not any(path.exists() for path in halves)
    with halves[0].with_name("a.tokens.partial").open("ab") as file:
        file.write(b"half a document")  # as a killed process leaves it
    for paths in (halves, whole):
        corpora.streams(tokenizer, texts, paths, lambda i: i % 2)
    assert [path.read_bytes() for path in halves] == [path.read_bytes() for path in whole]


def test_a_run_killed_between_two_renamings_is_finished(tokenizer, tmp_path):
    paths = [tmp_path / "a.tokens", tmp_path / "b.tokens"]
    corpora.streams(tokenizer, documents(9), paths, lambda i: i % 2)
    before = [path.read_bytes() for path in paths]
    paths[1].replace(tmp_path / "b.tokens.partial")
    mark = {"documents": 9, "place": 9, "ends": [len(content) for content in before]}
    (tmp_path / "a.tokens.journal").write_text(json.dumps(mark))
    corpora.streams(tokenizer, documents(9), paths, lambda i: i % 2)
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 2


def write_rows(path, texts) -> None:
    rows = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture
def small_spans(monkeypatch):
    """Work for several processes in files of some kilobytes."""
    monkeypatch.setattr(corpora, "SPAN_BYTES", 2_000)
    monkeypatch.setattr(corpora, "BYTES_A_WORKER", 1)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_byte(tokenizer, tmp_path, small_spans, workers):
    texts = [*documents(300), "", "没有换行的最后一行"]
    write_rows(tmp_path / "a.jsonl", texts[:200])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    write_rows(tmp_path / "b.jsonl", texts[200:])
    files = [tmp_path / name for name in ("a.jsonl", "empty.jsonl", "b.jsonl")]
    paths = [tmp_path / "kept.tokens", tmp_path / "out.tokens"]
    kept, out = corpora.file_streams(tokenizer, files, paths, lambda i: int(i % 7 == 0), title="a", workers=workers)
    assert out.tolist() == ids_by_hand(tokenizer, texts[::7])
    assert kept.tolist() == ids_by_hand(tokenizer, [text for i, text in enumerate(texts) if i % 7])
    lines = tmp_path / "lines.txt"
    lines.write_text("\n\n".join(texts), encoding="utf-8")
    (stream,) = corpora.file_streams(tokenizer, [lines], [None], title="b", workers=workers)
    assert stream.tolist() == ids_by_hand(tokenizer, lines.read_text(encoding="utf-8").splitlines(keepends=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_line_far_inside_a_file_is_named(tokenizer, tmp_path, small_spans, workers):
    write_rows(tmp_path / "a.jsonl", documents(300))
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'\n\n{"text": null}\n{"text": "a"}\n')
    with pytest.raises(CourseError, match='a.jsonl:302: not a JSON object with "text": mend or remove the line'):
        corpora.file_streams(tokenizer, [tmp_path / "a.jsonl"], [None], title="a", workers=workers)


def test_a_small_corpus_starts_no_process(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("joblib.Parallel", None)
    write_rows(tmp_path / "a.jsonl", documents(300))
    (stream,) = corpora.file_streams(tokenizer, [tmp_path / "a.jsonl"], [None], title="a", workers=8)
    assert stream.tolist() == ids_by_hand(tokenizer, documents(300))


COMMAND = """
from course_utils import cli, corpus_tokenization
corpus_tokenization.SPAN_BYTES, corpus_tokenization.BYTES_A_WORKER = 20_000, 1
cli.main()
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_command_goes_on_where_it_was(tokenizer, tmp_path, workers):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    write_rows(tmp_path / "corpus.jsonl", documents(60_000))

    def start(out: str, workers: int) -> subprocess.Popen:
        options = ["-i", "corpus.jsonl", "-o", out, "-t", "tokenizer", "-w", str(workers)]
        command = [sys.executable, "-c", COMMAND, "tokenize", *options]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, env={**os.environ})

    killed, deadline = start("a", workers), time.monotonic() + 60
    while not (journals := list(tmp_path.glob(".a.unfinished-*/*.journal"))):
        assert killed.poll() is None and time.monotonic() < deadline, "no batch was finished"
        time.sleep(0.01)
    children = psutil.Process(killed.pid).children(recursive=True)
    assert len(children) >= (workers if workers > 1 else 0)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not psutil.wait_procs(children, timeout=20)[1], "workers outlive the command"
    assert 0 < json.loads(journals[0].read_text())["documents"] < 60_000
    assert not (tmp_path / "a").exists()
    for out, other in (("a", workers), ("b", 3 - workers)):
        assert start(out, other).wait() == 0
    assert (tmp_path / "a/corpus.tokens").read_bytes() == (tmp_path / "b/corpus.tokens").read_bytes()
    about = json.loads((tmp_path / "a/corpus.json").read_text())
    stream = np.memmap(tmp_path / "a/corpus.tokens", about["dtype"], "r")
    assert about["tokens"] == len(stream) and (stream == about["end_of_text"]).sum() == 60_000


@pytest.mark.parametrize("name", ["embedded", "real", "bpe", "unigram", "bpe-nmt_nfkc"])
@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
def test_cutting_before_tokenizing_changes_no_id(name, texts):
    fast, _ = pair(name)
    texts = [text.replace("\ufdd0", "") for text in texts]
    whole = [fast(text, add_special_tokens=False)["input_ids"] + [fast.eos_token_id] for text in texts]
    cut = [np.frombuffer(ids, np.uint16).tolist() for batch in corpora.tokenize(fast, texts) for ids in batch]
    if name == "unigram":  # cuts of equal probability
        whole, cut = [list(map(sorted, documents)) for documents in (whole, cut)]
    assert cut == whole


def test_what_no_text_holds_becomes_the_replacement_character(tokenizer):
    (stream,) = corpora.streams(tokenizer, ["北\ufdd0京\ud800"], [None])
    assert tokenizer.decode(stream[:-1].tolist()) == "北\ufffd京\ufffd"


def test_text_files_and_their_errors(tmp_path):
    (tmp_path / "a.txt").write_text("一行\n二行\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "好"}\n', encoding="utf-8")
    assert list(read_texts(tmp_path / "a.txt")) == ["一行\n", "二行\n"]
    assert list(read_texts(tmp_path / "a.jsonl")) == ["好"]
    for name, content in (("b.txt", "好".encode("gbk")), ("b.jsonl", b"[]"), ("c.jsonl", b"{}"), ("d.jsonl", b"{")):
        (tmp_path / name).write_bytes(content + b"\n")
        with pytest.raises(CourseError, match=f"{name}:1: not"):
            list(read_texts(tmp_path / name))
    with pytest.raises(CourseError, match="gone.txt is missing"):
        list(read_texts(tmp_path / "gone.txt"))


def test_a_vocabulary_above_65536_takes_four_bytes(tokenizer):
    class Large:
        eos_token_id, backend_tokenizer, get_vocab = 70_000, tokenizer.backend_tokenizer, tokenizer.get_vocab

        def __len__(self):
            return 70_001

    (stream,) = corpora.streams(Large(), ["北京"], [None])
    assert stream.dtype == np.uint32 and stream[-1] == 70_000
