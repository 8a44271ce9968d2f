"""How fast wikitext becomes text: ours against gensim, WikiExtractor and mwparserfromhell, the same pages in one run.

The pages: the excerpt of the English Wikipedia that gensim's wheel ships, and the dump of the course. MB are millions
of bytes of wikitext (UTF-8); each cleaner runs in one process, best of three. Below: what two worker processes gain
over one on a dump of 800 MB made of the same pages, and the peak memory for a dump and for one ten times as long.

    python benchmarks/wiki_cleaning.py      (two minutes; needs gensim, mwparserfromhell, wikiextractor)
"""

import bz2
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gensim
import mwparserfromhell
from gensim.corpora.wikicorpus import filter_wiki
from wikiextractor.extract import Extractor

from course_utils import profiles
from course_utils.wiki_cleaning import dumps as wiki_dumps
from course_utils.wiki_cleaning.wikitext import clean_wikitext

ENGLISH = Path(gensim.__file__).parent / "test/test_data"
ENGLISH = next(ENGLISH.glob("enwiki-latest-pages-articles*.bz2"))
MEGABYTES_OF_DUMP = 800
SLOW_SHARE = 8  # mwparserfromhell and WikiExtractor see one page in eight: they would take minutes


def wikiextractor(text: str) -> str:
    # Without a template table, as its option --no-templates does; with one it is slower still.
    return "\n".join(Extractor("0", "0", "", "title", []).clean_text(text, expand_templates=False))


CLEANERS: dict[str, tuple[Callable[[str], str], int]] = {
    "course_utils": (clean_wikitext, 1),
    "gensim filter_wiki": (filter_wiki, 1),
    "WikiExtractor": (wikiextractor, SLOW_SHARE),
    "mwparserfromhell": (lambda text: mwparserfromhell.parse(text).strip_code(), SLOW_SHARE),
}


def speeds(texts: list[str], rounds: int = 3) -> dict[str, float]:
    """MB of wikitext a second by cleaner; the rounds take turns, so that a noisy machine is noisy for all."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (clean, share) in CLEANERS.items():
            some = texts[::share]
            size = sum(len(text.encode()) for text in some) / 1e6
            started = time.process_time()
            for text in some:
                clean(text)
            best[name] = max(best.get(name, 0.0), size / (time.process_time() - started))
    return best


def enlarge(dump: Path, target: Path, megabytes: int) -> None:
    """A dump of the same pages again and again."""
    with bz2.open(dump) as file:
        text = file.read()
    first, last = text.index(b"<page>"), text.rindex(b"</page>") + len(b"</page>")
    with target.open("wb") as file:
        file.write(text[:first])
        for _ in range(max(1, round(megabytes * 1e6 / (last - first)))):
            file.write(text[first:last])
        file.write(text[last:])


def run_stage(dump: Path, workers: int) -> tuple[float, float]:
    """-> (seconds, peak memory in MB) of cleaning a dump in a process of its own (Linux: memory is read from /proc)."""
    code = (
        "import sys, tempfile\nfrom pathlib import Path\nfrom course_utils.wiki_cleaning import clean_dumps\n"
        "out = Path(tempfile.mkdtemp()) / 'out'\n"
        "print(clean_dumps([Path(sys.argv[1])], out, workers=int(sys.argv[2])).seconds)\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(dump), str(workers)], capture_output=True, text=True, check=True
    ).stdout.split()
    return float(printed[-2]), float(printed[-1]) / 1024


def main() -> None:
    logging.disable()
    embedded = profiles.load("cpu-mini").wiki_dumps[0]
    for name, dump in (("English Wikipedia, gensim's excerpt", ENGLISH), ("the course's dump", embedded)):
        texts = [page.wikitext for page in wiki_dumps.read_pages(dump) if page.namespace == "0"]
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"\n{name}: {len(texts):,} pages, {size:.1f} MB of wikitext")
        measured = speeds(texts)
        for cleaner, speed in measured.items():
            ratio = measured["course_utils"] / speed
            print(f"  {cleaner:20} {speed:6.1f} MB/s   course_utils is {ratio:5.2f} times as fast")
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.xml", Path(folder) / "small.xml"
        enlarge(ENGLISH, large, MEGABYTES_OF_DUMP)
        enlarge(ENGLISH, small, MEGABYTES_OF_DUMP // 10)
        one, memory = run_stage(large, 1)
        two, _ = run_stage(large, 2)
        _, memory_of_small = run_stage(small, 1)
        rate = large.stat().st_size / 1e6
        print(f"\nthe stage on {rate:.0f} MB of XML, {os.cpu_count()} cores")
        print(f"  one worker  {one:6.1f} s  {rate / one:6.1f} MB/s")
        print(f"  two workers {two:6.1f} s  {rate / two:6.1f} MB/s   {one / two:.2f} times")
        growth = memory / memory_of_small
        print(f"  peak memory {memory:.0f} MB; {memory_of_small:.0f} MB for a tenth of it ({growth:.2f} times)")


if __name__ == "__main__":
    main()
