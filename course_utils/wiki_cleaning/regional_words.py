"""Words of Taiwan, Hong Kong and Macau -> those of mainland China: 网路 -> 网络, 义大利 -> 意大利, 公尺 -> 米.

In comes text in simplified characters that was written in traditional ones (OpenCC's ``t2s`` made 网路 of 網路). Out
goes what a reader of the Chinese Wikipedia who chose 大陆简体 sees. OpenCC's own ``tw2sp`` does too much, for it also
changes words that both sides have (文件 -> 文档, 支援 -> 支持). So the table, ``words.toml``, holds only words that
mainland China does not use.

The one idea: one pass from left to right, the longest word first. A word to keep, such as 软体动物, is a word that
turns into itself. OpenCC does the work, with our table as its dictionary: 0.5 ms for 10,000 characters, where one
regular expression of all words, grouped by first character, takes 4 ms.
"""

import json
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from . import tables


@cache
def mainland_words() -> dict[str, str]:
    """The table as one: word -> word of mainland China, or the word itself where it is to be kept."""
    pairs = chain.from_iterable(group["words"].split() for group in tables.WORDS["groups"])
    return dict(pair.split("=") for pair in pairs) | {word: word for word in tables.WORDS["keep"].split()}


@cache
def _converter(written_alike: bool) -> Callable[[str], str]:
    """OpenCC with our table. It takes files only, and reads them once (https://github.com/BYVoid/OpenCC)."""
    import opencc

    words = mainland_words()
    if written_alike:
        traditional = opencc.OpenCC("s2t").convert
        words = {word: ours for word, ours in words.items() if word == ours or traditional(word) == word}
    dictionary = {"type": "text", "file": "words.txt"}
    config = {
        "name": "words of mainland China",
        "segmentation": {"type": "mmseg", "dict": dictionary},
        "conversion_chain": [{"dict": dictionary}],
    }
    with TemporaryDirectory() as folder:
        lines = (f"{word}\t{ours}\n" for word, ours in sorted(words.items()))
        Path(folder, "words.txt").write_text("".join(lines), "utf-8", newline="\n")
        Path(folder, "words.json").write_text(json.dumps(config), "utf-8")
        return opencc.OpenCC(f"{folder}/words.json").convert


def mainland(text: str) -> str:
    """Text by a writer of Taiwan or Hong Kong, in simplified characters -> with the words of mainland China.

    >>> mainland("网路上有义大利的软体动物")
    '网络上有意大利的软体动物'
    """
    return _converter(False)(text)


def mainland_in_any_text(text: str) -> str:
    """As ``mainland``, by those words alone that both scripts write alike: 公尺 shows by itself who wrote it.

    >>> mainland_in_any_text("互联网路由器高3公尺")
    '互联网路由器高3米'
    """
    return _converter(True)(text)
