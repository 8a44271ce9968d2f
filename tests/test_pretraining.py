"""Text becomes blocks without padding, and nothing of it is lost or read twice."""

import json
from dataclasses import replace

import numpy as np
import pytest

from course_utils import corpora, pretraining
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(walked):
    return load_tokenizer(walked[0].require("tokenizer_pruning"))


def test_packing_joins_documents_with_the_end_of_text_token(tokenizer):
    texts = ["北京是首都。", "大熊猫吃竹子。"] * 10
    stream = [
        i for text in texts for i in (*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)
    ]
    packed = pretraining.pack(tokenizer, texts, 16)
    assert packed.dtype == np.uint16
    assert packed.ravel().tolist() == stream[: len(stream) // 16 * 16]


def test_packing_to_a_file_gives_the_same_blocks_and_is_not_done_twice(tokenizer, tmp_path):
    texts = ["北京是首都。"] * 40
    path = tmp_path / "a.tokens"
    on_disk = pretraining.pack(tokenizer, texts, 16, path)
    assert np.array_equal(on_disk, pretraining.pack(tokenizer, texts, 16))
    again = pretraining.pack(tokenizer, iter(()), 16, path)
    assert np.array_equal(again, on_disk)


def test_held_out_documents_are_not_trained_on(walked, tokenizer):
    profile, _ = walked
    train, held_out = pretraining.training_blocks(profile, "common", tokenizer)
    read = {name: list(corpora.read_corpus(profile, name)) for name in profile.mix["common"]}
    kept = tokenizer.decode(np.concatenate(train).ravel().tolist())
    for texts in read.values():
        assert texts[1].splitlines()[0] in kept
        assert texts[pretraining.HELD_OUT_EVERY].replace("\n", "")[:30] not in kept.replace("\n", "")
    assert len(held_out) == 2


def test_the_mix_says_how_often_a_corpus_is_read(walked, tokenizer):
    profile, _ = walked
    once = pretraining.training_blocks(replace(profile, mix={"common": {"wiki": 1}}), "common", tokenizer)[0]
    thrice = pretraining.training_blocks(replace(profile, mix={"common": {"wiki": 3}}), "common", tokenizer)[0]
    blocks = pretraining.Blocks(thrice)
    assert len(blocks) == 3 * len(once[0])
    assert blocks[len(blocks) - 1]["input_ids"].tolist() == once[0][-1].tolist()
    assert blocks[0]["input_ids"].tolist() == once[0][0].tolist() == blocks[len(once[0])]["input_ids"].tolist()


def test_a_corpus_too_small_for_a_block_is_an_error(walked, tokenizer):
    profile = replace(walked[0], pretraining=replace(walked[0].pretraining, block_size=10**6))
    with pytest.raises(CourseError, match="too small for blocks of 1000000 tokens"):
        pretraining.training_blocks(profile, "common", tokenizer)


@pytest.mark.parametrize("line", [b"{broken", b"[1, 2]", b'"text"', b"\xff\xfe"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps({"text": "好"}).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(CourseError, match=r"rows.jsonl:3: not a JSON object"):
        list(corpora.read_jsonl(path))


def test_a_baike_article_reads_as_one_text():
    row = {
        "title": "泉州",
        "summary": None,
        "sections": [{"title": "地理", "content": "在福建。"}],
        "tags": [],
        "url": "",
    }
    assert corpora.baike_text(row) == "泉州\n地理\n在福建。"
    assert corpora.baike_text({"title": "泉州", "summary": "城市。", "sections": None}) == "泉州\n城市。"
