"""Text becomes blocks without padding, and nothing of it is lost or read twice."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from course_utils import artifacts, corpora
from course_utils.corpora.loading import HELD_OUT_EVERY
from course_utils.corpora.reading import baike_text
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import load_tokenizer, pack
from course_utils.training import pretraining


@pytest.fixture(scope="module")
def tokenizer(walked):
    return load_tokenizer(artifacts.require(walked[0], "tokenizer_pruning"))


def test_packing_joins_documents_with_the_end_of_text_token(tokenizer):
    texts = ["北京是首都。", "大熊猫吃竹子。"] * 10
    stream = [
        i for text in texts for i in (*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)
    ]
    packed = pack(tokenizer, texts, 16)
    assert packed.dtype == np.uint16
    assert packed.ravel().tolist() == stream[: len(stream) // 16 * 16]


def test_held_out_documents_are_not_trained_on(walked, tokenizer, tmp_path):
    profile, _ = walked
    train, held_out = pretraining.training_blocks(profile, "common", tokenizer, tmp_path)
    read = {name: corpora.load_corpus(profile, name)["text"][:] for name in profile.mix["common"]}
    kept = tokenizer.decode(np.concatenate(train["input_ids"][:]).tolist())
    apart = tokenizer.decode(np.concatenate(held_out["input_ids"][:]).tolist())
    for texts in read.values():
        assert texts[1].splitlines()[0] in kept
        assert texts[HELD_OUT_EVERY].replace("\n", "")[:30] not in kept.replace("\n", "")
    assert all(texts[0].replace("\n", "")[:30] in apart.replace("\n", "") for texts in read.values())


def test_the_mix_says_how_often_a_corpus_is_read(walked, tokenizer, tmp_path):
    profile, _ = walked
    part, once, more, thrice = (
        pretraining.training_blocks(replace(profile, mix={"common": {"wiki": n}}), "common", tokenizer, tmp_path)[0]
        for n in (0.4, 1, 1.4, 3)
    )
    assert len(thrice) == 3 * len(once) and len(part) == round(0.4 * len(once)) == len(more) - len(once)
    read = [tuple(ids) for ids in part["input_ids"][:]]
    assert len(set(read)) == len(read) and set(read) <= {tuple(ids) for ids in once["input_ids"][:]}
    assert read != [tuple(ids) for ids in once["input_ids"][: len(part)]], "drawn from all of it"
    assert thrice[len(thrice) - 1]["input_ids"] == once[len(once) - 1]["input_ids"]
    assert thrice[0]["input_ids"] == once[0]["input_ids"] == thrice[len(once)]["input_ids"]


def test_a_batch_asks_for_each_token_after_those_before_it(walked, tokenizer, tmp_path):
    train, _ = pretraining.training_blocks(walked[0], "common", tokenizer, tmp_path)
    batch = pretraining.as_batch([train[i] for i in range(3)])
    assert batch["input_ids"].shape == (3, walked[0].pretraining.block_size) and batch["input_ids"].dtype == torch.int64
    assert (batch["labels"] == batch["input_ids"]).all()


def test_a_corpus_too_small_for_a_block_is_an_error(walked, tokenizer, tmp_path):
    profile = replace(walked[0], pretraining=replace(walked[0].pretraining, block_size=10**6))
    with pytest.raises(CourseError, match="too small for blocks of 1000000 tokens"):
        pretraining.training_blocks(profile, "common", tokenizer, tmp_path)


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
    assert baike_text(row) == "泉州\n地理\n在福建。"
    assert baike_text({"title": "泉州", "summary": "城市。", "sections": None}) == "泉州\n城市。"
