"""A fast Hugging Face tokenizer (Rust) out of a SentencePiece model, with the same ids on every text.

In comes a ``ModelProto``; out comes a ``PreTrainedTokenizerFast`` with the course's chat template, which any program
loads with ``AutoTokenizer``.

The one idea: SentencePiece's BPE merges whichever neighbours spell a piece, best score first; a ranked list of all the
ways in which two pieces spell a third says the same to the Rust library. Cost: under a second for 36 thousand pieces.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from .sentencepiece_models import SPACE, is_bpe, normal_pieces

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
SPEAKERS = ("<|user|>", "<|assistant|>", "<|system|>")  # a mark for each role of a conversation
# One template for every model of the course. `generation` marks what the assistant says, for the loss. Behind the marks
# stand 问：and 答：, as in ChatGLM2's own prompt (https://huggingface.co/THUDM/chatglm2-6b) and in texts that ask and
# answer: a small model finds what it has read far better where a question looks as it did there.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "答：{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% elif message['role'] == 'user' %}{{ '问：' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] }}"
    "{% else %}{{ raise_exception('a turn is of the user, the assistant or the system, not: ' + message['role']) }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>答：' }}{% endif %}"
)


def add_marks(model) -> None:
    """Give the model the pieces that the chat template and the training need, where it has none: ends of a text,
    padding, and who speaks."""
    spec, types = model.trainer_spec, model.SentencePiece
    ids = {piece.piece: i for i, piece in enumerate(model.pieces)}

    def add(mark: str, kind: int) -> int:
        if mark not in ids:
            ids[mark] = len(model.pieces)
            model.pieces.add(piece=mark, score=0.0, type=kind)
        return ids[mark]

    for name, mark in (("bos", BOS), ("eos", EOS), ("pad", PAD)):
        if getattr(spec, f"{name}_id") < 0:
            setattr(spec, f"{name}_id", add(mark, types.CONTROL))
            setattr(spec, f"{name}_piece", mark)
    for mark in SPEAKERS:
        add(mark, types.USER_DEFINED)
    spec.vocab_size = len(model.pieces)


def fast_tokenizer(model):
    """-> a ``PreTrainedTokenizerFast`` with the ids of ``sentencepiece_models.processor(model)``.

    Meant otherwise: control pieces such as ``</s>`` that stand in a text are taken for what they name. With
    ``split_special_tokens=True`` they are plain text, as for SentencePiece, and so are the marks of who speaks.
    Known limits, of the Rust library: where a model normalises text (this course's do not), letters with combining
    marks may come out otherwise; where two cuts of a unigram model are equally probable (a run of one character), it
    may take the other one.
    Raises CourseError for a model without the marks that ``add_marks`` gives.
    """
    from tokenizers import Tokenizer, decoders, normalizers
    from transformers import PreTrainedTokenizerFast

    spec = model.trainer_spec
    if min(spec.bos_id, spec.eos_id, spec.pad_id) < 0:
        raise CourseError("the tokenizer model has no begin, end or padding piece: prune it first, that adds them")
    tokenizer = Tokenizer(_bpe(model) if is_bpe(model) else _unigram(model))
    if not is_bpe(model):
        tokenizer.pre_tokenizer = _cut_names(model)
    steps = [normalizers.Replace(" ", SPACE)]
    if model.normalizer_spec.precompiled_charsmap:
        steps.insert(0, normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(_added(model))
    marks = {f"{name}_token": model.pieces[getattr(spec, f"{name}_id")].piece for name in ("unk", "bos", "eos", "pad")}
    options = {"clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks, **options)


def _bpe(model):
    """Merges in the order in which SentencePiece would make them: best score of the result first."""
    from tokenizers import models

    ids, scores, merges = {piece.piece: i for i, piece in enumerate(model.pieces)}, normal_pieces(model), []
    for text in sorted(scores, key=lambda piece: -scores[piece]):
        splits = ((text[:i], text[i:]) for i in range(1, len(text)))
        splits = [(left, right) for left, right in splits if left in scores and right in scores]
        merges += sorted(splits, key=lambda split: (ids[split[0]], ids[split[1]]))
    spec = model.trainer_spec
    unknown = model.pieces[spec.unk_id].piece
    return models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=spec.byte_fallback)


def _unigram(model):
    """Scores as they are; a piece of the user's own gets the one that makes it beat every other cut, as SentencePiece
    has it."""
    from tokenizers import models

    best = max(0.0, *normal_pieces(model).values())
    table = [(p.piece, len(p.piece) * best - 0.1 if p.type == p.USER_DEFINED else p.score) for p in model.pieces]
    return models.Unigram(table, model.trainer_spec.unk_id, byte_fallback=model.trainer_spec.byte_fallback)


def _cut_names(model):
    """A step that cuts a text within the names of pieces that no text may become, such as ``<0x41>``: the Rust
    library's unigram model knows no types of pieces and would take the six characters for the byte."""
    from tokenizers import Regex, pre_tokenizers

    names = {token.content for token in _added(model)} | {f"<0x{byte:02X}>" for byte in range(256)}
    inner = "|".join(f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})" for name in sorted(names) if len(name) > 1)
    return pre_tokenizers.Split(Regex(inner), "isolated")


