"""The Rust tokenizer and SentencePiece give the same ids, whatever is thrown at them."""

import io
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import tokenizer_pruning as pruning
from course_utils.corpora import read_jsonl
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning.fast_tokenizers import add_marks, fast_tokenizer
from course_utils.tokenizer_pruning.sentencepiece_models import is_lossless, processor

from .conftest import REPOSITORY, SHARED

WORDS = pruning.read_words(REPOSITORY / "data/retain_en.txt")
REAL = SHARED / "chatglm2-tokenizer.model"


@cache
def trained(kind: str, normalisation: str = "identity"):
    """A small SentencePiece model of the embedded articles, with marks and runs of spaces of its user's own."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    rows = read_jsonl(REPOSITORY / "data/baike/baike.jsonl.gz")
    articles = [row["summary"] for row in rows if "问答" not in row["tags"]][:400]
    lines = [line + "。" for text in articles for line in text.split("。") if line]
    lines += ["def area(r): return r ** 2", "Привет мир", "안녕하세요 세계", " the name of a box"] * 30
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type=kind, vocab_size=1_600, byte_fallback=True,
        normalization_rule_name=normalisation, user_defined_symbols=["<sep>", "▁▁▁▁"] if kind == "bpe" else ["<sep>"],
        hard_vocab_limit=False, num_threads=1, minloglevel=2,
    )  # fmt: skip
    return pb.ModelProto.FromString(out.getvalue())


@cache
def pair(name: str):
    """-> (the fast tokenizer, SentencePiece's) of a pruned model."""
    if name == "real" and not REAL.exists():
        pytest.skip(f"{REAL.name} is not beside this checkout: it is a real file that cannot be committed")
    files = {"embedded": REPOSITORY / "data/tokenizer/multilingual.model", "real": REAL}
    model = pruning.load_model(files[name]) if name in files else trained(*name.split("-"))
    pruned, _, _ = pruning.prune(model, WORDS)
    return fast_tokenizer(pruned), processor(pruned)


# What tokenizers stumble over: runs of spaces, line ends, controls, joined emoji, characters beyond the BMP, marks,
# the names of byte pieces, combining accents, syllables in parts, and the sign that SentencePiece writes for a space.
HARD = [
    " ", "  ", "     ", "\n", "\r\n", "\t", "\0", "\x07", "\x80", "\u200b", "\ufeff", "\u3000", "▁", "😀", "🇨🇳",
    "👩\u200d👩\u200d👧", "𠮷", "𪚥", "龘", "e\u0301", "ﬁ", "Ａ", "½", "ｶﾞ", "각", "ﷺ", "<0x41>", "<sep>", "<|user|>",
    "<|assistant|>", "<", "</", "hello", " world", "name", "XYZ", "2026", "北京", "是", "中国的", "首都", "乾隆", "。",
    "，", "한국", "Привет", "\U0010ffff",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), max_size=20).map("".join)
PATIENT = settings(deadline=None)  # the first example of a model trains or prunes it
CONTROL = re.compile("<s>|</s>|<unk>|<pad>")


@pytest.mark.parametrize("name", ["embedded", "real", "bpe"])
@PATIENT
@given(text=TEXTS)
def test_bpe_ids_are_sentencepieces_on_every_text(name, text):
    fast, plain = pair(name)
    text = CONTROL.sub("", text)
    assert fast(text, add_special_tokens=False)["input_ids"] == plain.encode(text)


@PATIENT
@given(text=TEXTS)
def test_unigram_ids_are_sentencepieces_on_every_text_but_for_the_order_of_ties(text):
    fast, plain = pair("unigram")
    text = CONTROL.sub("", text)
    by_fast, by_plain = fast(text, add_special_tokens=False)["input_ids"], plain.encode(text)
    assert sorted(by_fast) == sorted(by_plain)
    assert by_fast == by_plain or re.search(r"(.+)\1", text.replace(" ", "▁"), re.DOTALL)


