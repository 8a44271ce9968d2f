"""Prune a multilingual SentencePiece model to Chinese and everyday English, without dead tokens.

In comes a SentencePiece model (BPE or unigram) and a list of English words to keep; out come the pruned model, a fast
Hugging Face tokenizer with the same ids, a map from old ids to new ones, and a report that proves what is claimed here.

The one idea: a BPE token is *merged* from smaller ones, so whoever deletes a piece kills every piece that is merged
through it. We therefore keep the *merge closure*: each kept piece, and every piece its merges pass through. Merges are
chosen by score, and a choice that won against all pieces still wins against some of them, so each kept piece is
reached just as before. A unigram piece is chosen by its own probability and needs no other: fewer rivals cannot hurt.

Cost: one pass over the vocabulary, a few seconds for 65 thousand pieces.
"""

import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import cache, partial
from itertools import chain, islice, pairwise
from pathlib import Path

from .. import artifacts
from ..corpora.reading import read_texts
from ..errors import CourseError
from .fast_tokenizers import CHAT_TEMPLATE, add_marks, fast_tokenizer, save_tokenizer
from .report import make_report
from .sentencepiece_models import SPACE, add_no_spaces, encodes, is_bpe, load_model, normal_pieces, processor, script


def read_words(path: Path) -> set[str]:
    """The words to keep, one a line, in lower case. Raises CourseError for an empty or non-UTF-8 list."""
    try:
        words = {word.lower() for word in path.read_text(encoding="utf-8-sig").split()}
    except (FileNotFoundError, IsADirectoryError):
        raise CourseError(f"{path} is missing: name a text file with one English word a line") from None
    except UnicodeDecodeError as error:
        raise CourseError(f"{path}: byte {error.start} is not UTF-8: save the word list as UTF-8") from None
    if not words:
        raise CourseError(f"{path} is empty: it should list one English word a line")
    return words


def with_capitals(words: Iterable[str]) -> set[str]:
    """The words, and each with a capital first letter."""
    return {form for word in words for form in (word, word[:1].upper() + word[1:])}


def add_words(model, words: Iterable[str]):
    """-> a copy of the model in which each word is one token, with and without a space before it.

    A BPE word that is missing is cut into the pieces it has, and these are merged from the left, with scores below
    all others. So every merge that there was still comes first, each old piece is reached as before, and what is
    added merges only where the old model had stopped. A unigram word gets a score just better than its best cut; a
    piece that was within 0.03 nats of being dead could die of it, which the report would tell.
    """
    full, scores, encoder = deepcopy(model), normal_pieces(model), processor(model)
    lowest = min(scores.values())
    for form in (form for word in sorted(words) for form in (word, SPACE + word)):
        if form in scores:
            continue
        if is_bpe(model):
            while len(parts := _merge(form, scores)[-1]) > 1:
                lowest -= max(1.0, 2**-22 * abs(lowest))  # scores are 32-bit floats: a step that they can tell
                scores[parts[0] + parts[1]] = lowest
                full.pieces.add(piece=parts[0] + parts[1], score=lowest)
        else:
            cut = sum(model.pieces[i].score for i in encoder.encode(form.replace(SPACE, " ")))
            # Better by the square of the length: so the word also beats a cut into shorter words that are added.
            scores[form] = cut + 1e-4 * len(form) ** 2
            full.pieces.add(piece=form, score=scores[form])
    full.trainer_spec.vocab_size = len(full.pieces)
    return full


def is_wanted(piece: str, words: set[str], *, keep_traditional: bool = False) -> bool:
    """Whether the policy keeps a normal piece for its own sake: Chinese that simplified text uses, digits, common
    punctuation and symbols, single ASCII letters, and the listed words as written, with or without leading space."""
    text, kind = piece.replace(SPACE, ""), script(piece)
    if kind == "digits and punctuation":
        return all(map(_is_common, text))
    if kind == "traditional Chinese":
        return keep_traditional
    return kind == "simplified Chinese" or text in words or (len(text) == 1 and text.isascii())


