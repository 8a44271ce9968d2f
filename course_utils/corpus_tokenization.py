"""Turn documents into one long stream of token ids, fast, in a file that training maps to memory.

In come texts and a fast tokenizer; out comes a flat file of 16-bit ids (32-bit for vocabularies above 65,536), each
document ended by the end-of-text token. A document may be sent to one of several streams: that is how some are held
out without reading the corpus twice.

Two ideas. First: between two characters that stand side by side in no piece, no token can reach across. So we may cut
there before we tokenize; the bits are short, come again and again, and the same bit always has the same ids: each is
given to the tokenizer once and then looked up. Second: write down after each batch how far every stream has come. A
killed run cuts its files back to the last such mark and goes on there, so it ends with the same bytes.

Texts that lie in files are spread over processes. To send a text there would take longer than to look its bits up, so
a worker is sent no text: only which bytes of which file to read. It gives ids back, less than half as much.

Cost: some millions of tokens a second and core, ``benchmarks/tokenization.py`` measures it; two bytes a token on disk.
"""

import io
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from . import artifacts
from .corpora import read_texts
from .errors import CourseError
from .fast_tokenizers import load_tokenizer
from .progress import Line
from .sentencepiece_models import SPACE

DOCUMENTS_AT_ONCE = 1_000  # a batch; a killed run loses one at most
BITS_REMEMBERED = 1_000_000  # some 200 MB
SPAN_BYTES = 2 * 2**20  # of a file, for a worker at a time; a killed run loses one a worker
BYTES_A_WORKER = 16 * 2**20  # half a second of work, which is what a process takes to start: not for less
IDLE_SECONDS = 60  # then a worker ends: the next corpus still finds it, and training soon has its memory
CUT = 0xFDD0  # a code point that Unicode sets aside for programs and never gives to a character

Span = tuple[Path, int, int]  # a file, the byte where a line starts, the byte behind the end of a line
_encode: Callable[[list[str]], list[bytes]]  # in a worker process: its encoder, see ``_start_worker``


def dtype(tokenizer):
    """The smallest numpy type that holds every id of the tokenizer: uint16, or uint32 above 65,536 tokens."""
    import numpy as np

    return np.uint16 if len(tokenizer) <= 2**16 else np.uint32


def _end(tokenizer):
    """The end-of-text token, a number of the type that all ids are written in."""
    return dtype(tokenizer)(tokenizer.eos_token_id)


def tokenize(tokenizer, texts: Iterable[str]) -> Iterator[list[bytes]]:
    """-> batches of documents, each the bytes of its ids (of ``dtype``) and of the end-of-text token, in order.

    In this process; new bits are tokenized on all cores. For texts that lie in files ``file_streams`` has processes.
    """
    texts, encode = iter(texts), _encoder(tokenizer.backend_tokenizer, _end(tokenizer))
    yield from map(encode, iter(lambda: list(islice(texts, DOCUMENTS_AT_ONCE)), []))


def _encoder(rust, end) -> Callable[[list[str]], list[bytes]]:
    """-> a function: documents -> the bytes of each. It remembers the ids of the bits that it has met.

    ``rust`` is the tokenizer of the library in Rust, ``end`` the end-of-text token as ``_end`` gives it.
    """
    import numpy as np

    kind, end = end.dtype, end.tobytes()
    cut = _cutter(rust)
    ids: dict[str, bytes] = {}

    def learn(bits: list[str]) -> None:
        # `encode_batch_fast` leaves out the offsets of each token in its text, which nobody needs here.
        encodings = rust.encode_batch_fast(bits, add_special_tokens=False)
        ids.update((bit, np.array(found.ids, kind).tobytes()) for bit, found in zip(bits, encodings, strict=True))

    def encode(documents: list[str]) -> list[bytes]:
        bits, ends = cut(documents)
        try:
            found = list(map(ids.__getitem__, bits))
        except KeyError:  # a new one
            if len(ids) > BITS_REMEMBERED:
                ids.clear()
            learn(list(set(bits) - ids.keys()))
            found = list(map(ids.__getitem__, bits))
        return [b"".join(found[start:stop]) + end for start, stop in pairwise([0, *ends])]

    return encode


