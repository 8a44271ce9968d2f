"""Prune a multilingual SentencePiece model to Chinese and everyday English, without dead tokens.

In comes a SentencePiece model (BPE or unigram) and a list of English words to keep; out come the pruned model, a fast
Hugging Face tokenizer with the same ids, and a map from old ids to new ones.

The one idea: a BPE token is *merged* from smaller ones, so whoever deletes a piece kills every piece that is merged
through it. We therefore keep the *merge closure*: each kept piece, and every piece its merges pass through. Merges are
chosen by score, and a choice that won against all pieces still wins against some of them, so each kept piece is
reached just as before.

Cost: one pass over the vocabulary, a few seconds for 65 thousand pieces.
"""

import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from . import artifacts
from .errors import CourseError

SPACE = "▁"  # how SentencePiece writes a space
PAD, USER, ASSISTANT = "<pad>", "<|user|>", "<|assistant|>"
# One template for every model of the course. `generation` marks what the assistant says, for the loss.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' }}{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ '<|user|>' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


# ------------------------------------------------------------------ reading


def load_model(path: Path):
    """-> the SentencePiece model as a protobuf ``ModelProto``.

    Raises CourseError when the file is missing, is not a SentencePiece model, or is of a type that cannot be pruned.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2 as pb

    if not path.is_file():
        raise CourseError(f"{path} is missing: name a SentencePiece .model file")
    model = pb.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        model = pb.ModelProto()
    if not model.pieces or not model.trainer_spec.model_type:
        raise CourseError(
            f"{path} is not a SentencePiece model: expected the .model file of a BPE or unigram tokenizer"
        )
    if model.trainer_spec.model_type not in (pb.TrainerSpec.BPE, pb.TrainerSpec.UNIGRAM):
        kind = pb.TrainerSpec.ModelType.Name(model.trainer_spec.model_type).lower()
        raise CourseError(f"{path} is a {kind} model: only BPE and unigram models can be pruned")
    return model


def read_words(path: Path) -> set[str]:
    """The words to keep, one a line, in lower case. Raises CourseError for an empty or non-UTF-8 list."""
    try:
        words = {word.lower() for word in path.read_text(encoding="utf-8").split()}
    except FileNotFoundError:
        raise CourseError(f"{path} is missing: name a text file with one English word a line") from None
    except UnicodeDecodeError as error:
        raise CourseError(f"{path}: byte {error.start} is not UTF-8: save the word list as UTF-8") from None
    if not words:
        raise CourseError(f"{path} is empty: it should list one English word a line")
    return words


# ------------------------------------------------------------------ policy


@cache
def _to_simplified():
    import opencc

    return opencc.OpenCC("t2s").convert


@cache
def script(piece: str) -> str:
    """What a piece is made of: 'simplified Chinese', 'traditional Chinese', 'digits and punctuation', or the
    name of its Unicode script ('Latin', 'Cyrillic' …); 'mixed' when it is several."""
    text = piece.replace(SPACE, "")
    kinds = {_script_of(char) for char in text} - {"Common"}
    if not kinds:
        return "digits and punctuation"
    if kinds == {"Han"}:
        return "simplified Chinese" if _to_simplified()(text) == text else "traditional Chinese"
    return kinds.pop() if len(kinds) == 1 else "mixed"


# Scripts of CLDR's languages, most frequent in multilingual vocabularies first; `regex` tests Unicode's property.
SCRIPTS = (
    "Han", "Latin", "Cyrillic", "Arabic", "Hiragana", "Katakana", "Hangul", "Hebrew", "Greek", "Thai", "Devanagari",
    "Bengali", "Tamil", "Telugu", "Georgian", "Armenian", "Ethiopic", "Khmer", "Lao", "Myanmar", "Sinhala", "Gujarati",
    "Kannada", "Malayalam", "Gurmukhi", "Tibetan", "Mongolian", "Bopomofo",
)  # fmt: skip


@cache
def _script_of(char: str) -> str:
    import regex

    if regex.match(r"\p{Script=Common}|\p{Script=Inherited}", char):
        return "Common"
    return next((name for name in SCRIPTS if regex.match(rf"\p{{Script={name}}}", char)), "other scripts")


def is_wanted(piece: str, words: set[str]) -> bool:
    """Whether the policy keeps a normal piece for its own sake.

    Kept: Chinese that simplified text uses, digits, punctuation and symbols, single ASCII letters in both cases,
    and the listed English words in lower case, with or without the leading space.
    """
    text = piece.replace(SPACE, "")
    kind = script(piece)
    if kind == "Latin":
        return text.isascii() and (len(text) == 1 or text in words)
    if kind == "digits and punctuation":
        return all(_is_plain(char) for char in text)
    return kind == "simplified Chinese"


@cache
def _is_plain(char: str) -> bool:
    """Digits, punctuation, spaces and symbols, but no control characters, modifiers or pictographs beyond the BMP."""
    return ord(char) < 0x10000 and unicodedata.category(char)[0] in "NPSZ"


def merge_path(piece: str, scores: dict[str, float]) -> set[str]:
    """All pieces that BPE passes through while it builds ``piece``: its characters and each merge.

    The algorithm is SentencePiece's: again and again merge the adjacent pair with the best score, leftmost first.
    """
    parts = list(piece)
    path = set(parts)
    while len(parts) > 1:
        candidates = [(-scores[a + b], i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in scores]  # noqa: B905
        if not candidates:
            break
        _, i = min(candidates)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
        path.add(parts[i])
    return path


# ------------------------------------------------------------------ pruning


def prune(model, words: set[str], *, closure: bool = True):
    """-> (pruned ModelProto, id map old → new, reasons counted).

    ``closure=False`` deletes pieces naively, as a lesson: BPE pieces built through deleted ones die.
    Control, unknown, byte and user-defined pieces always stay. Missing chat marks and padding are added.
    """
    from sentencepiece import sentencepiece_model_pb2 as pb

    normal = pb.ModelProto.SentencePiece.NORMAL
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == normal}
    wanted = {text for text in scores if is_wanted(text, words)}
    built_from = set()
    if closure and model.trainer_spec.model_type == pb.TrainerSpec.BPE:
        built_from = {part for text in wanted for part in merge_path(text, scores)} & scores.keys() - wanted

    pruned = pb.ModelProto()
    pruned.CopyFrom(model)
    del pruned.pieces[:]
    id_map, reasons = {}, Counter()
    for old_id, piece in enumerate(model.pieces):
        if piece.type != normal or piece.piece in wanted or piece.piece in built_from:
            id_map[old_id] = len(pruned.pieces)
            pruned.pieces.append(piece)
            reason = "special" if piece.type != normal else "merge closure" if piece.piece in built_from else "wanted"
            reasons[reason] += 1
    _add_marks(pruned, pb)
    # No piece for a space that is not there, and no space lost: the model becomes lossless, Chinese one token cheaper.
    pruned.normalizer_spec.add_dummy_prefix = False
    pruned.normalizer_spec.remove_extra_whitespaces = False
    pruned.trainer_spec.vocab_size = len(pruned.pieces)
    return pruned, id_map, dict(reasons)


def _add_marks(pruned, pb) -> None:
    have = {piece.piece for piece in pruned.pieces}
    for mark, kind in ((PAD, "CONTROL"), (USER, "USER_DEFINED"), (ASSISTANT, "USER_DEFINED")):
        if mark not in have:
            pruned.pieces.add(piece=mark, score=0.0, type=pb.ModelProto.SentencePiece.Type.Value(kind))
    if pruned.trainer_spec.pad_id < 0:
        pruned.trainer_spec.pad_id = next(i for i, piece in enumerate(pruned.pieces) if piece.piece == PAD)
        pruned.trainer_spec.pad_piece = PAD


def processor(model):
    """A SentencePiece processor of the model that adds and removes no spaces."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    bare = pb.ModelProto()
    bare.CopyFrom(model)
    bare.normalizer_spec.add_dummy_prefix = False
    bare.normalizer_spec.remove_extra_whitespaces = False
    return sentencepiece.SentencePieceProcessor(model_proto=bare.SerializeToString())


