"""Fine-tuning learns answers, not questions; LoRA trains its adapter alone."""

import json
import shutil
from dataclasses import replace

import pytest

from course_utils import artifacts, profiles
from course_utils.corpora.loading import HELD_OUT_EVERY
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import full_vs_lora_sft, pretraining, running
from course_utils.training.full_vs_lora_sft import (
    IGNORED,
    Collator,
    conversation,
    encode,
    encode_dataset,
    read_conversations,
)


@pytest.fixture(scope="module")
def tokenizer(walked):
    return load_tokenizer(artifacts.require(walked[0], "tokenizer_pruning"))


def test_only_what_the_assistant_says_counts(tokenizer):
    row = encode(tokenizer, conversation("成都属于哪个省？", "成都属于四川省。"), 160)
    counted = [label for label in row["labels"] if label != IGNORED]
    assert tokenizer.decode(counted) == "成都属于四川省。</s>"
    assert len(row["labels"]) == len(row["input_ids"]) > len(counted)


def test_every_answer_of_a_conversation_counts_and_the_system_has_a_mark_of_its_own(tokenizer):
    turns = [
        {"role": "system", "content": "你是一个百科助手。"},
        *conversation("成都属于哪个省？", "四川省。"),
        *conversation("那重庆呢？", "重庆是直辖市。"),
    ]
    row = encode(tokenizer, turns, 160)
    counted = tokenizer.decode([label for label in row["labels"] if label != IGNORED])
    assert counted == "四川省。</s>重庆是直辖市。</s>"
    assert tokenizer.decode(row["input_ids"]).startswith("<s><|system|>你是一个百科助手。<|user|>问：成都")
    assert tokenizer.convert_tokens_to_ids("<|system|>") in row["input_ids"]


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ("你好", "`messages` is no list of objects"),
        ([{"role": "user", "content": "你好"}], "no turn of the assistant"),
        ([*conversation("甲？", "乙。"), {"role": "system", "content": "丙"}], "a system turn that is not the first"),
        (conversation("甲？", "乙。")[1:], "a turn of the assistant that follows none of the user"),
        ([*conversation("甲？", "乙。"), *conversation("丙？", " ")], "an answer without a word"),
        ([{"role": "wizard", "content": "你好"}], "'wizard' is no role: system, user, assistant"),
        ([{"role": "assistant", "content": ["你好"]}], "`content` is list, not text"),
    ],
)
def test_a_conversation_that_cannot_be_used_says_why(tmp_path, messages, problem):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": messages}))
    with pytest.raises(CourseError, match=f"rows.jsonl:1: {problem}"):
        list(read_conversations(tmp_path / "rows.jsonl"))


def test_a_cut_answer_is_never_trained_as_a_whole_one(tokenizer):
    short, long = conversation("成都属于哪个省？", "四川省。"), conversation("问", "答" * 50)
    assert encode(tokenizer, long, 32) == {"input_ids": [], "labels": []}
    size = len(encode(tokenizer, short, 160)["input_ids"])
    for turns in ([*short, *long], [*short, *long, {"role": "user", "content": "还有呢？"}]):
        row = encode(tokenizer, turns, size + 10)
        assert len(row["input_ids"]) == size and row["labels"][-1] == tokenizer.eos_token_id
    exact = encode(tokenizer, short, size)
    assert exact == encode(tokenizer, short, 160) and encode(tokenizer, short, size - 1)["input_ids"] == []


def test_what_was_left_out_is_counted_by_reason(tokenizer, tmp_path):
    short, long = conversation("成都属于哪个省？", "四川省。"), conversation("问", "答" * 50)
    rows = [short, long, [*short, *long], [*short, {"role": "user", "content": "好"}], short]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in rows))
    encoded, left_out = encode_dataset([tmp_path / "rows.jsonl"], tokenizer, 32, tmp_path / "data", title="rows")
    assert len(encoded) == 4 and set(encoded.column_names) == {"input_ids", "labels", "length"}
    assert {kind["reason"]: kind["rows"] for kind in left_out} == {
        "no whole answer within 32 tokens": 1, "later turns beyond 32 tokens, the first ones stay": 1}  # fmt: skip


