"""Models answer the same whether asked one by one, in a batch, or streamed."""

import pytest
import torch

from course_utils import merge_and_chat

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