def dead_pieces(model) -> list[str]:
    """Normal pieces that their own text does not encode to: rows of the table that no text can ever reach."""
    from sentencepiece import sentencepiece_model_pb2 as pb

    encoder = processor(model)
    normal = pb.ModelProto.SentencePiece.NORMAL
    rows = [(i, piece.piece) for i, piece in enumerate(model.pieces) if piece.type == normal]
    encoded = encoder.encode([text.replace(SPACE, " ") for _, text in rows])
    return [text for (i, text), ids in zip(rows, encoded, strict=True) if ids != [i]]


def scripts(model) -> dict[str, int]:
    """Number of normal pieces by script, most frequent first."""
    from sentencepiece import sentencepiece_model_pb2 as pb

    normal = pb.ModelProto.SentencePiece.NORMAL
    return dict(Counter(script(p.piece) for p in model.pieces if p.type == normal).most_common())


def fertility(model, texts: Iterable[str]) -> float:
    """Tokens per character over the texts."""
    encoder = processor(model)
    texts = list(texts)
    return sum(map(len, encoder.encode(texts))) / sum(map(len, texts))


# ------------------------------------------------------------------ Hugging Face


def fast_tokenizer(model):
    """-> a ``PreTrainedTokenizerFast`` with the ids of the SentencePiece model and the course's chat template.

    Raises CourseError for unigram models that normalise text, which this course's tokenizers do not.
    """
    from sentencepiece import sentencepiece_model_pb2 as pb
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    types = pb.ModelProto.SentencePiece
    unknown = next(p.piece for p in model.pieces if p.type == types.UNKNOWN)
    if model.trainer_spec.model_type == pb.TrainerSpec.BPE:
        vocabulary = {piece.piece: i for i, piece in enumerate(model.pieces)}
        core = models.BPE(vocabulary, _merges(model), unk_token=unknown, fuse_unk=True, byte_fallback=True)
    else:
        table = [(piece.piece, piece.score) for piece in model.pieces]
        core = models.Unigram(table, model.trainer_spec.unk_id, byte_fallback=True)
    tokenizer = Tokenizer(core)
    steps = [normalizers.Replace(" ", SPACE)]
    if model.normalizer_spec.precompiled_charsmap:
        steps.insert(0, normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=True)
            for piece in model.pieces
            if piece.type in (types.CONTROL, types.USER_DEFINED, types.UNKNOWN)
        ]
    )
    spec = model.trainer_spec
    name = lambda i: model.pieces[i].piece  # noqa: E731
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        bos_token=name(spec.bos_id),
        eos_token=name(spec.eos_id),
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _merges(model) -> list[tuple[str, str]]:
    """BPE merges in the order in which SentencePiece would make them: best score of the result first."""
    from sentencepiece import sentencepiece_model_pb2 as pb

    normal = pb.ModelProto.SentencePiece.NORMAL
    ids = {piece.piece: i for i, piece in enumerate(model.pieces) if piece.type == normal}
    merges = []
    for piece in sorted((p for p in model.pieces if p.piece in ids), key=lambda p: -p.score):
        text = piece.piece
        splits = [(text[:i], text[i:]) for i in range(1, len(text))]
        merges += sorted((s for s in splits if s[0] in ids and s[1] in ids), key=lambda s: (ids[s[0]], ids[s[1]]))
    return merges


