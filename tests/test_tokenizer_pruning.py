"""A pruned tokenizer is smaller, loses no text and has no dead row."""

import io
import json

import pytest

from course_utils import tokenizer_pruning as pruning
from course_utils.corpora import read_jsonl
from course_utils.errors import CourseError

from .conftest import REPOSITORY

OLD, LIST = REPOSITORY / "data/tokenizer/multilingual.model", REPOSITORY / "data/retain_en.txt"
MODEL = pruning.load_model(OLD)
WORDS = pruning.read_words(LIST)
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRUNED, ID_MAP, _ = pruning.prune(MODEL, WORDS)
PLAIN = pruning.processor(PRUNED)


def normal(model) -> list[str]:
    return [piece.piece for piece in model.pieces if piece.type == 1]


def test_it_is_smaller_and_keeps_every_simplified_piece():
    assert len(PRUNED.pieces) < 0.9 * len(MODEL.pieces)
    wanted = {piece for piece in normal(MODEL) if pruning.script(piece) == "simplified Chinese"}
    assert wanted <= set(normal(PRUNED))


def test_no_piece_is_dead():
    assert pruning.dead_pieces(PRUNED) == []


def test_deleting_pieces_without_their_merges_kills_others():
    naive, _, _ = pruning.prune(MODEL, WORDS, closure=False)
    assert pruning.dead_pieces(naive), "the notebook's lesson needs an example"


def test_other_scripts_are_gone():
    left = set(pruning.scripts(PRUNED))
    assert not left & {"Hangul", "Cyrillic", "Arabic", "Hebrew", "Thai", "Devanagari", "Greek"}


def test_kanji_that_no_chinese_table_has_are_no_simplified_chinese():
    """GB 2312 or the Table of General Standard Chinese Characters decides: 気 stands in neither, 祎 in the second."""
    assert [pruning.script(char) for char in "気実発対楽黒亀"] == ["other Han"] * 7
    assert [pruning.script(text) for text in ("氣", "發展")] == ["traditional Chinese"] * 2
    assert [pruning.script(text) for text in ("气", "祎", "喆", "乾隆", "毕昇")] == ["simplified Chinese"] * 5
    kept = set(normal(PRUNED))
    assert not kept & set("気実発対楽") and {"气", "实", "发"} <= kept


def test_an_old_id_and_its_new_one_name_the_same_piece():
    assert all(MODEL.pieces[old].piece == PRUNED.pieces[new].piece for old, new in ID_MAP.items())


def test_capital_letters_are_letters_not_bytes():
    assert not any(PRUNED.pieces[i].piece.startswith("<0x") for i in PLAIN.encode(CAPITALS))


def test_the_default_policy():
    kept = {"北京", "乾", "毕昇", "▁the", "the", "A", "z", "7", "！", "，", "£", "①", "★"}
    dropped = {"臺灣", "台灣", "國", "の", "▁The", "é", "😀", "Ж", "\x07", "▁🙂", "ー", "µ", "\u200b", "✓"}
    assert {piece for piece in kept | dropped if pruning.is_wanted(piece, {"the"})} == kept


def test_options_keep_what_they_name():
    assert pruning.is_wanted("國", set(), keep_traditional=True) and not pruning.is_wanted("國", set())
    assert pruning.with_capitals({"the"}) == {"the", "The"}


def test_a_policy_of_ones_own():
    def latin(piece, words):
        return piece in words or pruning.script(piece) == "Latin"

    mine, _, _ = pruning.prune(MODEL, {"北"}, wanted=latin)
    assert set(normal(mine)) == {"北", "▁"} | {piece for piece in normal(MODEL) if pruning.script(piece) == "Latin"}
    assert pruning.dead_pieces(mine) == []