@cache
def _is_common(char: str) -> bool:
    """Digits, punctuation, spaces and symbols of everyday Chinese or Western text: those that the old character sets
    GBK or Windows-1252 have room for. No control characters, modifiers or emoji."""
    return unicodedata.category(char)[0] in "NPSZ" and (encodes(char, "gbk") or encodes(char, "cp1252"))


def _merge(piece: str, scores: dict[str, float]) -> list[list[str]]:
    """The parts of ``piece`` before the first and after each merge of BPE, which is always that of the adjacent pair
    with the best score, the leftmost of equals."""
    parts = list(piece)
    steps = [parts]
    while candidates := [(-scores[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in scores]:
        _, i = min(candidates)
        parts = [*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :]]
        steps.append(parts)
    return steps


def merge_path(piece: str, scores: dict[str, float]) -> set[str]:
    """All pieces that BPE passes through while it builds ``piece``: its characters and each merge."""
    return {part for parts in _merge(piece, scores) for part in parts}


def prune(
    model, words: set[str], *, wanted: Callable[[str, set[str]], bool] = is_wanted, closure: bool = True,
    vocab_size: int | None = None, texts: Iterable[str] = (),
):  # fmt: skip
    """-> (pruned ModelProto, id map old → new, reasons counted).

    ``wanted(piece, words)`` is the policy. With ``vocab_size`` at most so many pieces are kept, those that ``texts``
    use most, each with its merges. ``closure=False`` deletes pieces naively, as a lesson: BPE pieces built through
    deleted ones die. Control, unknown, byte and user-defined pieces always stay; missing marks are added. Raises
    CourseError when ``vocab_size`` has no room for these and the ASCII letters and digits.
    """
    scores = normal_pieces(model)
    chosen = {text for text in scores if wanted(text, words)}
    paths = partial(merge_path, scores=scores) if closure and is_bpe(model) else lambda piece: {piece}
    kept = scores.keys() & {part for piece in chosen for part in paths(piece)}
    pruned, id_map = _only(model, kept)
    if vocab_size is not None:
        room = vocab_size - len(pruned.pieces) + len(kept)
        kept = _most_used(pruned, texts, paths, scores, room)
        pruned, id_map = _only(model, kept)
    reasons = {"special": len(id_map) - len(kept), "wanted": len(kept & chosen), "merge closure": len(kept - chosen)}
    return pruned, id_map, {reason: count for reason, count in reasons.items() if count}


def _only(model, kept: set[str]):
    """-> (a copy of the model with these normal pieces and all others, id map old → new)."""
    stay = [i for i, piece in enumerate(model.pieces) if piece.type != piece.NORMAL or piece.piece in kept]
    pruned, id_map = deepcopy(model), {old_id: new_id for new_id, old_id in enumerate(stay)}
    del pruned.pieces[:]
    pruned.pieces.extend(model.pieces[i] for i in stay)
    for name in ("unk_id", "bos_id", "eos_id", "pad_id"):
        setattr(pruned.trainer_spec, name, id_map.get(getattr(model.trainer_spec, name), -1))
    add_marks(pruned)
    add_no_spaces(pruned)  # the model becomes lossless, and Chinese one token cheaper
    return pruned, id_map


def _most_used(pruned, texts: Iterable[str], paths: Callable, scores: dict[str, float], room: int) -> set[str]:
    """As many normal pieces as there is room for, each with what it is merged from: ASCII letters and digits first,
    then those that the texts use most."""
    encoder, texts, used, kept = processor(pruned), iter(texts), Counter(), set()
    while batch := list(islice(texts, 1_000)):
        used.update(chain.from_iterable(encoder.encode(batch)))
    for piece in sorted(normal_pieces(pruned), key=lambda p: (not _is_basic(p), -used[encoder.piece_to_id(p)])):
        path = paths(piece) & scores.keys()
        if len(kept | path) <= room:
            kept |= path
        elif _is_basic(piece):
            raise CourseError(f"the vocabulary size leaves room for {max(room, 0)} pieces: ask for some hundreds more")
    return kept


def _is_basic(piece: str) -> bool:
    return len(piece) == 1 and piece.isascii() and piece.isalnum()


def prune_tokenizer(
    old: Path, out: Path, retain_words: Path, *, hidden_size: int, cased: bool = False, add_missing: bool = False,
    keep_traditional: bool = False, vocab_size: int | None = None, corpus: Sequence[Path] = (), force: bool = False,
) -> artifacts.Manifest:  # fmt: skip
    """Prune ``old`` and write ``tokenizer.model``, the Hugging Face tokenizer, ``id_map.json`` and ``report.json``.

    ``out`` is a folder, or a file name ending in ``.model``: then the folder is that name without the ending, and the
    pruned model is copied to the file name too. Nothing foreign is overwritten. The report reckons savings with
    ``hidden_size`` weights a row. ``cased`` keeps listed words with a capital letter too, ``add_missing`` adds those
    that ``old`` lacks, ``keep_traditional`` keeps traditional Chinese, ``vocab_size`` at most so many pieces, the most
    frequent in ``corpus`` (.jsonl files with "text", or plain).
    """
    target = out.with_suffix("") if out.suffix == ".model" else out
    _check_output(out, target, [old, retain_words])
    if (vocab_size is None) != (not corpus):
        raise CourseError("a vocabulary size and a corpus go together: the corpus says which pieces are frequent")
    model, words = load_model(old), read_words(retain_words)
    words = with_capitals(words) if cased else words

    def make(folder: Path) -> dict:
        full = add_words(model, words) if add_missing else model
        policy = partial(is_wanted, keep_traditional=keep_traditional)
        texts = chain.from_iterable(map(read_texts, corpus))
        pruned, id_map, reasons = prune(full, words, wanted=policy, vocab_size=vocab_size, texts=texts)
        id_map = {old_id: new_id for old_id, new_id in id_map.items() if old_id < len(model.pieces)}
        (folder / "tokenizer.model").write_bytes(pruned.SerializeToString())
        save_tokenizer(fast_tokenizer(pruned), folder)
        artifacts.write_json(folder / "id_map.json", id_map)
        report = make_report(model, pruned, hidden_size) | {"kept": reasons}
        artifacts.write_json(folder / "report.json", report)
        change, saved = report["fertility"]["Chinese"]["change"], report["each_table"]["megabytes_saved"]
        return {
            "pieces": len(pruned.pieces), "pruned_from": len(model.pieces),
            "dead": len(report["dead_pieces"]["after"]), "Chinese_tokens": f"{change:+.1%}", "MB_saved": saved,
        }  # fmt: skip

    manifest = artifacts.build(
        target, make, stage="tokenizer_pruning", inputs=[old, retain_words, *corpus], force=force,
        settings={"chat_template": CHAT_TEMPLATE, "hidden_size": hidden_size, "cased": cased,
                  "add_missing": add_missing, "keep_traditional": keep_traditional, "vocab_size": vocab_size},
    )  # fmt: skip
    if out != target:
        partial_file = out.with_name(f".{out.name}.partial")
        shutil.copyfile(target / "tokenizer.model", partial_file)
        partial_file.replace(out)
    return manifest


def _check_output(out: Path, folder: Path, sources: Iterable[Path]) -> None:
    for source in sources:
        if source.resolve() == out.resolve():
            raise CourseError(f"{out} is the input itself: name another file for the pruned model")
        if source.resolve().is_relative_to(folder.resolve()):
            raise CourseError(f"{source} lies in the output folder {folder}: name another output")
    if out != folder and out.exists():
        ours = artifacts.read_manifest(folder)
        if not (ours and artifacts.sha256(out) == ours.outputs.get("tokenizer.model")):
            raise CourseError(f"{out} exists and was not made by the course: name another file or move it away first")