def test_sharegpt_is_read_too(tmp_path):
    said = [("system", "你是助手。"), ("human", "成都属于哪个省？"), ("gpt", "四川省。")]
    row = {"conversations": [{"from": who, "value": what} for who, what in said]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (turns,) = read_conversations(tmp_path / "rows.jsonl")
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant"]
    assert [turn["content"] for turn in turns] == [what for _, what in said]


def test_the_collator_pads_to_the_longest_and_counts_no_padding(tokenizer):
    chats = conversation("甲？", "乙。"), conversation("成都属于哪个省？", "成都属于四川省。")
    rows = [encode(tokenizer, chat, 160) for chat in chats]
    batch = Collator(tokenizer.pad_token_id)(rows)
    assert batch["input_ids"].shape == batch["labels"].shape == (2, len(rows[1]["input_ids"]))
    padding = batch["attention_mask"] == 0
    assert padding.sum() == len(rows[1]["input_ids"]) - len(rows[0]["input_ids"])
    assert (batch["labels"][padding] == IGNORED).all()


def test_the_input_field_follows_the_instruction(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {"instruction": "改写。", "input": "甲。", "output": "乙。"},
        {"instruction": "问？", "input": "", "output": "答。"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read_conversations(path)) == [conversation("改写。\n甲。", "乙。"), conversation("问？", "答。")]


def test_an_instruction_without_an_answer_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "问？", "output": "答。"}\n{"instruction": "问？"}\n')
    with pytest.raises(CourseError, match="rows.jsonl:2: needs `instruction` and `output`"):
        list(read_conversations(path))


def test_rows_become_a_dataset_and_unusable_ones_are_counted(tokenizer, tmp_path):
    rows = [json.dumps({"instruction": f"问{i}？", "output": "答。"}) for i in range(500)]
    rows[7] = json.dumps({"instruction": "问？", "output": ["答"]})
    rows[300] = json.dumps({"instruction": "问？", "output": " "})
    (tmp_path / "rows.json").write_text("\n".join(rows))
    how = {"title": "rows.json"}
    encoded, left_out = encode_dataset([tmp_path / "rows.json"], tokenizer, 160, tmp_path / "data", **how)
    assert len(encoded) == 498
    assert encoded[3] == {**encode(tokenizer, conversation("问3？", "答。"), 160), "length": encoded[3]["length"]}
    assert encoded["length"][:] == [len(ids) for ids in encoded["input_ids"][:]]
    assert {(kind["first"], kind["rows"]) for kind in left_out} == {("rows.json:8", 1), ("rows.json:301", 1)}


def test_texts_to_replay_are_blocks_of_the_base_in_which_every_token_counts(walked, tokenizer, tmp_path):
    profile, _ = walked
    blocks, _ = pretraining.training_blocks(profile, "medical", tokenizer, tmp_path)
    drawn = full_vs_lora_sft.texts_to_replay(profile, "medical", tokenizer, 20, tmp_path, seed=1)
    assert len(drawn) == 20 and drawn["length"][:] == [profile.pretraining.block_size] * 20
    assert all(row["labels"] == row["input_ids"] for row in drawn)
    read = set(map(tuple, blocks["input_ids"][:]))
    assert all(tuple(ids) in read for ids in drawn["input_ids"][:])
    assert drawn["input_ids"][:] != blocks["input_ids"][:20], "drawn at random"
    again = full_vs_lora_sft.texts_to_replay(profile, "medical", tokenizer, 20, tmp_path / "again", seed=1)
    assert again["input_ids"][:] == drawn["input_ids"][:]
    others = full_vs_lora_sft.texts_to_replay(profile, "medical", tokenizer, 20, tmp_path, seed=2)
    assert others["input_ids"][:] != drawn["input_ids"][:]
    assert len(full_vs_lora_sft.texts_to_replay(profile, "medical", tokenizer, 10**6, tmp_path, seed=1)) == len(blocks)


def test_fine_tuning_reads_a_share_of_texts_among_the_conversations(walked, tokenizer, tmp_path):
    """A tenth more rows, all of them in the training and none in what is held out."""
    profile, _ = walked
    assert profile.full.replay == profile.lora.replay == 0.1
    assert profiles.load("gpu-6gb").full.replay == 0
    for part in ("common-full", "medical-lora"):
        summary = artifacts.read_manifest(profile.dir("full_vs_lora_sft", part)).summary
        base = part.split("-")[0]
        rows, _ = encode_dataset(profile.instructions[base], tokenizer, profile.sft_max_length, tmp_path / part,
                                 title="rows", limit=profile.max_documents)  # fmt: skip
        lengths = [n for i, n in enumerate(rows["length"][:]) if i % HELD_OUT_EVERY > 0]
        assert summary["conversations"] == len(lengths)
        texts = round(0.1 * len(lengths)) * profile.pretraining.block_size
        assert summary["tokens"] == sum(lengths) + texts


def test_lora_trains_only_its_adapter_on_every_linear_layer(walked, tokenizer):
    profile, _ = walked
    shape = replace(profile.model, num_hidden_layers=2)
    model = full_vs_lora_sft.with_lora(pretraining.make_model(shape, tokenizer), profile.lora)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert all("lora_" in name for name in trained)
    assert len(trained) == 2 * 7 * shape.num_hidden_layers, "A and B of seven matrices a layer"
    h, f, r = shape.hidden_size, shape.intermediate_size, profile.lora.r
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert count == shape.num_hidden_layers * r * (4 * 2 * h + 3 * (h + f))


def test_full_fine_tuning_moves_every_matrix_and_lora_leaves_the_base_alone(walked):
    from safetensors.torch import load_file

    profile, _ = walked
    base = load_file(profile.dir("pretraining", "common") / "model.safetensors")
    full = load_file(profile.dir("full_vs_lora_sft", "common-full") / "model.safetensors")
    assert all((base[name] != full[name]).any() for name in base if base[name].ndim > 1)
    adapter = load_file(profile.dir("full_vs_lora_sft", "common-lora") / "adapter_model.safetensors")
    assert all("lora_" in name for name in adapter)
    assert artifacts.read_manifest(profile.dir("pretraining", "common")).outputs[
        "model.safetensors"
    ] == artifacts.sha256(profile.dir("pretraining", "common") / "model.safetensors")


def test_the_loss_on_answers_falls(walked):
    for part in ("common-full", "common-lora", "medical-full", "medical-lora"):
        losses = [e["loss"] for e in running.read_log(walked[0].dir("full_vs_lora_sft", part)) if "loss" in e]
        assert min(losses) < losses[0], part  # the last may be of texts to replay


def test_lora_has_the_settings_that_it_is_given(walked):
    profile = walked[0]
    base = running.load_model(artifacts.require(profile, "pretraining", "common"))
    settings = replace(profile.lora, rslora=True, dora=True, target_modules=["q_proj", "v_proj"])
    model = full_vs_lora_sft.with_lora(base, settings)
    config = model.peft_config["default"]
    assert config.use_rslora and config.use_dora and config.target_modules == {"q_proj", "v_proj"}
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained and all(("q_proj" in name or "v_proj" in name) and "lora" in name for name in trained)
    assert any("magnitude" in name for name in trained)


def test_settings_that_name_nothing_are_one_line(walked, monkeypatch):
    profile = walked[0]
    folder = artifacts.require(profile, "pretraining", "common")
    with pytest.raises(CourseError, match="profiles.toml: target_modules is 'nothing'"):
        full_vs_lora_sft.with_lora(running.load_model(folder), replace(profile.lora, target_modules="nothing"))
    with pytest.raises(CourseError, match="profiles.toml: bits is 3"):
        replace(profile.lora, bits=3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CourseError, match="bits = 4 needs the package bitsandbytes"):
        running.load_model(folder, bits=4)


def elsewhere(profile, name: str):
    """The profile with what fine-tuning reads, in another folder."""
    moved = replace(profile, artifacts=profile.artifacts.with_name(name))
    for stage in ("pretraining", "deduplication", "tokenizer_pruning", "wiki_cleaning"):
        shutil.copytree(profile.dir(stage), moved.dir(stage))
    return moved


def test_another_seed_and_noise_make_another_model_and_are_recorded(walked):
    profile = walked[0]
    first = artifacts.require(profile, "full_vs_lora_sft", "common-lora")
    made = {}
    for name, change in {"seed": {"seed": 7}, "noise": {"neftune_alpha": 5.0}}.items():
        changed = elsewhere(replace(profile, lora=replace(profile.lora, **change)), name)
        made[name] = full_vs_lora_sft.fine_tune(changed, "common", "lora")
    outputs = [artifacts.read_manifest(first).outputs, *(manifest.outputs for manifest in made.values())]
    assert len({one["adapter_model.safetensors"] for one in outputs}) == 3
    assert made["seed"].settings["seed"] == 7 and made["noise"].settings["lora"]["neftune_alpha"] == 5.0


def test_too_few_rows_say_why(walked, tmp_path):
    profile = walked[0]
    rows = [{"instruction": "问？", "output": "答" * 100}] * 20
    (tmp_path / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    poor = elsewhere(profile, "poor")
    poor = replace(poor, instructions={"common": (tmp_path / "rows.json",)}, sft_max_length=64)
    with pytest.raises(CourseError, match="0 of 20 rows are usable, .*20 left out: no whole answer within 64 tokens"):
        full_vs_lora_sft.fine_tune(poor, "common", "full")
