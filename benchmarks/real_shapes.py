"""The real data sets' shapes at a hundredth of their size: files of their schemas, made here, through the real stages.

    python benchmarks/real_shapes.py
    python benchmarks/real_shapes.py --share 0.1 --folder /tmp/shapes      larger, and the files stay

563w_baidubaike.json, train_encyclopedia.json, train_zh_0.json and Belle_open_source_1M.json have as many rows, as many
bytes a row and as uneven lengths as the published ones, and their dirt: null summaries, empty sections, lines cut off,
half characters, copies, menus, keywords for search engines, articles of a megabyte. The words are the course
tokenizer's pieces by Zipf's law, among them rare characters; the same share gives the same bytes. They are filtered and
deduplicated, tokenized, packed to blocks of 512, and encoded for fine-tuning, by the pruned tokenizer of ChatGLM2 where
../shared/data has it and else by the course's own.

Printed are speed, peak memory of all processes (``corpora.watched``) and on disk, what was planted beside what was
found, and what the full size would take: time and disk in proportion. Times hold the start of processes.
"""

import argparse
import json
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from corpora import watched  # its neighbour, benchmarks/corpora.py
from datasets import Dataset, disable_progress_bars

from course_utils import artifacts, profiles
from course_utils.corpora import deduplicate, loading, reading
from course_utils.tokenizer_pruning import load_model, load_tokenizer, pack_dataset, prune_tokenizer, tokenize_dataset
from course_utils.training.full_vs_lora_sft import encode_dataset

# Rows and bytes of the published files, by their pages on the Hub.
FULL = {
    "563w_baidubaike.json": (5_630_000, 16.8e9),
    "train_encyclopedia.json": (361_420, 591e6),
    "train_zh_0.json": (1_950_000, 1.34e9),
    "Belle_open_source_1M.json": (917_424, 458e6),
}
# Kinds of rows that are not as they should be: their share of all, and what should become of them.
ARTICLES = {
    "menus": (0.005, "boilerplate"), "title alone": (0.02, "too short"), "English": (0.003, "not Chinese"),
    "numbers": (0.003, "not Chinese"), "same lines": (0.002, "same lines"), "keywords": (0.003, "one phrase"),
    "pasted twice": (0.003, "repeats"), "copy": (0.02, "exact"), "near copy": (0.02, "near"),
    "cut off": (0.001, "left out"),
}  # fmt: skip
TEXTS = {"copied article": (0.02, "exact"), "copy": (0.02, "exact"), "cut off": (0.0005, "left out")}
CONVERSATIONS = {"cut off": (0.0005, "left out"), "no answer": (0.002, "left out"), "short answer": (0.1, "kept")}
HEADINGS = ("简介", "历史沿革", "主要作品", "人物生平", "临床表现", "地理环境", "社会评价", "注意事项", "所获荣誉")
NOTES = ("返回顶部", "上一篇：更多内容", "转载请注明出处", "点击查看更多", "首页 | 登录 | 注册")
MENU = "首页 | 新闻 | 体育 | 登录 | 注册\n当前位置：首页 > 健康\n返回顶部\n版权所有：本站 京ICP备12345678号"
ENGLISH = "The article has not been translated yet and stands here as it was found on the page. "
ASKED = ("哪家好", "多少钱", "排名", "地址", "电话", "怎么走")
REMEMBERED = 2_000  # rows that may be copied
LONG = {5_000: 120_000, 56_300: 3_000_000}  # of so many articles the first has so many characters