@pytest.mark.parametrize("name", ["bpe-nmt_nfkc", "unigram-nmt_nfkc"])
@PATIENT
@given(text=TEXTS)
def test_a_normaliser_is_kept_and_agrees_where_nothing_combines(name, text):
    import regex

    fast, plain = pair(name)
    text = "".join(char for char in regex.findall(r"\X", CONTROL.sub("", text)) if len(char) == 1)
    text = "".join(char for char in regex.findall(r"\X", text) if len(char) == 1)  # neighbours may combine anew
    if all(len(char) == 1 for char in regex.findall(r"\X", text)):
        assert sorted(fast(text, add_special_tokens=False)["input_ids"]) == sorted(plain.encode(text))
    assert plain.normalize("Ａ½") == "A1⁄2"


@pytest.mark.parametrize("name", ["embedded", "real"])
@PATIENT
@given(text=st.lists(st.sampled_from(["<s>", "</s>", "<pad>", "<unk>", "<0x41>", *HARD]), max_size=12).map("".join))
def test_what_a_stranger_types_can_be_kept_from_becoming_marks(name, text):
    fast, plain = pair(name)
    ids = fast(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert not set(ids) & set(fast.all_special_ids)
    if "<|" not in text:
        assert ids == plain.encode(text)


@pytest.mark.parametrize("name", ["embedded", "real", "bpe", "unigram"])
@PATIENT
@given(text=TEXTS)
def test_any_text_survives_a_round_trip(name, text):
    fast, plain = pair(name)
    text = CONTROL.sub("", text).replace("▁", "")  # SentencePiece's own sign for a space
    assert plain.decode(plain.encode(text)) == text
    assert fast.decode(fast(text, add_special_tokens=False)["input_ids"]) == text


def test_a_model_without_byte_pieces_is_not_called_lossless():
    pruned, _, _ = pruning.prune(pruning.load_model(REPOSITORY / "data/tokenizer/multilingual.model"), WORDS)
    assert is_lossless(pruned, "𪚥")
    pieces = [piece for piece in pruned.pieces if piece.type != 6]  # 6: bytes
    del pruned.pieces[:]
    pruned.pieces.extend(pieces)
    pruned.trainer_spec.byte_fallback = False
    assert not is_lossless(pruned, "𪚥")


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_saved_tokenizer_is_read_back_the_same(kind, tmp_path):
    fast, plain = pair(kind)
    fast.save_pretrained(tmp_path)
    read = pruning.load_tokenizer(tmp_path)
    text = "北京是 中国的\n首都。<sep>😀<|user|>"
    assert read(text, add_special_tokens=False)["input_ids"] == plain.encode(text)
    assert (read.chat_template, read.eos_token, read.pad_token) == (fast.chat_template, "</s>", "<pad>")


def test_marks_are_added_once_and_ids_follow_them():
    from sentencepiece import sentencepiece_model_pb2 as pb

    bare = pb.ModelProto()
    bare.CopyFrom(trained("bpe"))
    pieces = [piece for piece in bare.pieces if piece.piece not in ("<s>", "</s>")]
    del bare.pieces[:]
    bare.pieces.extend(pieces)
    bare.trainer_spec.bos_id = bare.trainer_spec.eos_id = -1
    with pytest.raises(CourseError, match="no begin, end or padding piece"):
        fast_tokenizer(bare)
    for _ in range(2):
        add_marks(bare)
    names = [piece.piece for piece in bare.pieces]
    assert len(names) == len(set(names)) == len(pieces) + 6
    fast = fast_tokenizer(bare)
    assert [fast.bos_token_id, fast.eos_token_id, fast.pad_token_id] == [
        processor(bare).piece_to_id(mark) for mark in ("<s>", "</s>", "<pad>")
    ]


def test_the_chat_template_marks_what_the_assistant_says():
    fast, _ = pair("embedded")
    messages = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}]
    encoded = fast.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    spoken = [i for i, says in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if says]
    assert fast.decode(spoken) == "您好！</s>"
    prompt = fast.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert fast.decode(encoded["input_ids"]).startswith(prompt)
