"""A corpus becomes token ids and blocks: in order, the same for any number of workers, and when the work was killed."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from functools import cache

import datasets
import numpy as np
import psutil  # accelerate brings it
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import artifacts
from course_utils import tokenizer_pruning as pruning
from course_utils.corpora import loading
from course_utils.corpora.reading import read_texts
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import packing

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


def ids_of(tokenizer, texts) -> np.ndarray:
    return packing.pack(tokenizer, texts, 1)[:, 0]


def stream(tokens: datasets.Dataset) -> np.ndarray:
    return np.concatenate(tokens.with_format("numpy")["input_ids"][:])


def test_documents_stay_in_order_over_batches(tokenizer, monkeypatch):
    monkeypatch.setattr(packing, "DOCUMENTS_AT_ONCE", 7)
    ids = ids_of(tokenizer, documents(50))
    assert ids.dtype == np.uint16
    assert ids.tolist() == ids_by_hand(tokenizer, documents(50))


def test_numbers_are_cut_into_digits_and_a_phrase_is_not(tokenizer):
    cut = packing._cutter(tokenizer.backend_tokenizer)
    bits, ends = cut(["2026年", "", "北京的特色美食有"])
    assert bits[:5] == list("2026年") and "".join(bits[5:]) == "北京的特色美食有"
    assert ends == [5, 5, len(bits)] and "的特色美食有" in bits


def write_rows(path, texts) -> None:
    rows = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture
def small_parts(monkeypatch):
    """Work for several processes, in several parts, in files of some kilobytes."""
    monkeypatch.setattr(loading, "SPAN_BYTES", 2_000)
    monkeypatch.setattr(loading, "PART_BYTES", 9_000)
    monkeypatch.setattr(loading, "BYTES_A_WORKER", 1)


@pytest.fixture
def folder(tokenizer, tmp_path):
    """A folder with a tokenizer in it, to tokenize files with."""
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def tokenized(folder, *names: str, workers: int | None = None) -> datasets.Dataset:
    files = [folder / name for name in names]
    packing.tokenize_files(files, folder / "out", folder / "tokenizer", workers=workers, force=True)
    return datasets.load_from_disk(str(folder / "out"))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_id(tokenizer, folder, small_parts, workers):
    texts = [*documents(300), "", "没有换行的最后一行"]
    write_rows(folder / "a.jsonl", texts[:200])
    (folder / "empty.jsonl").write_bytes(b"")
    write_rows(folder / "b.jsonl", texts[200:])
    tokens = tokenized(folder, "a.jsonl", "empty.jsonl", "b.jsonl", workers=workers)
    assert tokens.features["input_ids"].feature.dtype == "uint16"
    assert stream(tokens).tolist() == ids_by_hand(tokenizer, texts)
    lines = folder / "lines.txt"
    lines.write_text("\n\n".join(texts), encoding="utf-8")
    tokens = tokenized(folder, "lines.txt", workers=workers)
    lines_read = lines.read_text(encoding="utf-8").splitlines(keepends=True)
    assert stream(tokens).tolist() == ids_by_hand(tokenizer, lines_read)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_line_far_inside_a_file_is_named_and_left_out(folder, small_parts, workers):
    write_rows(folder / "a.jsonl", documents(300))
    with (folder / "a.jsonl").open("ab") as file:
        file.write(b'\n\n{"text": null}\n{"text": "a"}\n')
    tokens = tokenized(folder, "a.jsonl", workers=workers)
    assert len(tokens) == 301
    summary = artifacts.read_manifest(folder / "out").summary
    assert summary["left_out"] == [{"reason": 'not a JSON object with "text"', "rows": 1, "first": "a.jsonl:302"}]
    (folder / "a.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    with pytest.raises(CourseError, match='a.jsonl:2: not a JSON object with "text".*mend or remove'):
        tokenized(folder, "a.jsonl", workers=workers)


def test_files_without_a_text_are_an_error(folder):
    (folder / "a.jsonl").write_bytes(b"\n")
    with pytest.raises(CourseError, match="a.jsonl: no text in it"):
        tokenized(folder, "a.jsonl")


def test_a_small_corpus_starts_no_process(tokenizer, folder, monkeypatch):
    monkeypatch.setattr("multiprocess.Pool", None)
    write_rows(folder / "a.jsonl", documents(300))
    assert stream(tokenized(folder, "a.jsonl", workers=8)).tolist() == ids_by_hand(tokenizer, documents(300))


def test_blocks_join_documents_in_order_and_are_mapped_from_disk(tokenizer, tmp_path):
    rows = datasets.Dataset.from_dict({"text": documents(2_500)})
    tokens = packing.tokenize_dataset(rows, tokenizer, tmp_path, title="a", inputs={})
    blocks = packing.pack_dataset(tokens, 64, tmp_path, title="a", fingerprint="blocks")
    assert np.array_equal(blocks.with_format("numpy")["input_ids"][:], packing.pack(tokenizer, documents(2_500), 64))
    assert blocks.cache_files and all(str(tmp_path) in file["filename"] for file in blocks.cache_files)


def test_what_other_calls_leave_in_a_tokenizer_changes_no_block(tokenizer):
    """Padding and truncation stay set in the Rust tokenizer after a call: blocks were four fifths padding once."""
    before = packing.pack(tokenizer, documents(40), 16)
    tokenizer(documents(40), padding=True, truncation=True, max_length=5)
    assert np.array_equal(packing.pack(tokenizer, documents(40), 16), before)
    assert tokenizer.backend_tokenizer.padding, "and the tokenizer stays as it was left"
    tokenizer("北京")


COMMAND = """
from course_utils import cli
from course_utils.corpora import loading
loading.SPAN_BYTES, loading.PART_BYTES, loading.BYTES_A_WORKER = 20_000, 200_000, 1
cli.main()
"""


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.trial), 2])
def test_a_killed_command_goes_on_where_it_was(folder, workers):
    write_rows(folder / "corpus.jsonl", documents(9_000))

    def start(out: str, workers: int) -> subprocess.Popen:
        options = ["-i", "corpus.jsonl", "-o", out, "-t", "tokenizer", "-w", str(workers)]
        command = [sys.executable, "-c", COMMAND, "tokenize", *options]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ})

    killed, deadline = start("a", workers), time.monotonic() + 120
    while not (parts := list(folder.glob(".a.unfinished-*/scratch/*.arrow"))):
        assert killed.poll() is None and time.monotonic() < deadline, "no part was finished"
        time.sleep(0.01)
    children = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not psutil.wait_procs(children, timeout=20)[1], "workers outlive the command"
    assert not (folder / "a").exists()
    for out, other in (("a", workers), ("b", 3 - workers)):
        assert start(out, other).wait() == 0
    first, second = (stream(datasets.load_from_disk(str(folder / out))) for out in "ab")
    assert np.array_equal(first, second) and parts
    summary = artifacts.read_manifest(folder / "a").summary
    assert summary == {"documents": 9_000, "tokens": len(first)} and (first == 2).sum() == 9_000


@cache
def encoder(name: str) -> packing.Encoder:
    return packing.Encoder(pair(name)[0])


@pytest.mark.parametrize("name", ["embedded", "real", "bpe", "unigram", "bpe-nmt_nfkc"])
@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
def test_cutting_before_tokenizing_changes_no_id(name, texts):
    fast, _ = pair(name)
    texts = [text.replace("\ufdd0", "") for text in texts]
    how = {"add_special_tokens": False, "split_special_tokens": True}
    whole = [fast(text, **how)["input_ids"] + [fast.eos_token_id] for text in texts]
    cut = [np.frombuffer(ids, np.uint16).tolist() for ids in encoder(name)(texts)]
    if name == "unigram":  # cuts of equal probability
        whole, cut = [list(map(sorted, documents)) for documents in (whole, cut)]
    assert cut == whole


def test_what_no_text_holds_becomes_the_replacement_character(tokenizer):
    ids = ids_of(tokenizer, ["北\ufdd0京\ud800"])
    assert tokenizer.decode(ids[:-1].tolist()) == "北\ufffd京\ufffd"


def test_the_end_of_a_text_stands_at_its_end_alone(tokenizer):
    texts = ["北京</s>是<s>首都", "<|user|>好"]
    sent = pickle.loads(pickle.dumps(packing.Encoder(tokenizer)))  # as to a worker
    for encode in (packing.Encoder(tokenizer), sent):
        for text, ids in zip(texts, encode(texts), strict=True):
            found = np.frombuffer(ids, encode.dtype)
            assert (found == tokenizer.eos_token_id).nonzero()[0].tolist() == [len(found) - 1]
            assert tokenizer.decode(found[:-1].tolist()) == text


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

    ids = ids_of(Large(), ["北京"])
    assert ids.dtype == np.uint32 and ids[-1] == 70_000
