"""A pruned tokenizer is smaller, loses no text and has no dead row."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils import tokenizer_pruning as pruning
from course_utils.errors import CourseError

from .conftest import REPOSITORY

MODEL = pruning.load_model(REPOSITORY / "data/tokenizer/multilingual.model")
WORDS = pruning.read_words(REPOSITORY / "data/retain_en.txt")
PRUNED, ID_MAP, _ = pruning.prune(MODEL, WORDS)
FAST = pruning.fast_tokenizer(PRUNED)
PLAIN = pruning.processor(PRUNED)


def normal(model) -> list[str]:
    return [piece.piece for piece in model.pieces if piece.type == 1]


def test_it_is_smaller_and_keeps_every_simplified_piece():
    assert len(PRUNED.pieces) < 0.7 * len(MODEL.pieces)
    wanted = {piece for piece in normal(MODEL) if pruning.script(piece) == "simplified Chinese"}
    assert wanted <= set(normal(PRUNED))


def test_no_piece_is_dead():
    assert pruning.dead_pieces(PRUNED) == []


def test_deleting_pieces_without_their_merges_kills_others():
    naive, _, _ = pruning.prune(MODEL, WORDS, closure=False)
    assert pruning.dead_pieces(naive), "the lesson of notebook 02 needs an example"


def test_other_scripts_are_gone():
    left = set(pruning.scripts(PRUNED))
    assert not left & {"Hangul", "Cyrillic", "Arabic", "Hebrew", "Thai", "Devanagari", "Greek"}


def test_an_old_id_and_its_new_one_name_the_same_piece():
    assert all(MODEL.pieces[old].piece == PRUNED.pieces[new].piece for old, new in ID_MAP.items())


@given(st.text(max_size=60))
def test_any_text_survives_a_round_trip(text):
    text = text.replace("▁", "")  # SentencePiece's own sign for a space
    assert PLAIN.decode(PLAIN.encode(text)) == text


SAFE = st.text(alphabet=st.characters(exclude_characters="▁", exclude_categories=["Cs"]), max_size=60)


@given(SAFE)
def test_the_fast_tokenizer_gives_sentencepieces_ids(text):
    if not any(mark in text for mark in ("<s>", "</s>", "<unk>", "<pad>", "<|")):
        assert FAST(text, add_special_tokens=False)["input_ids"] == PLAIN.encode(text)


@pytest.mark.parametrize(
    "text", ["北京  是\n首都。\t", "Hello  World 2026", "🎉猫🐈", "한국 Россия", " 空 格 ", "龘𠮷"]
)
def test_the_fast_tokenizer_on_spaces_newlines_emoji_and_rare_characters(text):
    ids = FAST(text, add_special_tokens=False)["input_ids"]
    assert ids == PLAIN.encode(text) and FAST.decode(ids) == text


def test_capital_letters_are_letters_not_bytes():
    assert not any(PRUNED.pieces[i].piece.startswith("<0x") for i in PLAIN.encode("ABCXYZ"))


def test_the_chat_template_marks_what_the_assistant_says():
    messages = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}]
    encoded = FAST.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    spoken = [i for i, says in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if says]
    assert FAST.decode(spoken) == "您好！</s>"
    prompt = FAST.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert FAST.decode(encoded["input_ids"]).startswith(prompt)


def test_a_unigram_model_is_pruned_too(tmp_path):
    import sentencepiece

    out = io.BytesIO()
    lines = ["北京是中国的首都", "上海是城市", "Привет мир", "hello world", "안녕하세요 세계"] * 40
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="unigram", vocab_size=320, byte_fallback=True,
        normalization_rule_name="identity", minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    (tmp_path / "unigram.model").write_bytes(out.getvalue())
    model = pruning.load_model(tmp_path / "unigram.model")
    pruned, _, _ = pruning.prune(model, {"hello"})
    assert pruning.dead_pieces(pruned) == []
    assert not set(pruning.scripts(pruned)) & {"Cyrillic", "Hangul"}
    encoder, fast = pruning.processor(pruned), pruning.fast_tokenizer(pruned)
    for text in ("北京是城市", "hello мир", "안녕 hello"):
        assert encoder.decode(encoder.encode(text)) == text
        assert fast(text, add_special_tokens=False)["input_ids"] == encoder.encode(text)


def test_the_real_chatglm_tokenizer(shared_file):
    model = pruning.load_model(shared_file("chatglm2-tokenizer.model"))
    pruned, _, _ = pruning.prune(model, pruning.read_words(shared_file("reference-retain_en.txt")))
    assert len(pruned.pieces) < 37_000
    assert set(pruning.dead_pieces(pruned)) <= set(pruning.dead_pieces(model))
    text = "中华人民共和国成立于1949年，首都北京。"
    assert pruning.fertility(pruned, [text]) <= 1.01 * pruning.fertility(model, [text])


def test_bad_word_lists(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    for name, problem in (("empty.txt", "is empty"), ("latin.txt", "byte 3 is not UTF-8"), ("gone.txt", "is missing")):
        with pytest.raises(CourseError, match=problem):
            pruning.read_words(tmp_path / name)


def test_the_input_is_never_the_output(tmp_path):
    path = tmp_path / "a.model"
    path.write_bytes(MODEL.SerializeToString())
    with pytest.raises(CourseError, match="is the input itself"):
        pruning.prune_tokenizer(path, path, REPOSITORY / "data/retain_en.txt")
    assert path.read_bytes() == MODEL.SerializeToString()