def _cutter(rust) -> Callable[[list[str]], tuple[list[str], list[int]]]:
    """-> a function: documents -> (bits of all documents in order, the number of bits up to the end of each document).

    It cuts between two characters that stand side by side in no piece. A table of hashes says which do; two pairs may
    share a hash, then a bit is longer than it need be, never too short. A model that normalises text may join what
    was cut: its documents stay whole.
    """
    import numpy as np

    if "Precompiled" in str(rust.normalizer):
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
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    foreign = (codes == CUT) | ((codes >= 0xD800) & (codes < 0xE000))
    return np.where(foreign, np.uint32(0xFFFD), codes) if foreign.any() else codes


# ------------------------------------------------------------------ streams

# A source is asked to go on from a place and gives (documents as bytes, the place behind them). A place is a number
# that grows: of documents where the texts are in memory, of bytes where they lie in files.
Source = Callable[[int], Iterator[tuple[list[bytes], int]]]


def streams(
    tokenizer,
    texts: Iterable[str],
    paths: Sequence[Path | None],
    which: Callable[[int], int] = lambda i: 0,
) -> list:
    """Tokenize the texts into streams, document ``i`` into stream ``which(i)``. -> an array ``(tokens,)`` a stream.

    With paths the streams are files, mapped to memory: a corpus may be larger than it. Files that are finished are
    used again; unfinished ones of a killed run are gone on with, ``texts`` being the same.
    """

    def source(done: int) -> Iterator[tuple[list[bytes], int]]:
        for documents in tokenize(tokenizer, islice(texts, done, None)):
            done += len(documents)
            yield documents, done

    return _streams(source, dtype(tokenizer), paths, which)


def file_streams(
    tokenizer,
    files: Sequence[Path],
    paths: Sequence[Path | None],
    which: Callable[[int], int] = lambda i: 0,
    *,
    title: str,
    workers: int | None = None,
) -> list:
    """As ``streams``, of the texts in files (``corpora.read_texts``), by ``workers`` processes (default: one a core).

    The result is the same whatever their number. A line shows progress and tokens a second under the title.
    Raises CourseError for a file that is missing and for a line that cannot be read, with file and line.
    """
    for path in files:
        if not path.is_file():
            raise CourseError(f"{artifacts.shown(path)} is missing: name a .jsonl or text file")
    size = sum(path.stat().st_size for path in files)
    source = partial(_from_files, tokenizer, files, workers or os.cpu_count() or 1)
    return _streams(source, dtype(tokenizer), paths, which, title, size)


def _streams(source: Source, kind: type, paths: Sequence[Path | None], which, title: str = "", total: int = 0) -> list:
    import numpy as np

    if None in paths:
        files = [io.BytesIO() for _ in paths]
        _write(source, kind, files, which, None, title, total)
        return [np.frombuffer(file.getvalue(), kind) for file in files]
    journal = paths[0].with_name(f"{paths[0].name}.journal")
    if not all(path.exists() for path in paths):
        unfinished = [path.with_name(f"{path.name}.partial") for path in paths]
        for path, partial_file in zip(paths, unfinished, strict=True):
            if path.exists():  # killed between two of the renamings below
                path.replace(partial_file)
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("r+b" if path.exists() else "w+b")) for path in unfinished]
            _write(source, kind, files, which, journal, title, total)
        for path, partial_file in zip(paths, unfinished, strict=True):
            partial_file.replace(path)
    journal.unlink(missing_ok=True)
    return [np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind) for path in paths]


def _write(source: Source, kind: type, files: list[BinaryIO], which, journal: Path | None, title, total) -> None:
    done, place, ends = _last_mark(journal, files)
    for file, end in zip(files, ends, strict=True):
        file.seek(end)
        file.truncate()
    started, written, width = time.perf_counter(), 0, kind().itemsize
    with Line(f"tokenizing {title}", total, place) if title else nullcontext() as line:
        for documents, reached in source(place):
            for document in documents:
                files[which(done)].write(document)
                done, written = done + 1, written + len(document)
            if journal:
                for file in files:
                    file.flush()
                ends = [file.tell() for file in files]
                artifacts.write_json(journal, {"documents": done, "place": reached, "ends": ends})
            if line:
                rate = written / width / (time.perf_counter() - started)
                line.update(reached, f"tokenizing {title} · {rate:,.0f} tokens/s")