def _added(model) -> list:
    """The pieces that are found in a text before it is cut: controls, the unknown one, the user's own."""
    from tokenizers import AddedToken

    # A piece with a space in it is looked for in the normalised text, where a space is its sign. A unigram model
    # weighs it like any other piece, see ``_unigram``.
    return [
        AddedToken(
            piece.piece,
            normalized=SPACE in piece.piece,
            special=piece.type != piece.USER_DEFINED or piece.piece in SPEAKERS,
        )
        for piece in model.pieces
        if piece.type in (piece.CONTROL, piece.USER_DEFINED, piece.UNKNOWN)
        and (is_bpe(model) or SPACE not in piece.piece)
    ]


def load_tokenizer(folder: Path):
    """The Hugging Face tokenizer of a folder, from local files alone. Raises CourseError where they are not whole."""
    from transformers import AutoTokenizer

    with artifacts.whole(folder):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def bare(tokenizer):
    """A copy of the Rust tokenizer behind a Hugging Face one, without the padding and truncation that calls leave in
    it: every use of the backend begins here."""
    from tokenizers import Tokenizer

    rust = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    rust.no_padding()
    rust.no_truncation()
    return rust


def plain_ids(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The ids of texts in which ``</s>`` is four characters of text, whatever calls have left in the tokenizer."""
    rust = tokenizer.backend_tokenizer
    with kept_as_found(tokenizer):
        rust.no_padding()
        rust.no_truncation()
        rust.encode_special_tokens = True
        return [encoding.ids for encoding in rust.encode_batch_fast(list(texts), add_special_tokens=False)]


@contextmanager
def kept_as_found(tokenizer) -> Iterator[None]:
    """Within this context calls may change the tokenizer's padding and truncation, and what marks in a text are to it;
    after it they are as before."""
    rust, sides = tokenizer.backend_tokenizer, (tokenizer.padding_side, tokenizer.truncation_side)
    padding, truncation, marks = rust.padding, rust.truncation, rust.encode_special_tokens
    try:
        yield
    finally:
        rust.encode_special_tokens = marks
        tokenizer.padding_side, tokenizer.truncation_side = sides
        rust.enable_padding(**padding) if padding else rust.no_padding()
        rust.enable_truncation(**truncation) if truncation else rust.no_truncation()


def save_tokenizer(tokenizer, folder: Path) -> None:
    """Save a tokenizer as ``AutoTokenizer`` reads it, without the padding and truncation of earlier calls."""
    with kept_as_found(tokenizer):
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.save_pretrained(folder)
