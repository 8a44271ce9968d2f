"""MinHash libraries side by side: signatures of the embedded world's documents, by speed and by error.

    pip install datasketch
    python benchmarks/deduplication.py

Each library gets its fastest input: rensa hashes of n-grams, made by numpy and counted in its time, datasketch the
n-grams as bytes. The error is that of the estimated similarity, over pairs of documents cut from the same texts.
"""

import time

import numpy as np
from datasketch import MinHash

from course_utils import corpora, profiles
from course_utils.corpora.deduplication import BANDS, NGRAM, ROWS, signatures, similarity


def by_datasketch(texts: list[str]) -> np.ndarray:
    tokens = [[text[i : i + NGRAM].encode() for i in range(len(text) - NGRAM + 1)] for text in texts]
    return np.array([sketch.hashvalues for sketch in MinHash.bulk(tokens, num_perm=BANDS * ROWS)])


def main() -> None:
    profile = profiles.load("cpu-mini")
    texts = [corpora.document_text(row) for path in profile.baike for row in corpora.read_jsonl(path)]
    joined = "".join(texts)
    firsts = [joined[i : i + 400] for i in range(0, len(joined) - 500, 500)]
    seconds = [joined[i + i % 211 : i + i % 211 + 400] for i in range(0, len(joined) - 500, 500)]
    true = np.array([similarity(a, b) for a, b in zip(firsts, seconds, strict=True)])
    print(f"{len(texts):,} documents, {len(joined):,} characters, signatures of {BANDS * ROWS} numbers")
    for name, sign in (("rensa", signatures), ("datasketch", by_datasketch)):
        sign(texts[:100])
        started = time.perf_counter()
        sign(texts)
        took = time.perf_counter() - started
        error = (sign(firsts) == sign(seconds)).mean(axis=1) - true
        print(f"{name:12}{took:7.2f} s   error of similarity: mean {error.mean():+.3f}, deviation {error.std():.3f}")


if __name__ == "__main__":
    main()