def _last_mark(journal: Path | None, files: list[BinaryIO]) -> tuple[int, int, list[int]]:
    """-> (documents done, place in the source, end of each file in bytes) by the journal of a killed run, or the
    start of everything."""
    if journal and journal.exists():
        mark = json.loads(journal.read_text(encoding="utf-8"))
        if all(file.seek(0, io.SEEK_END) >= end for file, end in zip(files, mark["ends"], strict=True)):
            return mark["documents"], mark["place"], mark["ends"]
    return 0, 0, [0] * len(files)


# ------------------------------------------------------------------ files, by several processes


def _from_files(tokenizer, files: Sequence[Path], workers: int, place: int) -> Iterator[tuple[list[bytes], int]]:
    """The source of ``file_streams``: its places are bytes, all files counted as one."""
    spans = list(_spans(files, place))
    left = sum(end - first for _, first, end in spans)
    encoded = _encoded(tokenizer, spans, max(1, min(workers, left // BYTES_A_WORKER)))
    for documents, (_, first, end) in zip(encoded, spans, strict=True):
        place += end - first
        yield documents, place


def _spans(files: Sequence[Path], place: int) -> Iterator[Span]:
    """The files from a place on, some megabytes at a time, cut at line ends."""
    for path in files:
        size = path.stat().st_size
        first, place = place, max(0, place - size)
        with path.open("rb") as file:
            while first < size:
                file.seek(first + SPAN_BYTES)
                file.readline()  # to the end of the line
                end = min(file.tell(), size)
                yield path, first, end
                first = end


def _encoded(tokenizer, spans: Sequence[Span], workers: int) -> Iterator[list[bytes]]:
    """The documents of each span, in order. A worker is told where to read and reads for itself."""
    rust, end = tokenizer.backend_tokenizer, _end(tokenizer)
    if workers == 1:
        encode = _encoder(rust, end)
        return (encode(list(read_texts(*span))) for span in spans)
    from joblib import Parallel, delayed

    pool = Parallel(
        workers,
        batch_size=1,
        return_as="generator",
        idle_worker_timeout=IDLE_SECONDS,
        initializer=_start_worker,
        initargs=(rust.to_str(), end, os.getpid()),
    )
    return pool(delayed(_encode_span)(span) for span in spans)


def _start_worker(rust: str, end, parent: int) -> None:
    """Make the encoder of this process, which all its spans share."""
    global _encode
    from tokenizers import Tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there is a process a core already
    _encode = _encoder(Tokenizer.from_str(rust), end)
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent was killed; joblib alone would let it wait for work for minutes."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _encode_span(span: Span) -> list[bytes]:
    return _encode(list(read_texts(*span)))


# ------------------------------------------------------------------ what training reads


def pack(tokenizer, texts: Iterable[str], block_size: int, path: Path | None = None):
    """Join documents, each ended by the end-of-text token, and cut them into blocks.

    -> array of shape ``(blocks, block_size)``; the last, incomplete block is dropped. With ``path`` the tokens are
    written there and memory-mapped, see ``streams``.
    """
    return blocks(streams(tokenizer, texts, [path])[0], block_size)


def blocks(stream, block_size: int):
    """A stream of tokens cut into blocks: a view ``(blocks, block_size)`` without the incomplete last one."""
    count = len(stream) // block_size
    return stream[: count * block_size].reshape(count, block_size)


def tokenize_files(
    files: Sequence[Path], out: Path, tokenizer: Path, *, workers: int | None = None, force: bool = False
) -> artifacts.Manifest:
    """Tokenize text files (``file_streams``) to ``out/corpus.tokens``; what the ids are is in ``out/corpus.json``.

    A killed run goes on where it was. Raises CourseError when a file or the tokenizer's folder is missing, and for
    a line that cannot be read.
    """
    if not (tokenizer / "tokenizer.json").is_file():
        raise CourseError(f"{artifacts.shown(tokenizer)} holds no tokenizer.json: name a folder of prune-tokenizer")

    def make(folder: Path) -> dict:
        loaded = load_tokenizer(tokenizer)
        title = files[0].name if len(files) == 1 else f"{len(files)} files"
        (stream,) = file_streams(loaded, files, [folder / "corpus.tokens"], title=title, workers=workers)
        about = {"dtype": stream.dtype.name, "tokens": len(stream), "end_of_text": loaded.eos_token_id}
        artifacts.write_json(folder / "corpus.json", about)
        return {"tokens": len(stream)}

    return artifacts.build(
        out,
        make,
        stage="corpus_tokenization",
        settings={},
        inputs=[tokenizer, *files],
        resumable=True,
        force=force,
    )
