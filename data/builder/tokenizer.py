"""The multilingual tokenizer that stands in for ChatGLM's, and the English words worth keeping.

Trained from text that pinned packages ship: names of countries, languages, scripts, currencies, units and dates in
many languages (the CLDR data in ``babel``), frequent words (``wordfreq``), and our own corpora. Like ChatGLM's it is
a SentencePiece BPE with byte fallback, no normalisation, and one piece for each digit.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

PIECES = 10_000
RETAINED_WORDS = 5_000
LANGUAGES = (
    "en", "zh_Hans", "zh_Hant", "ja", "ko", "ru", "uk", "ar", "fa", "he", "hi", "bn", "ta", "th", "el", "ka", "hy",
    "fr", "de", "es", "pt", "it", "vi", "tr", "pl",
)  # fmt: skip
# (language of wordfreq, words): more words, more pieces of that script. Chinese words come as wordfreq's characters.
WORDS = (("en", 9_000), ("zh", 1_500), ("ja", 4_000), ("ko", 3_000), ("ru", 4_000), ("ar", 3_000), ("he", 1_500),
         ("hi", 1_500), ("el", 1_500), ("fr", 2_000), ("de", 2_000), ("es", 2_000))  # fmt: skip
COVERAGE = 0.9985  # of the characters of the training text: rarer ones are bytes
# Chat marks, as ChatGLM-like models carry them: never split, never merged.
MARKS = ("<|user|>", "<|assistant|>", "<|system|>")


def build_retain_words(path: Path) -> None:
    """The most frequent English words, one a line, lower case, letters only."""
    from wordfreq import top_n_list

    words = [word for word in top_n_list("en", 2 * RETAINED_WORDS) if word.isascii() and word.isalpha()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(words[:RETAINED_WORDS]) + "\n", encoding="utf-8")


def build_tokenizer(path: Path, corpus: Iterable[str]) -> None:
    """Train the model. One thread and a fixed order of lines: the same bytes every time."""
    import sentencepiece

    lines = [*cldr_lines(), *word_lines(), *traditional_lines()]
    lines += [line for text in corpus for line in text.replace("。", "。\n").split("\n") if line]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=PIECES,
        byte_fallback=True,
        character_coverage=COVERAGE,
        split_digits=True,
        max_sentencepiece_length=6,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=3,
        pad_piece="<pad>",
        user_defined_symbols=list(MARKS),
        num_threads=1,
        minloglevel=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())


def cldr_lines() -> Iterator[str]:
    """Names of things in many languages, from the Common Locale Data Repository."""
    from babel import Locale

    for code in LANGUAGES:
        locale = Locale.parse(code)
        for table in (locale.territories, locale.languages, locale.scripts, locale.currencies):
            yield from (str(name) for _, name in sorted(table.items()))
        for names in (locale.months["format"]["wide"], locale.days["format"]["wide"]):
            yield from (str(name) for _, name in sorted(names.items()))


def word_lines() -> Iterator[str]:
    """Frequent words of each language, the most frequent most often."""
    from wordfreq import top_n_list

    for language, count in WORDS:
        words = top_n_list(language, count, wordlist="small" if language in ("ja", "he", "hi", "el") else "best")
        for start in range(0, len(words), 20):
            line = " ".join(words[start : start + 20])
            yield from [line] * max(1, 6 - start // 500)


def traditional_lines() -> Iterator[str]:
    """Frequent Chinese words in traditional characters."""
    import opencc
    from wordfreq import top_n_list

    convert = opencc.OpenCC("s2t").convert
    yield from (convert(word) for word in top_n_list("zh", 6_000) if convert(word) != word)
