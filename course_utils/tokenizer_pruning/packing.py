"""Turn documents into token ids, and token ids into blocks without padding, as `datasets` that training maps to memory.

In comes a ``Dataset`` with a column ``text`` and a fast tokenizer; out comes one with ``input_ids``, a document a row
and each ended by the end-of-text token, or the same ids cut into blocks of equal length: a document may be cut in two,
a block may hold several, and no position is padding. Ids are 16 bits, 32 for vocabularies above 65,536.

The one idea: between two characters that stand side by side in no piece, no token can reach across. So we may cut there
before we tokenize; the bits are short, come again and again, and the same bit always has the same ids: each is given to
the tokenizer once and then looked up. Ids go to Arrow as arrays and never become Python's lists. Both together make
``Dataset.map`` several times as fast as with a plain call of the tokenizer: ``benchmarks/tokenization.py``.

Cost: some millions of tokens a second and core; on disk two bytes a token, twice while blocks are made.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts
from ..corpora import loading, reading
from ..errors import CourseError
from ..progress import Line
from .fast_tokenizers import bare, load_tokenizer
from .sentencepiece_models import SPACE

if TYPE_CHECKING:
    from datasets import Dataset

DOCUMENTS_AT_ONCE = 1_000  # that are encoded or packed together
BITS_REMEMBERED = 1_000_000  # some 200 MB
SCRATCH = "scratch"  # the folder of rows and ids, while `tokenize_files` runs
CUT = 0xFDD0  # a code point that Unicode sets aside for programs and never gives to a character


class Encoder:
    """Documents -> the bytes of each one's ids and of the end-of-text token. It remembers the bits that it has met.

    It has a tokenizer of its own, without the padding and truncation that earlier calls may have left in the one it is
    made from; ``</s>`` in a document is text to it and ends nothing. Sent to another process, it forgets.
    """

    def __init__(self, tokenizer):
        self.rust = bare(tokenizer)
        self.dtype = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
        self.end = self.dtype(tokenizer.eos_token_id).tobytes()
        self.__setstate__({})

    def __getstate__(self) -> dict:
        return {"rust": self.rust, "dtype": self.dtype, "end": self.end}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self.rust.encode_special_tokens = True  # which is lost on the way to another process
        self._cut, self._ids = _cutter(self.rust), {}
        self._most = DOCUMENTS_AT_ONCE if _normalises(self.rust) else BITS_REMEMBERED  # where a bit is a whole document

    def __call__(self, documents: list[str]) -> list[bytes]:
        if not documents:
            return []
        bits, ends = self._cut(documents)
        try:
            found = list(map(self._ids.__getitem__, bits))
        except KeyError:  # a new one
            if len(self._ids) > self._most:
                self._ids.clear()
            self._learn(list(set(bits) - self._ids.keys()))
            found = list(map(self._ids.__getitem__, bits))
        return [b"".join(found[start:stop]) + self.end for start, stop in pairwise([0, *ends])]

    def _learn(self, bits: list[str]) -> None:
        # `encode_batch_fast` leaves out the offsets of each token in its text, which nobody needs here.
        encodings = self.rust.encode_batch_fast(bits, add_special_tokens=False)
        ids = (np.array(encoding.ids, self.dtype).tobytes() for encoding in encodings)
        self._ids.update(zip(bits, ids, strict=True))

    def table(self, table):
        """A table of Arrow with ``text`` -> one with ``input_ids``, for ``loading.mapped``."""
        import pyarrow as pa

        documents = self(table["text"].to_pylist())
        ids = np.frombuffer(b"".join(documents), self.dtype)
        ends = np.cumsum([0, *map(len, documents)], dtype=np.int32) // ids.itemsize
        return pa.table({"input_ids": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(ids))})

    def fingerprint(self, title: str, inputs: dict[str, str]) -> str:
        """What names the ids that this tokenizer and this code make of inputs with these hashes."""
        settings = {"tokenizer": self.rust.to_str(), "end": self.end.hex(), "code": artifacts.code_version(__file__)}
        return artifacts.fingerprint(title, settings, inputs)


def _normalises(rust) -> bool:
    return "Precompiled" in str(rust.normalizer)


def _cutter(rust) -> Callable[[list[str]], tuple[list[str], list[int]]]:
    """-> a function: documents -> (bits of all documents in order, the number of bits up to the end of each document).

    It cuts between two characters that stand side by side in no piece. A table of hashes says which do; two pairs may
    share a hash, then a bit is longer than it need be, never too short. A model that normalises text may join what
    was cut: its documents stay whole.
    """
    if _normalises(rust):
        return lambda documents: (documents, list(range(1, len(documents) + 1)))

    def pair_hash(left, right):
        return (left * np.uint32(0x9E3779B1) ^ right * np.uint32(0x85EBCA77)) >> np.uint32(12)  # xxHash's primes

    joins = np.zeros(2**20, bool)
    # The name of a byte piece, such as <0x41>, is no text; its digits would keep every number whole.
    pieces = (piece for piece in rust.get_vocab() if not re.fullmatch("<0x[0-9A-F]{2}>", piece))
    pairs = {piece[i : i + 2] for piece in pieces for i in range(len(piece) - 1)}
    codes = _codes("".join(pairs))
    joins[pair_hash(codes[::2], codes[1::2])] = True

    def cut(documents: list[str]) -> tuple[list[str], list[int]]:
        codes = _codes("".join(documents).replace(" ", SPACE))
        ends = np.cumsum([len(document) for document in documents])
        starts_bit = np.ones(len(codes), bool)
        starts_bit[1:] = ~joins[pair_hash(codes[:-1], codes[1:])]
        starts_bit[ends[ends < len(codes)]] = True
        count = np.cumsum(starts_bit)  # bits that start up to here
        spaced = np.full(len(codes) + count[-1] if len(codes) else 0, CUT, np.uint32)
        spaced[np.arange(len(codes)) + count] = codes
        bits = spaced.tobytes().decode("utf-32-le").split(chr(CUT))[1:]
        return bits, [int(count[end - 1]) if end else 0 for end in ends]

    return cut


def _codes(text: str):
    """The code points of a text, uint32. The sign for cuts would be taken for one: it becomes U+FFFD, as does half a
    character (a lone surrogate)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    foreign = (codes == CUT) | ((codes >= 0xD800) & (codes < 0xE000))
    return np.where(foreign, np.uint32(0xFFFD), codes) if foreign.any() else codes


