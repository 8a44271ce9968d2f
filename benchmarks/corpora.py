"""The data layer at full scale: files of the real sets' size and schema, made here, through the stages' own functions.

    python benchmarks/corpora.py copies          near-copies of one text, 5,000 and 20,000
    python benchmarks/corpora.py documents       1.2 million documents deduplicated
    python benchmarks/corpora.py blocks          1.45 million documents to packed blocks, against `map` with lists
    python benchmarks/corpora.py instructions    2 million medical rows prepared for fine-tuning, against one at a time
    ... --size 0.1                               a tenth of it

The texts are sentences of the embedded world in random order. Memory is the peak of all processes together, looked at
ten times a second: what is theirs alone (USS: what would be free if they ended), and the resident set, in which pages
of mapped files count that the system takes back when it needs them. Times hold the start of the processes.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
from datasets import Dataset, disable_progress_bars

from course_utils import corpora, profiles
from course_utils.corpora.loading import load_rows
from course_utils.corpora.reading import plain_text
from course_utils.tokenizer_pruning import fast_tokenizer, load_model, pack_dataset, prune, read_words, tokenize_dataset
from course_utils.training.full_vs_lora_sft import conversation, encode_dataset


@contextmanager
def watched() -> Iterator[dict]:
    """-> a dictionary that holds seconds and peak MB when the context ends."""
    found, ended = {"uss": 0, "rss": 0}, threading.Event()

    def look() -> None:
        me = psutil.Process()
        while not ended.wait(0.1):
            with suppress(psutil.Error):
                memory = [p.memory_full_info() for p in (me, *me.children(recursive=True))]
                for kind in ("uss", "rss"):
                    found[kind] = max(found[kind], sum(getattr(m, kind) for m in memory) / 1e6)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    started = time.perf_counter()
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - started
        ended.set()
        thread.join()


def sentences() -> list[str]:
    profile = profiles.load("cpu-mini")
    files = (*profile.baike, *profile.medical)
    texts = [corpora.document_text(row) for path in files for row in corpora.read_jsonl(path)]
    return sorted({f"{part}。" for text in texts for part in text.replace("\n", "。").split("。") if len(part) > 4})


def write_documents(path: Path, count: int, seed: int = 0) -> None:
    """Documents of eight sentences, some 700 bytes."""
    told, rng = np.array(sentences(), object), np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, count, 10_000):
            rows = told[rng.integers(len(told), size=(min(10_000, count - start), 8))]
            file.writelines(f'{{"text": "{start + i}号：{"".join(row)}"}}\n' for i, row in enumerate(rows))


def write_instructions(path: Path, count: int) -> None:
    """Rows of shibing624/medical's schema, of its mean length (some 690 bytes)."""
    told, rng = sentences(), np.random.default_rng(1)
    with path.open("w", encoding="utf-8") as file:
        for i, row in enumerate(rng.integers(len(told), size=(count, 8)).tolist()):
            question, *answer = (told[k] for k in row)
            said = {"instruction": f"{i}：{question}", "input": "", "output": "".join(answer)}
            file.write(json.dumps(said, ensure_ascii=False) + "\n")


def tokenizer():
    profile = profiles.load("cpu-mini")
    return fast_tokenizer(prune(load_model(profile.tokenizer_model), read_words(profile.retain_words))[0])


def shown(name: str, found: dict, what: str) -> None:
    print(f"{name:44}{found['seconds']:8.1f} s  {what:32} USS {found['uss']:6,.0f} MB, RSS {found['rss']:6,.0f} MB")


def copies(folder: Path, size: float) -> None:
    first, times = "".join(sentences()[:12])[:200], {}
    for count in (round(5_000 * size), round(20_000 * size)):
        rows = (f"{first[: i % 180]}东{first[i % 180 + 1 :]}（{i}）" for i in range(count))
        path = folder / f"{count}.jsonl"
        path.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        with watched() as found:
            summary = corpora.deduplicate({"medical": [path]}, folder / f"out{count}").summary
        times[count] = found["seconds"]
        shown(f"{count:,} near-copies, {path.stat().st_size / 1e6:.1f} MB", found, f"{summary['kept']} kept")
    few, many = times.values()
    print(f"four times the copies take {many / few:.1f} times as long")


def documents(folder: Path, size: float) -> None:
    count = round(1_200_000 * size)
    write_documents(folder / "a.jsonl", count)
    with watched() as found:
        summary = corpora.deduplicate({"medical": [folder / "a.jsonl"]}, folder / "out").summary
    shown(f"{count:,} documents deduplicated", found, f"{summary['kept']:,} kept")


def blocks(folder: Path, size: float) -> None:
    path, learned = folder / "a.jsonl", tokenizer()
    write_documents(path, round(1_450_000 * size))
    name = f"{path.stat().st_size / 1e6:,.0f} MB"
    with watched() as found:
        rows, _ = load_rows([path], plain_text, ("text",), folder / "rows", title=name)
        tokens = tokenize_dataset(rows, learned, folder / "tokens", title=name, inputs={})
        packed = pack_dataset(tokens, 512, folder / "tokens", title=name, fingerprint="blocks")
    ours = len(packed) * 512 / found["seconds"]
    shown(f"{name} of JSON to blocks", found, f"{ours:,.0f} tokens/s")

    def plain(batch: dict) -> dict:
        ids = learned(batch["text"], add_special_tokens=False)["input_ids"]
        stream = [i for row in ids for i in (*row, learned.eos_token_id)]
        return {"input_ids": [stream[i : i + 512] for i in range(0, len(stream) - 511, 512)]}

    tenth = rows.select(range(len(rows) // 10))
    written = f"{folder}/plain.arrow"
    with watched() as found:
        lists = tenth.map(plain, batched=True, remove_columns=["text"], num_proc=2, cache_file_name=written)
    theirs = len(lists) * 512 / found["seconds"]
    shown("a tenth of the rows by `map` with lists", found, f"{theirs:,.0f} tokens/s")
    print(f"the course's way, reading of the file and packing included: {ours / theirs:.1f} times as fast")


def instructions(folder: Path, size: float) -> None:
    path, learned = folder / "a.json", tokenizer()
    count = round(2_000_000 * size)
    write_instructions(path, count)
    with watched() as found:
        rows, _ = encode_dataset([path], learned, 512, folder / "data", title="conversations")
    ours = len(rows) / found["seconds"]
    shown(f"{count:,} conversations, {path.stat().st_size / 1e6:,.0f} MB", found, f"{ours:,.0f} rows/s")
    read = islice(corpora.read_jsonl(path), 20_000)
    some = [conversation(row["instruction"], row["output"]) for row in read]
    with watched() as found:
        for chat in some:
            learned.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
    theirs = len(some) / found["seconds"]
    shown(f"{len(some):,} of them one at a time", found, f"{theirs:,.0f} rows/s")
    print(f"the course's way, reading of the file included: {ours / theirs:.1f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = {task.__name__: task for task in (copies, documents, blocks, instructions)}
    parser.add_argument("task", choices=tasks)
    parser.add_argument("--size", type=float, default=1.0)
    chosen = parser.parse_args()
    disable_progress_bars()
    Dataset.from_dict({"warm": ["up"]})  # imports are not timed
    with tempfile.TemporaryDirectory() as folder:
        tasks[chosen.task](Path(folder), chosen.size)


if __name__ == "__main__":
    main()
