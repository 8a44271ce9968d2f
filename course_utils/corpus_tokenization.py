"""Turn documents into one long stream of token ids, as fast as the cores allow, in a file that training maps to memory.

In come texts and a fast tokenizer; out comes a flat file of 16-bit ids (32-bit for vocabularies above 65,536), each
document ended by the end-of-text token. A document may be sent to one of several streams: that is how some are held
out without reading the corpus twice.

The one idea: work in batches, and write down after each how far every stream has come. A killed run cuts its files
back to the last such mark and goes on there, so it ends with the same bytes. The Rust tokenizer spreads a batch over
all cores; while it works, one more thread hands it the next batch and this one writes the last.

Cost: about a million tokens a second and core, ``benchmarks/tokenization.py`` measures it; two bytes a token on disk.
"""

import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from . import artifacts
from .errors import CourseError
from .progress import Line
from .tokenizer_pruning import load_tokenizer, read_texts

DOCUMENTS_AT_ONCE = 1_000  # a batch; a killed run loses one at most


def dtype(tokenizer):
    """The smallest numpy type that holds every id of the tokenizer: uint16, or uint32 above 65,536 tokens."""
    import numpy as np

    return np.uint16 if len(tokenizer) <= 2**16 else np.uint32


def tokenize(tokenizer, texts: Iterable[str]) -> Iterator[list]:
    """-> batches of id arrays ``(tokens,)``, one a document, in order, each with the end-of-text token at its end."""
    import numpy as np

    texts, kind, end = iter(texts), dtype(tokenizer), tokenizer.eos_token_id
    # `encode_batch_fast` leaves out the offsets of each token in its text, which nobody needs here.
    encode = tokenizer.backend_tokenizer.encode_batch_fast

    def batches() -> Iterator:
        with ThreadPoolExecutor(1) as thread:
            ahead = None
            while batch := list(islice(texts, DOCUMENTS_AT_ONCE)):
                running = thread.submit(encode, batch, add_special_tokens=False)
                if ahead:
                    yield ahead.result()
                ahead = running
            if ahead:
                yield ahead.result()

    for encodings in batches():
        yield [np.array([*encoding.ids, end], kind) for encoding in encodings]


def streams(
    tokenizer,
    texts: Iterable[str],
    paths: Sequence[Path | None],
    which: Callable[[int], int] = lambda i: 0,
    *,
    title: str = "",
    total: int | None = None,
) -> list:
    """Tokenize the texts into streams, document ``i`` into stream ``which(i)``. -> an array ``(tokens,)`` a stream.

    With paths the streams are files, mapped to memory: a corpus may be larger than it. Files that are finished are
    used again; unfinished ones of a killed run are gone on with, ``texts`` being the same. With a ``title`` a line
    shows progress and tokens a second; ``total`` is the number of documents.
    """
    import numpy as np

    kind = dtype(tokenizer)
    if None in paths:
        files = [io.BytesIO() for _ in paths]
        _write(tokenizer, texts, files, which, None, title, total)
        return [np.frombuffer(file.getvalue(), kind) for file in files]
    journal = paths[0].with_name(f"{paths[0].name}.journal")
    if not all(path.exists() for path in paths):
        unfinished = [path.with_name(f"{path.name}.partial") for path in paths]
        for path, source in zip(paths, unfinished, strict=True):
            if path.exists():  # killed between two of the renamings below
                path.replace(source)
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("r+b" if path.exists() else "w+b")) for path in unfinished]
            _write(tokenizer, texts, files, which, journal, title, total)
        for path, source in zip(paths, unfinished, strict=True):
            source.replace(path)
    journal.unlink(missing_ok=True)
    return [np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind) for path in paths]


def _write(tokenizer, texts, files: list[BinaryIO], which, journal: Path | None, title: str, total) -> None:
    done, ends = _last_mark(journal, files)
    for file, end in zip(files, ends, strict=True):
        file.seek(end)
        file.truncate()
    started, tokens = time.perf_counter(), 0
    with Line(f"tokenizing {title}", total, done) if title else nullcontext() as line:
        for batch in tokenize(tokenizer, islice(texts, done, None)):
            for document in batch:
                files[which(done)].write(document.tobytes())
                done, tokens = done + 1, tokens + len(document)
            if journal:
                for file in files:
                    file.flush()
                artifacts.write_json(journal, {"documents": done, "ends": [file.tell() for file in files]})
            if line:
                line.update(done, f"tokenizing {title} · {tokens / (time.perf_counter() - started):,.0f} tokens/s")


def _last_mark(journal: Path | None, files: list[BinaryIO]) -> tuple[int, list[int]]:
    """-> (documents done, end of each file in bytes) by the journal of a killed run, or the start of everything."""
    if journal and journal.exists():
        mark = json.loads(journal.read_text(encoding="utf-8"))
        if all(file.seek(0, io.SEEK_END) >= end for file, end in zip(files, mark["ends"], strict=True)):
            return mark["documents"], mark["ends"]
    return 0, [0] * len(files)


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


def tokenize_files(files: Sequence[Path], out: Path, tokenizer: Path, *, force: bool = False) -> artifacts.Manifest:
    """Tokenize text files (``read_texts``) to ``out/corpus.tokens``; what the ids are is in ``out/corpus.json``.

    A killed run goes on where it was. Raises CourseError when a file or the tokenizer's folder is missing, and for
    a line that cannot be read.
    """
    if not (tokenizer / "tokenizer.json").is_file():
        raise CourseError(f"{artifacts.shown(tokenizer)} holds no tokenizer.json: name a folder of prune-tokenizer")

    def make(folder: Path) -> dict:
        loaded = load_tokenizer(tokenizer)
        started, title = time.perf_counter(), ", ".join(path.name for path in files)
        texts = (text for path in files for text in read_texts(path))
        (stream,) = streams(loaded, texts, [folder / "corpus.tokens"], title=title)
        about = {"dtype": stream.dtype.name, "tokens": len(stream), "end_of_text": loaded.eos_token_id}
        artifacts.write_json(folder / "corpus.json", about)
        rate = len(stream) / (time.perf_counter() - started)
        return {"tokens": len(stream), "tokens_a_second": round(rate)}

    return artifacts.build(
        out,
        make,
        stage="corpus_tokenization",
        settings={},
        inputs=[tokenizer, *files],
        resumable=True,
        force=force,
    )