def tokenize_dataset(
    dataset: "Dataset", tokenizer, folder: Path, *, title: str, inputs: dict[str, str], workers: int | None = None
) -> "Dataset":
    """A ``Dataset`` with ``text`` -> one with ``input_ids``, a document a row, by ``workers`` processes (one a core).

    Its files lie in ``folder``; a run that was killed goes on there, and the number of workers changes no id.
    ``inputs`` are the hashes of what the dataset is made of.
    """
    from datasets import List, Value

    encoder = Encoder(tokenizer)
    mark, ids = encoder.fingerprint(f"tokens of {title}", inputs), List(Value(np.dtype(encoder.dtype).name))
    how = {"title": f"tokenizing {title}", "fingerprint": mark, "features": {"input_ids": ids}, "workers": workers}
    return loading.mapped(dataset, encoder.table, folder, count="input_ids", **how)


def pack_dataset(tokens: "Dataset", block_size: int, folder: Path, *, title: str, fingerprint: str) -> "Dataset":
    """A tokenized ``Dataset`` -> one whose rows are blocks, ``input_ids`` of ``block_size`` ids each.

    The documents are joined in order; what is left at the end and fills no block is dropped.
    """
    import pyarrow as pa
    from datasets import Features, List

    ids = tokens.features["input_ids"].feature
    rest, done = np.zeros(0, ids.dtype), 0

    def cut(batch):
        nonlocal rest, done
        joined = np.concatenate([rest, *(chunk.flatten().to_numpy() for chunk in batch["input_ids"].chunks)])
        whole = len(joined) // block_size * block_size
        rest, done = joined[whole:], done + len(batch)
        line.update(done)
        return pa.table({"input_ids": pa.FixedSizeListArray.from_arrays(pa.array(joined[:whole]), block_size)})

    mark = f"{fingerprint}-{block_size}"
    how = {"cache_file_name": str(folder / f"{mark}.arrow"), "new_fingerprint": mark, "batch_size": DOCUMENTS_AT_ONCE,
           "features": Features({"input_ids": List(ids, length=block_size)})}  # fmt: skip
    with Line(f"packing {title}", len(tokens)) as line, loading.quiet_workers():
        # One process: each block begins where the last one ends.
        blocks = tokens.with_format("arrow").map(cut, batched=True, remove_columns=tokens.column_names, **how)
    return blocks.with_format(None)


def pack(tokenizer, texts: Iterable[str], block_size: int):
    """Join texts in memory, each ended by the end-of-text token, and cut them into blocks.

    -> array of shape ``(blocks, block_size)``; the last, incomplete block is dropped.
    """
    encode, texts = Encoder(tokenizer), iter(texts)
    batches = iter(lambda: list(islice(texts, DOCUMENTS_AT_ONCE)), [])
    ids = np.frombuffer(b"".join(chain.from_iterable(map(encode, batches))), encode.dtype)
    count = len(ids) // block_size
    return ids[: count * block_size].reshape(count, block_size)


def tokenize_files(
    files: Sequence[Path], out: Path, tokenizer: Path, *, workers: int | None = None, force: bool = False
) -> artifacts.Manifest:
    """Tokenize text files to a ``Dataset`` in ``out`` (``datasets.load_from_disk``): ``input_ids``, a document a row.

    ``.json`` and ``.jsonl`` files give the ``text`` of each row, others each line. A killed run goes on where it was.
    Rows without a text are left out and reported. Raises CourseError when a file or the tokenizer's folder is missing,
    and where more than one row in a hundred is of no use.
    """
    if not (tokenizer / "tokenizer.json").is_file():
        raise CourseError(f"{artifacts.shown(tokenizer)} holds no tokenizer.json: name a folder of prune-tokenizer")
    paths = reading.files(files)

    def make(folder: Path) -> dict:
        title = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
        scratch, how = folder / SCRATCH, {"title": title, "workers": workers}
        rows, left_out = loading.load_rows(paths, reading.plain_text, ("text",), scratch, **how)
        inputs = {str(path): artifacts.sha256(path) for path in paths}
        if not len(rows):
            raise CourseError(f"{title}: no text in it: name files with texts")
        tokens = tokenize_dataset(rows, load_tokenizer(tokenizer), scratch, inputs=inputs, **how)
        with loading.quiet_workers():
            tokens.save_to_disk(str(folder))
        batches = tokens.with_format("arrow").iter(DOCUMENTS_AT_ONCE)
        count = sum(len(chunk.flatten()) for batch in batches for chunk in batch["input_ids"].chunks)
        return {"documents": len(tokens), "tokens": count} | ({"left_out": left_out} if left_out else {})

    settings = {"code": artifacts.code_version(__file__, reading.__file__, loading.__file__)}
    return artifacts.build(
        out, make, stage="tokenization", settings=settings, inputs=[tokenizer, *paths], resumable=True, force=force,
        scratch=(SCRATCH,),
    )  # fmt: skip
