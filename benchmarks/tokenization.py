"""What the course's tokenization of a corpus is worth against a slow tokenizer's way: one text at a time, in Python.

A slow ``transformers`` tokenizer calls SentencePiece with each text for a list of pieces, then looks up the id of each
piece. The fast one takes batches and returns ids; the course cuts the texts into bits and remembers the ids of each.
All read the same documents with the same pruned model, in turns, and must give the same ids; the best of three rounds
counts. The course's way is also timed on many times as much text: a corpus of millions of documents no longer has many
bits to learn. That text is the same again and again, which is kinder to a memory than a real corpus. Last as training
does it, from a file: there the time holds the reading of the file to Arrow, the start of the processes and what each
must learn.

    python benchmarks/tokenization.py [OLD.model WORDS.txt]      (default: the embedded tokenizer; a minute or two)
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizer

from course_utils import corpora, profiles
from course_utils.corpora.loading import load_rows
from course_utils.corpora.reading import plain_text
from course_utils.tokenizer_pruning import pack, prune, read_words, tokenize_dataset
from course_utils.tokenizer_pruning.fast_tokenizers import fast_tokenizer
from course_utils.tokenizer_pruning.sentencepiece_models import load_model, processor

ROUNDS = 3
TIMES = 20  # as much text in memory
FILE_TIMES = 60  # as much in a file: some 200 MB, still a small corpus


class Slow(PreTrainedTokenizer):
    """A slow tokenizer as model repositories ship them: SentencePiece behind transformers' Python methods."""

    def __init__(self, encoder, **marks):
        self.encoder = encoder
        super().__init__(**marks)

    @property
    def vocab_size(self) -> int:
        return self.encoder.vocab_size()

    def get_vocab(self) -> dict[str, int]:
        return {self.encoder.id_to_piece(i): i for i in range(self.vocab_size)}

    def _tokenize(self, text: str, **options) -> list[str]:
        return self.encoder.encode(text, out_type=str)

    def _convert_token_to_id(self, token: str) -> int:
        return self.encoder.piece_to_id(token)


def by_text(tokenizer: Slow, documents: list[str]) -> Iterable[np.ndarray]:
    for document in documents:
        ids = tokenizer(document, add_special_tokens=False)["input_ids"]
        yield np.array([*ids, tokenizer.eos_token_id], np.uint16)


def bare(encoder, documents: list[str]) -> Iterable[np.ndarray]:
    """SentencePiece alone, without transformers: pieces, then ids, one text at a time."""
    for document in documents:
        pieces = encoder.encode(document, out_type=str)
        yield np.array([*map(encoder.piece_to_id, pieces), encoder.eos_id()], np.uint16)


def in_batch(tokenizer, documents: list[str]) -> Iterable[np.ndarray]:
    for i in range(0, len(documents), 1_000):
        for encoding in tokenizer.backend_tokenizer.encode_batch_fast(documents[i : i + 1_000], False, False):
            yield np.array([*encoding.ids, tokenizer.eos_token_id], np.uint16)


def course(tokenizer, documents: Iterable[str]) -> Iterable[np.ndarray]:
    yield pack(tokenizer, documents, 1)[:, 0]


def from_file(tokenizer, path: Path, workers: int) -> Iterable[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        rows, _ = load_rows([path], plain_text, ("text",), Path(folder), title="text", workers=workers)
        tokens = tokenize_dataset(rows, tokenizer, Path(folder), title="text", inputs={}, workers=workers)
        for batch in tokens.with_format("arrow").iter(1_000):
            yield from (chunk.flatten().to_numpy() for chunk in batch["input_ids"].chunks)


def timed(way: Callable, *arguments) -> tuple[np.ndarray, float]:
    """-> (all ids, seconds)."""
    started = time.perf_counter()
    ids = np.concatenate(list(way(*arguments)))
    return ids, time.perf_counter() - started


def main(old: str | None = None, words: str | None = None) -> None:
    profile = profiles.load("cpu-mini")
    model = load_model(Path(old) if old else profile.tokenizer_model)
    pruned, _, _ = prune(model, read_words(Path(words) if words else profile.retain_words))
    encoder, fast = processor(pruned), fast_tokenizer(pruned)
    slow = Slow(encoder, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    documents = [text for name in ("wiki", "baike", "medical") for text in corpora.load_corpus(profile, name)["text"]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.jsonl"
        rows = [json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in documents]
        file.write_bytes("".join(rows).encode() * FILE_TIMES)
        ways = {
            "slow tokenizer, text by text": (by_text, slow, documents),
            "SentencePiece, text by text": (bare, encoder, documents),
            "fast tokenizer, in batch": (in_batch, fast, documents),
            "the course's tokenize": (course, fast, documents),
            f"the course's tokenize, {TIMES}× the text": (course, fast, documents * TIMES),
            f"from a file of {FILE_TIMES}× the text, 1 process": (from_file, fast, file, 1),
            f"the same, {os.cpu_count()} processes": (from_file, fast, file, os.cpu_count()),
        }
        report(documents, ways)


def report(documents: list[str], ways: dict[str, tuple]) -> None:
    """Time the ways in turns, hold their ids against each other, print tokens a second and the ratios."""
    rates, ids = {name: [] for name in ways}, {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            ids[name], seconds = timed(*way)
            rates[name].append(len(ids[name]) / seconds)
    first = ids["slow tokenizer, text by text"]
    for name, found in ids.items():
        assert np.array_equal(found, np.tile(first, len(found) // len(first))), f"{name} gives other ids"
    characters = sum(map(len, documents))
    print(f"{len(documents):,} documents, {characters:,} characters, {len(first):,} tokens; {os.cpu_count()} cores")
    print(f"{'':40}{'tokens/s':>12}{'ratio':>8}{'worst round':>14}")
    slowest = max(rates["slow tokenizer, text by text"])
    for name, found in rates.items():
        print(f"{name:40}{max(found):>12,.0f}{max(found) / slowest:>7.1f}×{min(found) / slowest:>13.1f}×")


if __name__ == "__main__":
    main(*sys.argv[1:])
