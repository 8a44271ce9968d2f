"""Read a SentencePiece model and ask about it: which pieces, of which script, reachable or dead, how long a text gets.

In comes a ``.model`` file, a protobuf with one record a piece (its text, its score, its type); the functions take the
parsed ``ModelProto``.

The one idea: what a piece *is* follows from Unicode and OpenCC alone, and whether it can be *reached* is asked of
SentencePiece itself. Cost: about a second for 65 thousand pieces.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path

from ..errors import CourseError

SPACE = "▁"  # how SentencePiece writes a space


def load_model(path: Path):
    """-> the SentencePiece model as a protobuf ``ModelProto``.

    Raises CourseError when the file is missing, is not a SentencePiece model, or is of a type that cannot be pruned.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2 as pb

    if not path.is_file():
        raise CourseError(f"{path} is missing: name a SentencePiece .model file")
    model = pb.ModelProto()
    with suppress(DecodeError):
        model = pb.ModelProto.FromString(path.read_bytes())
    if not model.pieces:
        problem = "is not a SentencePiece model: expected the .model file of a BPE or unigram tokenizer"
        raise CourseError(f"{path} {problem}")
    spec = model.trainer_spec
    if spec.model_type not in (spec.BPE, spec.UNIGRAM):
        kind = spec.ModelType.Name(spec.model_type).lower()
        raise CourseError(f"{path} is a {kind} model: only BPE and unigram models can be pruned")
    try:
        processor(model)
    except RuntimeError:  # it parses, but pieces are missing or double
        raise CourseError(f"{path} is damaged: SentencePiece cannot load it; download it again") from None
    return model


def is_bpe(model) -> bool:
    """Whether the pieces are merged (BPE) or chosen by probability (unigram)."""
    return model.trainer_spec.model_type == model.trainer_spec.BPE


def normal_pieces(model) -> dict[str, float]:
    """Text -> score of the pieces that text is cut into: no control, unknown, byte or user-defined ones."""
    return {piece.piece: piece.score for piece in model.pieces if piece.type == piece.NORMAL}


def add_no_spaces(model) -> None:
    """Let the model put no space before a text and drop none from it: Chinese has no first word, code has indents."""
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False


def processor(model):
    """A SentencePiece processor of the model that adds and removes no spaces."""
    import sentencepiece

    bare = deepcopy(model)
    add_no_spaces(bare)
    return sentencepiece.SentencePieceProcessor(model_proto=bare.SerializeToString())


@cache
def _to_simplified():
    import opencc

    return opencc.OpenCC("t2s").convert


@cache
def _beyond_gb2312() -> frozenset[str]:
    table = Path(__file__).with_name("standard_characters.txt").read_text(encoding="utf-8")
    return frozenset("".join(line for line in table.splitlines() if not line.startswith("#")))


def is_standard(char: str) -> bool:
    """Whether a Han character is one of China's standard characters: of GB 2312 (1980) or of the Table of General
    Standard Chinese Characters (通用规范汉字表, 2013), or 〇, the zero of 二〇一九年, which both leave to the signs."""
    return char == "〇" or encodes(char, "gb2312") or char in _beyond_gb2312()


def is_simplified(text: str) -> bool:
    """Whether simplified Chinese uses this text of Han characters: standard characters all of them, and no traditional
    way of writing a word.

    Of words OpenCC decides, and errs on what it has no word for. GB 2312, the older character set, puts two things
    right. A character alone counts when GB 2312 has it: OpenCC takes 乾 for traditional (simplified 干), and yet
    simplified text writes 乾隆. And a text with a character that GB 2312 has and Big5, the traditional set, lacks is
    not traditional: 毕昇, of which OpenCC would change the second.
    """
    if not all(map(is_standard, text)):
        return False
    if _to_simplified()(text) == text or (len(text) == 1 and encodes(text, "gb2312")):
        return True
    return any(encodes(char, "gb2312") and not encodes(char, "big5") for char in text)


def encodes(text: str, codec: str) -> bool:
    """Whether a character set has room for every character of the text."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


@cache
def script(piece: str) -> str:
    """What a piece is made of: 'simplified Chinese', 'traditional Chinese', 'other Han' (kanji such as 気, dialects,
    rare characters), 'digits and punctuation', or the name of its Unicode script ('Latin', 'Cyrillic' …); 'mixed' when
    it is several."""
    text = piece.replace(SPACE, "")
    kinds = set(map(_script_of, text)) - {"Common"}
    if not kinds:
        return "digits and punctuation"
    if kinds == {"Han"}:
        if is_simplified(text):
            return "simplified Chinese"
        return "other Han" if _to_simplified()(text) == text else "traditional Chinese"
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


def dead_pieces(model) -> list[str]:
    """Normal pieces that their own text does not encode to: rows of the table that no text can ever reach."""
    encoder, pieces = processor(model), list(normal_pieces(model))
    encoded = encoder.encode([piece.replace(SPACE, " ") for piece in pieces])
    return [piece for piece, ids in zip(pieces, encoded, strict=True) if ids != [encoder.piece_to_id(piece)]]


def scripts(model) -> dict[str, int]:
    """Number of normal pieces by script, most frequent first."""
    return dict(Counter(map(script, normal_pieces(model))).most_common())


def lengths(model) -> dict[int, int]:
    """Number of normal pieces by length in characters, the space sign not counted."""
    return dict(sorted(Counter(len(piece.replace(SPACE, "")) for piece in normal_pieces(model)).items()))


def fertility(model, texts: Iterable[str]) -> float:
    """Tokens per character over the texts."""
    texts = list(texts)
    return sum(map(len, processor(model).encode(texts))) / sum(map(len, texts))


def is_lossless(model, text: str) -> bool:
    """Whether a text comes back from its tokens as it went in, or as the model's own normalisation writes it."""
    encoder = processor(model)
    return encoder.decode(encoder.encode(text)) in (text, encoder.normalize(text).replace(SPACE, " "))
