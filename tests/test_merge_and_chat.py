"""Models answer the same whether asked one by one, in a batch, or streamed."""

import json
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers

from course_utils import artifacts, merge_and_chat
from course_utils.errors import CourseError
from course_utils.merge_and_chat import merging
from course_utils.tokenizer_pruning import load_tokenizer, pack, save_tokenizer
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


def test_answers_in_a_batch_go_on_to_the_last_position_of_each(model_and_tokenizer):
    """Of a model that has no more positions than it learned, where a Llama would turn further."""
    tokenizer = model_and_tokenizer[1]
    shape = {"n_positions": 24, "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": len(tokenizer)}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).eval()
    how = {"chat": False, "max_new_tokens": 20}
    answers = merge_and_chat.answer(model, tokenizer, QUESTIONS, **how)
    assert answers == [merge_and_chat.answer(model, tokenizer, [q], **how)[0] for q in QUESTIONS]


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


@pytest.mark.parametrize(
    "file, text",
    [("config.json", "{"), ("config.json", "{}"), ("model.safetensors", None), ("model.safetensors", "half of it"),
     ("tokenizer.json", "{"), ("generation_config.json", '{"do_sample": true, "temperature": "hot"}')],
)  # fmt: skip
def test_a_folder_that_is_not_whole_is_one_line(walked, tmp_path, file, text):
    shutil.copytree(walked[0].dir("full_vs_lora_sft", "common-full"), tmp_path / "model")
    (tmp_path / "model" / file).unlink() if text is None else (tmp_path / "model" / file).write_text(text)
    with pytest.raises(CourseError, match="model cannot be loaded|temperature: 'hot'") as told:
        merge_and_chat.answer(*merge_and_chat.load(tmp_path / "model"), QUESTIONS, max_new_tokens=1)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "key, value, told",
    [("num_hidden_layers", 2, "9 weights are missing"), ("num_hidden_layers", 0, "9 weights are missing"),
     ("vocab_size", 9, "1 weights are missing"), ("tie_word_embeddings", False, "lm_head.weight")],
)  # fmt: skip
def test_weights_that_are_not_those_of_the_config_are_not_drawn_at_random(walked, tmp_path, key, value, told):
    shutil.copytree(walked[0].dir("full_vs_lora_sft", "common-full"), tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(CourseError, match=told):
        merge_and_chat.load(tmp_path / "model")


def test_weights_that_are_no_numbers_do_not_answer(walked, tmp_path):
    model, tokenizer = merge_and_chat.load(walked[0].dir("full_vs_lora_sft", "common-full"))
    next(model.parameters()).data[3, 3] = float("nan")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CourseError, match="no numbers"):
        merge_and_chat.load(tmp_path)


@pytest.fixture
def adapter(walked, tmp_path):
    """-> (the tiny common base, a copy of its adapter that a test may change)."""
    profile = walked[0]
    lora = tmp_path / "lora"
    shutil.copytree(artifacts.require(profile, "full_vs_lora_sft", "common-lora"), lora)
    base, settings = artifacts.require(profile, "pretraining", "common"), lora / "adapter_config.json"
    told = json.loads(settings.read_text()) | {"base_model_name_or_path": os.path.relpath(base, lora)}
    settings.write_text(json.dumps(told))
    return base, lora


def test_an_adapter_goes_onto_the_base_it_was_trained_on_alone(walked, adapter, tmp_path):
    base, lora = adapter
    other = artifacts.require(walked[0], "pretraining", "medical")  # of the same shape
    with pytest.raises(CourseError, match=r"lora was not trained on medical, whose weights differ"):
        merge_and_chat.merge_lora(other, lora, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))
    settings = json.loads((lora / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = os.path.relpath(other, lora)
    (lora / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(CourseError, match="weights differ"):
        merge_and_chat.load(lora)
    settings["base_model_name_or_path"] = os.path.relpath(base, lora)
    (lora / "adapter_config.json").write_text(json.dumps(settings))
    merge_and_chat.load(lora)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "base.json"])
def test_an_adapter_that_is_not_whole_is_one_line(adapter, tmp_path, file):
    base, lora = adapter
    (lora / file).write_bytes((lora / file).read_bytes()[:-20])
    for use in (merge_and_chat.load, lambda lora: merge_and_chat.merge_lora(base, lora, tmp_path / "out")):
        with pytest.raises(CourseError, match=r"lora cannot be loaded \(\w+Error: "):
            use(lora)
    assert not (tmp_path / "out").exists()


def test_an_adapter_without_some_weights_or_in_a_pickle_is_refused(adapter):
    lora = adapter[1]
    weights = safetensors.torch.load_file(lora / "adapter_model.safetensors")
    weights.pop(min(weights))
    safetensors.torch.save_file(weights, lora / "adapter_model.safetensors")
    with pytest.raises(CourseError, match="1 weights are missing"):
        merge_and_chat.load(lora)
    (lora / "adapter_model.safetensors").unlink()
    torch.save(weights, lora / "adapter_model.bin")
    with pytest.raises(CourseError, match="should contain adapter_model.safetensors"):
        merge_and_chat.load(lora)


def test_a_base_saved_again_in_other_files_is_the_same_base(adapter, tmp_path):
    base, lora = adapter
    again = transformers.AutoModelForCausalLM.from_pretrained(base)
    again.save_pretrained(tmp_path / "again", max_shard_size="100KB")
    assert len(list((tmp_path / "again").glob("*.safetensors"))) > 1
    load_tokenizer(base).save_pretrained(tmp_path / "again")
    summary = merge_and_chat.merge_lora(tmp_path / "again", lora, tmp_path / "out").summary
    assert summary["largest_logit_difference"] < 1e-4 < summary["largest_logit"]
    assert summary["same_answers"] == "5 of 5"


@pytest.mark.parametrize("part", ["chat template", "vocabulary"])
def test_another_template_or_vocabulary_is_refused(adapter, tmp_path, part):
    base, lora = adapter
    changed = tmp_path / "changed"
    shutil.copytree(base, changed)
    if part == "vocabulary":
        tokenizer = load_tokenizer(changed)
        tokenizer.add_tokens(["一个没有的词"])
        tokenizer.save_pretrained(changed)
    else:
        path = changed / "chat_template.jinja"
        path.write_text(path.read_text(encoding="utf-8").replace("问：", "Q："), encoding="utf-8")
    with pytest.raises(CourseError, match=f"whose {part} differ"):
        merge_and_chat.merge_lora(changed, lora, tmp_path / "out")


def test_an_adapter_that_does_not_name_its_base_is_merged_with_a_line(adapter, tmp_path, capsys):
    base, lora = adapter
    (lora / "base.json").unlink()
    merge_and_chat.merge_lora(base, lora, tmp_path / "out")
    assert "does not say which base it was trained on" in capsys.readouterr().out


def test_a_merge_writes_over_no_other_stage(adapter, tmp_path):
    base, lora = adapter
    copy = tmp_path / "base"
    shutil.copytree(base, copy)
    with pytest.raises(CourseError, match="base is the result of pretraining/common, not of merge_and_chat/merge"):
        merge_and_chat.merge_lora(base, lora, copy)
    assert (copy / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()


def test_a_merge_that_changes_the_model_leaves_nothing(adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(CourseError, match="merged, lora gives other logits"):
        merge_and_chat.merge_lora(*adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()
