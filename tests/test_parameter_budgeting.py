"""Every formula of the budget is held against a measurement."""

import json
from dataclasses import replace

import pytest

from course_utils import parameter_budgeting as budgeting
from course_utils import profiles
from course_utils.profiles import ModelShape

SMALL = ModelShape(64, 160, 3, 2, 64, tie_word_embeddings=False, initializer_range=0.02)


def real_parameters(shape: ModelShape, vocab_size: int) -> int:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):  # shapes alone, no memory
        config = LlamaConfig(vocab_size=vocab_size, num_key_value_heads=shape.num_attention_heads, **vars(shape))
        return LlamaForCausalLM(config).num_parameters()


@pytest.mark.parametrize("name", ["cpu-mini", "gpu-6gb", "colab-t4"])
def test_the_count_is_the_model_libraries(name):
    shape = profiles.load(name).model
    for vocab_size in (5_000, 35_203):
        assert sum(budgeting.parameters(shape, vocab_size).values()) == real_parameters(shape, vocab_size)


def test_the_reference_model_has_92_million_parameters():
    count = sum(budgeting.parameters(profiles.load("gpu-6gb").model, 35_203).values())
    assert round(count / 1e6) == 91 or round(count / 1e6) == 92


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_predicted_activations_are_what_a_forward_pass_keeps(attention):
    vocab, block, batch = 300, 64, 4
    measured = budgeting.saved_bytes(SMALL, vocab, block, batch, attention=attention)
    held = budgeting.memory(SMALL, vocab, block, batch, attention=attention)
    kept_logits = batch * block * (4 * vocab + 10 * SMALL.hidden_size)
    predicted = held["16-bit weights"] + held["layers"] + kept_logits
    assert predicted == pytest.approx(measured, rel=0.05)


def test_checkpointing_trades_memory_for_work_and_more_vocabulary_costs_more():
    shape = profiles.load("gpu-6gb").model
    plain = sum(budgeting.memory(shape, 35_203, 512, 8).values())
    assert sum(budgeting.memory(shape, 35_203, 512, 8, checkpointing=True).values()) < 0.9 * plain
    assert sum(budgeting.memory(shape, 64_789, 512, 8).values()) > 1.2 * plain


@pytest.mark.parametrize("name", ["cpu-mini", "gpu-6gb", "colab-t4"])
def test_each_profiles_own_batch_fits_its_device(name):
    profile = profiles.load(name)
    device = budgeting.DEVICES[profile.device]
    best = budgeting.fit(profile.model, 35_203, profile.pretraining.block_size, device)
    assert best.batch_size >= profile.pretraining.batch_size and not best.gradient_checkpointing


def test_a_model_too_large_for_a_device_does_not_fit_it():
    huge = replace(profiles.load("gpu-6gb").model, hidden_size=8192, num_attention_heads=64)
    assert budgeting.fit(huge, 35_203, 512, budgeting.DEVICES["rtx-3060-laptop-6gb"]) is None


def test_a_token_costs_six_flops_a_weight_and_attention_on_top():
    shape = replace(SMALL, tie_word_embeddings=True)
    matrices = sum(budgeting.parameters(shape, 100).values()) - (2 * shape.num_hidden_layers + 1) * shape.hidden_size
    assert budgeting.flops_per_token(shape, 100, 64) == 6 * matrices + 12 * 3 * 64 * 64


def test_expected_tokens_are_those_that_pretraining_saw(walked):
    profile, reports = walked
    seen = next(manifest for name, manifest, _ in reports if name == "pretraining/common").summary["tokens_seen"]
    report = json.loads((profile.dir("parameter_budgeting") / "budget.json").read_text())
    assert report["runs"]["common"]["tokens_from"] == "the corpora"
    assert report["runs"]["common"]["tokens"] == pytest.approx(seen, rel=0.05)