def unigram():
    """A small unigram model of the embedded articles."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    rows = read_jsonl(REPOSITORY / "data/baike/baike.jsonl.gz")
    articles = [row["summary"] for row in rows if "问答" not in row["tags"]][:600]
    lines = [line + "。" for text in articles for line in text.split("。") if line]
    lines += ["Привет мир, как дела", "the name of the box", "안녕하세요 세계"] * 60
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="unigram", vocab_size=2_000, byte_fallback=True,
        normalization_rule_name="identity", minloglevel=2, num_threads=1, hard_vocab_limit=False,
    )  # fmt: skip
    return pb.ModelProto.FromString(out.getvalue())


def test_a_unigram_model_is_pruned_too():
    model = unigram()
    pruned, _, _ = pruning.prune(model, {"name", "the"})
    assert set(pruning.dead_pieces(pruned)) <= set(pruning.dead_pieces(model))
    assert not set(pruning.scripts(pruned)) & {"Cyrillic", "Hangul"}
    assert pruning.scripts(pruned)["simplified Chinese"] == pruning.scripts(model)["simplified Chinese"]
    encoder, text = pruning.processor(pruned), "北京是 the 城市 мир 안녕😀"
    assert encoder.decode(encoder.encode(text)) == text


@pytest.mark.parametrize("make_model", [lambda: MODEL, unigram])
def test_added_words_are_one_token_and_kill_nothing(make_model):
    model = make_model()
    words = {"reluctant", "reluctantly", "bonbon", "name", "zebra"}
    full = pruning.add_words(model, words)
    pruned, _, _ = pruning.prune(full, words)
    encoder = pruning.processor(pruned)
    assert all(len(encoder.encode(form)) == 1 for word in words for form in (word, f" {word}"))
    assert set(pruning.dead_pieces(full)) | set(pruning.dead_pieces(pruned)) <= set(pruning.dead_pieces(model))
    old = pruning.processor(model)
    for text in ("北京是中国的首都。", "two rivers, 2026"):
        assert old.encode(text, out_type=str) == pruning.processor(full).encode(text, out_type=str)


def test_a_vocabulary_size_keeps_the_frequent_pieces_whole():
    texts = ["成都的特色美食有火锅。name"] * 5
    small, _, reasons = pruning.prune(MODEL, WORDS, vocab_size=600, texts=texts)
    assert len(small.pieces) == 600 == small.trainer_spec.vocab_size
    assert reasons["merge closure"] and pruning.dead_pieces(small) == []
    encoder, before = pruning.processor(small), pruning.processor(PRUNED)
    assert encoder.encode(texts[0], out_type=str) == before.encode(texts[0], out_type=str)
    assert not any(piece.startswith("<0x") for piece in encoder.encode("AZaz09", out_type=str))
    same, _, _ = pruning.prune(MODEL, WORDS, vocab_size=10**6)
    assert same == PRUNED
    with pytest.raises(CourseError, match="leaves room for"):
        pruning.prune(MODEL, WORDS, vocab_size=300)


def test_the_real_chatglm_tokenizer(shared_file, tmp_path):
    old = shared_file("chatglm2-tokenizer.model")
    model = pruning.load_model(old)
    words = shared_file("reference-retain_en.txt")
    manifest = pruning.prune_tokenizer(old, tmp_path / "small", words, hidden_size=768)
    assert manifest.seconds < 30
    pruned, report = pruning.load_model(tmp_path / "small/tokenizer.model"), pruning.read_report(tmp_path / "small")
    assert report["pieces"]["after"] == len(pruned.pieces) <= 36_500
    assert set(report["dead_pieces"]["after"]) <= {"CCTV"} == set(report["dead_pieces"]["before"])
    assert all(report["lossless"].values())
    assert report["fertility"]["Chinese"]["change"] <= 0.01
    chinese = {piece for piece in normal(model) if pruning.script(piece) == "simplified Chinese"}
    assert chinese <= set(normal(pruned))
    assert not any(piece.startswith("<0x") for piece in pruning.processor(pruned).encode(CAPITALS, out_type=str))
    naive, _, _ = pruning.prune(model, pruning.read_words(words), closure=False)
    assert len(pruning.dead_pieces(naive)) > 300, "what the closure is for"


def test_the_real_chatglm_tokenizer_keeps_no_kanji(shared_file):
    pruned, _, reasons = pruning.prune(pruning.load_model(shared_file("chatglm2-tokenizer.model")), WORDS)
    kept = {piece for piece in normal(pruned) if len(piece) == 1}
    assert not kept & set("気実発対楽黒亀働囲図広円駅")
    assert set("气实发对乐黑龟动围图广圆驿") <= kept


def test_the_real_chatglm_tokenizer_with_missing_words(shared_file):
    model = pruning.load_model(shared_file("chatglm2-tokenizer.model"))
    words = pruning.with_capitals(pruning.read_words(shared_file("reference-retain_en.txt")))
    pruned, _, _ = pruning.prune(pruning.add_words(model, words), words)
    assert pruning.dead_pieces(pruned) == []
    encoder = pruning.processor(pruned)
    assert all(len(encoder.encode(form)) == 1 for word in words for form in (word, f" {word}"))


def test_the_report_says_what_was_done(tmp_path):
    out = tmp_path / "small"
    pruning.prune_tokenizer(OLD, out, LIST, hidden_size=10)
    report = pruning.read_report(out)
    gone = report["pieces"]["before"] - report["pieces"]["after"]
    assert report["each_table"] == {
        "hidden_size": 10, "parameters_saved": 10 * gone, "megabytes_saved": round(40 * gone / 1e6, 1)
    }  # fmt: skip
    for when, model in (("before", MODEL), ("after", PRUNED)):
        count = len(normal(model))
        assert sum(report["scripts"][when].values()) == sum(report["lengths"][when].values()) == count
    assert set(report["fertility"]) == {"Chinese", "English", "mixed", "code"}
    assert sum(report["kept"].values()) == len(ID_MAP)
    saved = json.loads((out / "id_map.json").read_text())
    assert {int(old): new for old, new in saved.items()} == ID_MAP


def test_added_words_have_no_old_id(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("zebra")
    pruning.prune_tokenizer(OLD, tmp_path / "small", words, hidden_size=10, add_missing=True, cased=True)
    pruned = pruning.load_model(tmp_path / "small/tokenizer.model")
    assert {"zebra", "▁zebra", "Zebra", "▁Zebra"} <= set(normal(pruned))
    id_map = json.loads((tmp_path / "small/id_map.json").read_text())
    assert all(MODEL.pieces[int(old)].piece == pruned.pieces[new].piece for old, new in id_map.items())
    assert len(id_map) < len(pruned.pieces)


def test_bad_word_lists(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    for name, problem in (("empty.txt", "is empty"), ("latin.txt", "byte 3 is not UTF-8"), ("gone.txt", "is missing")):
        with pytest.raises(CourseError, match=problem):
            pruning.read_words(tmp_path / name)


def test_a_word_list_saved_by_notepad(tmp_path):
    (tmp_path / "words.txt").write_bytes("\ufeffThe\r\nriver\r\n".encode())
    assert pruning.read_words(tmp_path / "words.txt") == {"the", "river"}


def test_the_input_is_never_the_output(tmp_path):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine/a.model"
    path.write_bytes(OLD.read_bytes())
    for out, problem in ((path, "is the input itself"), (tmp_path / "mine", "lies in the output folder")):
        with pytest.raises(CourseError, match=problem):
            pruning.prune_tokenizer(path, out, LIST, hidden_size=10)
    assert path.read_bytes() == OLD.read_bytes() and len(list((tmp_path / "mine").iterdir())) == 1