class Writer:
    """Chinese without meaning, of the lengths and the spread of words of real text."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        pieces = [piece.piece for piece in load_model(profiles.load("cpu-mini").tokenizer_model).pieces]
        words = [piece for piece in pieces if all("\u4e00" <= char <= "\u9fff" for char in piece)]
        words += [chr(code) for code in range(0x4E00, 0x9FFF, 29)]  # rare ones, at the end of the law
        rank = np.arange(len(words)) + 20
        self.words = np.array([*words, "，", "。", "、", "。\n"], object)
        weights = 0.85 / rank / np.sum(1 / rank)
        self.upto = np.cumsum([*weights, 0.08, 0.05, 0.01, 0.01])

    def text(self, characters: int) -> str:
        drawn = np.searchsorted(self.upto, self.rng.random(characters), "right")
        return "".join(self.words[np.minimum(drawn, len(self.words) - 1)].tolist())[:characters]

    def lengths(self, count: int, mean: float, spread: float) -> list[int]:
        """Log-normal, of this mean exactly; none below 12 characters."""
        found = self.rng.lognormal(0, spread, count)
        return np.maximum(found * mean / found.mean(), 12).astype(int).tolist()

    def kinds(self, count: int, shares: dict) -> list[str]:
        names = [*shares, ""]
        parts = [share for share, _ in shares.values()]
        return self.rng.choice(names, count, p=[*parts, 1 - sum(parts)]).tolist()


def dirt(kind: str, title: str, body: str) -> str | None:
    """The text of an article of one of the kinds that the filters are for; None for others."""
    return {
        "menus": MENU, "title alone": "", "English": ENGLISH * 5, "same lines": f"{body[:30]}\n" * 9,
        "pasted twice": body.replace("\n", "") * 2,
        "numbers": "\n".join(f"{i}年 {i * 7.31:.2f} {i * i}" for i in range(60)),
        "keywords": "，".join(f"{title[:2]}人流医院{ASKED[i % 6]}" for i in range(40)),
    }.get(kind)  # fmt: skip


def articles(writer: Writer, count: int, planted: Counter, copied: list[str]) -> Iterator[str]:
    """Lines of Baike; ``copied`` gets texts of articles."""
    lengths, recent = writer.lengths(count, 910, 1.2), deque(maxlen=REMEMBERED)
    for every, characters in LONG.items():
        lengths[::every] = [characters] * len(lengths[::every])
    for number, (length, kind) in enumerate(zip(lengths, writer.kinds(count, ARTICLES), strict=True)):
        kind = "" if "copy" in kind and not recent else kind
        chance, title, body = writer.rng.random(), writer.text(2 + number % 9).replace("\n", ""), writer.text(length)
        summary, size = writer.text(min(length, 60)) if chance > 0.3 else None, max(400, length // 60)
        contents = (
            [body[start : start + size] for start in range(0, length, size)] if chance < 0.85 or size > 400 else []
        )
        sections = [{"title": HEADINGS[(number + i) % 9], "content": text} for i, text in enumerate(contents)]
        if chance < 0.05:
            sections += [{"title": "词条图册", "content": NOTES[number % 5]}, {"title": "", "content": None}]
        if (text := dirt(kind, title, body)) is not None:
            summary, sections = None, [{"title": "", "content": text}] if text else []
        row = {"title": title or "无题", "summary": summary, "sections": sections, "tags": [writer.text(3), "人物"],
               "url": f"https://baike.baidu.com/item/{number}/{number * 7919 % 10**7}"}  # fmt: skip
        if "copy" in kind:
            row = dict(recent[number * 31 % len(recent)], url=row["url"])
            if kind == "near copy":
                row["sections"] = [*row["sections"], {"title": "", "content": f"（第{number}次转载。）"}]
        elif not kind and 400 < length < 20_000 and 0.05 < chance < 0.85:
            recent.append(row)
            copied.append(reading.baike_text(row))
        yield finished(row, kind, planted, number)


def texts(writer: Writer, count: int, planted: Counter, copied: list[str]) -> Iterator[str]:
    """Lines of the medical encyclopaedia: a question, and its answer."""
    lengths, kinds, recent = writer.lengths(count, 515, 0.9), writer.kinds(count, TEXTS), deque(maxlen=REMEMBERED)
    for number, (length, kind) in enumerate(zip(lengths, kinds, strict=True)):
        kind = "" if kind == "copy" and not recent else kind
        text = f"{writer.text(12)}？\n{writer.text(length)}"
        if kind:
            found = {"copy": recent, "copied article": copied}.get(kind, [text])
            text = found[number * 31 % len(found)]
        recent.append(text)
        yield finished({"text": text}, kind, planted, number)


def conversations(writer: Writer, count: int, planted: Counter, asked: int, answered: int) -> Iterator[str]:
    """Lines of instructions, of which every tenth has an input."""
    lengths, kinds = writer.lengths(count, answered, 0.8), writer.kinds(count, CONVERSATIONS)
    for number, (length, kind) in enumerate(zip(lengths, kinds, strict=True)):
        answer = {"no answer": "", "short answer": "建议到医院检查。"}.get(kind) if kind != "cut off" else None
        row = {"instruction": writer.text(asked), "input": writer.text(40) if number % 10 == 0 else "",
               "output": writer.text(length) if answer is None else answer}  # fmt: skip
        yield finished(row, kind, planted, number)


def finished(row: dict, kind: str, planted: Counter, number: int) -> str:
    planted[kind] += 1
    line = json.dumps(row, ensure_ascii=False)
    if not kind and number % 997 == 0:
        line = line.replace("，", r"\ud83d", 1)
    return line[: len(line) // 2] if kind == "cut off" else line


def write(folder: Path, share: float) -> dict[str, Counter]:
    """-> what was planted in each file."""
    planted, copied = {name: Counter() for name in FULL}, []
    makers = (
        lambda *given: articles(*given, copied), lambda *given: texts(*given, copied),
        lambda *given: conversations(*given, 30, 200), lambda *given: conversations(*given, 35, 122),
    )  # fmt: skip
    for seed, (name, make) in enumerate(zip(FULL, makers, strict=True)):
        rows, size = FULL[name]
        with (folder / name).open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in make(Writer(seed), round(rows * share), planted[name]))
        made = (folder / name).stat().st_size
        print(f"{name:28}{rows * share:10,.0f} rows {made / 1e6:8.1f} MB, {made / share / size:.1%} of the real size")
    return planted


@contextmanager
def measured(folder: Path) -> Iterator[dict]:
    """``watched``, and the most MB that lay in a folder meanwhile."""
    ended, most = threading.Event(), [0]

    def look() -> None:
        while not ended.wait(0.2):
            sizes = []
            for path in folder.rglob("*"):
                try:
                    sizes.append(path.stat().st_size)
                except OSError:  # it went meanwhile
                    continue
            most[0] = max(most[0], sum(sizes) / 1e6)

    thread = threading.Thread(target=look, daemon=True)
    with watched() as found:
        thread.start()
        yield found
    ended.set()
    thread.join()
    found["disk"] = most[0]


def shown(name: str, rows: int, megabytes: float, found: dict, share: float) -> None:
    seconds, disk = found["seconds"], found["disk"]
    print(f"{name:34}{rows:9,}{megabytes:8.1f}{seconds:8.1f}{megabytes / seconds:7.1f}{found['uss']:8,.0f}", end="")
    print(f"{found['rss']:8,.0f}{disk:9,.0f}  |{seconds / share / 3600:6.1f} h{disk / share / 1e3:6.0f} GB")


def compared(name: str, planted: Counter, kinds: dict, found: dict) -> None:
    expected = Counter()
    for kind, (_, fate) in kinds.items():
        expected[fate] += planted[kind]
    parts = [f"{fate} {count:,}" + (f" ({expected[fate]:,})" if fate in expected else "")
             for fate, count in found.items() if count or expected[fate]]  # fmt: skip
    print(f"{name}, found (planted): {', '.join(parts)}")


def run(folder: Path, share: float) -> None:
    planted = write(folder, share)
    baike, texts_file, *chats = (folder / name for name in FULL)
    profile, glm = profiles.load("cpu-mini"), profiles.course_root().parent / "shared/data/chatglm2-tokenizer.model"
    model = glm if glm.exists() else profile.tokenizer_model
    prune_tokenizer(model, folder / "tokenizer", profile.retain_words, hidden_size=768)
    tokenizer, work = load_tokenizer(folder / "tokenizer"), folder / "work"
    print(f"tokenizer: {model.name}, pruned to {len(tokenizer):,}\n")
    print(f"{'':34}{'rows':>9}{'MB':>8}{'s':>8}{'MB/s':>7}{'USS MB':>8}{'RSS MB':>8}{'disk MB':>9}  | at full size")

    with measured(work) as found:
        deduplicate({"baike": [baike], "medical": [texts_file]}, work / "unique")
    report = json.loads((work / "unique/report.json").read_text(encoding="utf-8"))["corpora"]
    size = sum(path.stat().st_size for path in (baike, texts_file)) / 1e6
    shown("filtered and deduplicated", sum(c["documents"]["read"] for c in report.values()), size, found, share)
    tokens = 0
    for name in report:
        documents = loading.load_documents(work / "unique", name)
        size = sum(path.stat().st_size for path in (work / "unique" / name).glob("*.arrow")) / 1e6
        with measured(work / name) as found:
            inputs = {"": artifacts.sha256(work / "unique")}
            ids = tokenize_dataset(documents, tokenizer, work / name, title=name, inputs=inputs)
            blocks = pack_dataset(ids, 512, work / name, title=name, fingerprint="blocks")
        tokens += len(blocks) * 512
        shown(f"{name} to blocks of 512", len(documents), size, found, share)
    for path in chats:
        with measured(work / path.stem) as found:
            rows, left_out = encode_dataset(path, tokenizer, 512, work / path.stem)
        size = path.stat().st_size / 1e6
        shown(f"{path.name} encoded", len(rows), size, found, share)
        fates = {"kept": len(rows), "left out": sum(kind["rows"] for kind in left_out)}
        compared(path.name, planted[path.name], CONVERSATIONS, fates)
    print(f"{tokens:,} tokens in blocks, {tokens / share / 1e9:.2f} G at full size")
    for (name, corpus), path, kinds in zip(report.items(), (baike, texts_file), (ARTICLES, TEXTS), strict=True):
        left_out = sum(kind["rows"] for kind in corpus["left_out"])
        compared(name, planted[path.name], kinds, corpus["documents"] | {"left out": left_out})
        print(f"  lines of boilerplate removed: {corpus['boilerplate']['lines']:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.01, help="of the real size")
    parser.add_argument("--folder", type=Path, help="where the files are written and stay; else a temporary one")
    chosen = parser.parse_args()
    disable_progress_bars()
    Dataset.from_dict({"warm": ["up"]})  # imports are not timed
    if chosen.folder:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        run(chosen.folder, chosen.share)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), chosen.share)


if __name__ == "__main__":
    main()