# ------------------------------------------------------------------ the stage


def prune_tokenizer(old: Path, out: Path, retain_words: Path, *, force: bool = False) -> artifacts.Manifest:
    """Prune ``old`` and write ``tokenizer.model``, the Hugging Face tokenizer, ``id_map.json`` and ``report.json``.

    ``out`` is a folder, or a file name ending in ``.model``: then the folder is that name without the ending, and a
    copy of the pruned model is laid at the file name too. Nothing foreign is overwritten.
    """
    if out.suffix == ".model":
        return _prune_to_file(old, out, retain_words, force)
    load_model(old)  # say what is wrong with the input before anything is made
    words = read_words(retain_words)

    def make(folder: Path) -> dict:
        model = load_model(old)
        pruned, id_map, reasons = prune(model, words)
        (folder / "tokenizer.model").write_bytes(pruned.SerializeToString())
        fast_tokenizer(pruned).save_pretrained(folder)
        artifacts.write_json(folder / "id_map.json", id_map)
        report = {
            "pieces": {"before": len(model.pieces), "after": len(pruned.pieces)},
            "kept": reasons,
            "scripts": {"before": scripts(model), "after": scripts(pruned)},
            "dead_pieces": {"before": dead_pieces(model), "after": dead_pieces(pruned)},
        }
        artifacts.write_json(folder / "report.json", report)
        return {
            "pieces": len(pruned.pieces),
            "pruned_from": len(model.pieces),
            "dead": len(report["dead_pieces"]["after"]),
        }

    return artifacts.build(
        out,
        make,
        stage="tokenizer_pruning",
        settings={"chat_template": CHAT_TEMPLATE},
        inputs=[old, retain_words],
        force=force,
    )


def _prune_to_file(old: Path, new: Path, retain_words: Path, force: bool) -> artifacts.Manifest:
    folder = new.with_suffix("")
    if new.resolve() == old.resolve():
        raise CourseError(f"{new} is the input itself: name another file for the pruned model")
    ours = artifacts.read_manifest(folder)
    if new.exists() and not (ours and artifacts.sha256(new) == ours.outputs.get("tokenizer.model")):
        raise CourseError(f"{new} exists and was not made by the course: name another file or move it away first")
    manifest = prune_tokenizer(old, folder, retain_words, force=force)
    partial = new.with_name(f".{new.name}.partial")
    shutil.copyfile(folder / "tokenizer.model", partial)
    partial.replace(new)
    return manifest


def load_tokenizer(folder: Path):
    """The Hugging Face tokenizer of a folder, from local files alone."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def read_report(folder: Path) -> dict:
    """The report of a pruning."""
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))
