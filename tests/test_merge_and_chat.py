"""Models answer the same whether asked one by one, in a batch, or streamed."""

from pathlib import Path

import pytest
import torch

from course_utils import merge_and_chat
from course_utils.tokenizer_pruning import pack, save_tokenizer
from course_utils.training import full_vs_lora_sft

QUESTIONS = ["北京的简称是什么？", "列举两种水果", "请介绍一下成都，越详细越好，谢谢。"]


@pytest.fixture(scope="module")
def model_and_tokenizer(walked):
    return merge_and_chat.load(walked[0].dir("full_vs_lora_sft", "common-full"))


def test_one_beam_takes_the_most_likely_token_again_and_again(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    ids = tokenizer(merge_and_chat.as_prompts(tokenizer, QUESTIONS[:1], True), return_tensors="pt",
                    add_special_tokens=False)["input_ids"]  # fmt: skip
    start = ids.shape[1]
    while ids.shape[1] < start + 12 and ids[0, -1] != tokenizer.eos_token_id:
        with torch.no_grad():
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    by_hand = tokenizer.decode(ids[0, start:], skip_special_tokens=True).strip()
    assert merge_and_chat.answer(model, tokenizer, QUESTIONS[:1], max_new_tokens=12) == [by_hand]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_gives_the_answers_of_single_questions_in_the_asked_order(model_and_tokenizer, beams):
    together = merge_and_chat.answer(*model_and_tokenizer, QUESTIONS, beams=beams, max_new_tokens=12)
    alone = [merge_and_chat.answer(*model_and_tokenizer, [q], beams=beams, max_new_tokens=12)[0] for q in QUESTIONS]
    assert together == alone


def test_a_streamed_answer_is_the_greedy_answer(model_and_tokenizer):
    streamed = "".join(merge_and_chat.stream_answer(*model_and_tokenizer, QUESTIONS[0]))
    assert streamed.strip() == merge_and_chat.answer(*model_and_tokenizer, QUESTIONS[:1])[0]


def test_a_model_that_fails_in_the_midst_of_an_answer_says_so(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer

    def fail(*args):
        raise RuntimeError("no memory")

    handle = model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        list(merge_and_chat.stream_answer(model, tokenizer, QUESTIONS[0]))
    handle.remove()


def test_a_tokenizer_used_in_every_way_is_as_it_was_and_gives_the_same_blocks(model_and_tokenizer, tmp_path):
    model, tokenizer = model_and_tokenizer
    texts, rust = ["北京是首都。", "大熊猫吃竹子和竹笋，也吃苹果。"] * 20, tokenizer.backend_tokenizer
    for call in ({}, {"padding": "max_length", "truncation": True, "max_length": 6}):  # as others may have left it
        tokenizer(texts, **call)
        found = rust.padding, rust.truncation, tokenizer.padding_side, tokenizer.truncation_side
        blocks = pack(tokenizer, texts, 16)
        merge_and_chat.answer(model, tokenizer, QUESTIONS, max_new_tokens=3)
        merge_and_chat.answer(model, tokenizer, QUESTIONS, beams=2, chat=False, max_new_tokens=3)
        list(merge_and_chat.stream_answer(model, tokenizer, QUESTIONS[0]))
        row = full_vs_lora_sft.encode(tokenizer, full_vs_lora_sft.conversation(*texts[:2]), 160)
        save_tokenizer(tokenizer, tmp_path)
        assert found == (rust.padding, rust.truncation, tokenizer.padding_side, tokenizer.truncation_side)
        assert (pack(tokenizer, texts, 16) == blocks).all() and tokenizer.pad_token_id not in blocks
        assert len(row["input_ids"]) > 6, "a conversation is not cut by what another call asked for"
    saved = (Path(tmp_path) / "tokenizer.json").read_text(encoding="utf-8")
    assert '"truncation": null' in saved and '"padding": null' in saved


def test_a_base_model_is_asked_behind_what_stands_between_documents(model_and_tokenizer):
    tokenizer = model_and_tokenizer[1]
    (prompt,) = merge_and_chat.as_prompts(tokenizer, ["成都属于"], chat=False)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert ids[0] == tokenizer.eos_token_id and tokenizer.bos_token_id not in ids
    assert ids[0] == pack(tokenizer, ["成都属于四川。"], 1)[-1].item(), "the token that ends each document"
