"""Every formula of the budget is held against a measurement."""

import json
import random
from dataclasses import replace
from functools import partial

import pytest
import torch

from course_utils import parameter_budgeting as budgeting
from course_utils import profiles
from course_utils.errors import CourseError
from course_utils.parameter_budgeting import DEVICES
from course_utils.profiles import ModelShape
from course_utils.training.full_vs_lora_sft import with_lora
from course_utils.training.losses import without_logits

SMALL = ModelShape(128, 320, 2, 4, 512, tie_word_embeddings=False, initializer_range=0.02)
TIED, BIG, ROWS = replace(SMALL, tie_word_embeddings=True), profiles.load("gpu-6gb").model, 35_203
SHALLOW = replace(BIG, num_hidden_layers=2)
LORA = profiles.load("gpu-6gb").lora


def real_parameters(shape: ModelShape, vocab_size: int) -> int:
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):  # shapes alone, no memory
        return LlamaForCausalLM(LlamaConfig(vocab_size=vocab_size, **vars(shape))).num_parameters()


def random_shape(rng: random.Random) -> ModelShape:
    heads, width = rng.choice([2, 4, 6, 8, 12]), rng.choice([8, 16, 24, 64])
    shared = rng.choice([None, *(n for n in range(1, heads + 1) if heads % n == 0)])
    inner, layers = rng.randrange(16, 3_000), rng.randrange(1, 5)
    return ModelShape(heads * width, inner, layers, heads, 64, rng.random() < 0.5, 0.02, shared)


def tracked(shape: ModelShape, vocab_size: int, block: int, batch: int, *, loss="plain", lora=None, **how) -> int:
    """What the tracker counts of the course's own loss and adapter."""
    ours = {"loss": partial(without_logits, kind=loss)} if loss != "plain" else {}
    ours |= {"optimizer": muon} if how.pop("optimizer", "adamw") == "muon" else {}
    ours |= {"adapt": partial(with_lora, settings=lora)} if lora else {}
    return budgeting.tracked_bytes(shape, vocab_size, block, batch, **ours, **how)


@pytest.mark.parametrize("seed", range(24))
def test_the_count_is_the_model_librarys_whatever_the_shape(seed):
    rng = random.Random(seed)
    shape, vocab_size = random_shape(rng), rng.randrange(100, 70_000)
    assert sum(budgeting.parameters(shape, vocab_size).values()) == real_parameters(shape, vocab_size), shape


def test_the_reference_model_has_92_million_parameters():
    assert 91e6 < sum(budgeting.parameters(BIG, ROWS).values()) < 92e6


@pytest.mark.parametrize("heads", [None, 1, 2])
def test_the_count_of_an_adapter_is_pefts(heads):
    shape = replace(SMALL, num_key_value_heads=heads)
    adapted = with_lora(budgeting._weightless(shape, 100, "eager", False), LORA)
    trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    assert budgeting.lora_parameters(shape, LORA.r) == trained


CASES = {
    "batch of the reference": (BIG, ROWS, 512, 8, {}),
    "gradient of the output at the peak": (SHALLOW, ROWS, 128, 1, {}),
    "reference, chunked": (BIG, ROWS, 512, 16, {"loss": "chunked"}),
    "shallow, checkpointing and chunked": (SHALLOW, 64_789, 512, 4, {"checkpointing": True, "loss": "chunked"}),
    "tied, the embedding at the peak": (
        replace(SHALLOW, tie_word_embeddings=True), 64_789, 128, 1, {"checkpointing": True, "loss": "chunked"},
    ),
    "small vocabulary, long blocks": (SMALL, 5_000, 2_048, 4, {}),
    "large vocabulary, large batch": (TIED, 64_789, 128, 64, {}),
    "checkpointing": (SMALL, 5_000, 1_024, 8, {"checkpointing": True}),
    "checkpointing, a layer at the peak": (replace(SMALL, intermediate_size=512), 300, 1_024, 32,
                                           {"checkpointing": True, "loss": "chunked"}),
    "one key-value head": (replace(SMALL, num_key_value_heads=1), 8_000, 512, 8, {}),
    "two key-value heads, chunked": (replace(TIED, num_key_value_heads=2), 8_000, 1_024, 16, {"loss": "chunked"}),
    "four key-value heads of eight": (replace(SHALLOW, num_key_value_heads=4), 5_000, 512, 4, {}),
    "grouped, with padding": (replace(SMALL, num_key_value_heads=1), 5_000, 512, 8, {"padded": True}),
    "eager": (SMALL, 5_000, 512, 8, {"attention": "eager"}),
    "eager, long": (TIED, 5_000, 2_048, 2, {"attention": "eager", "loss": "chunked"}),
    "eager, checkpointing, grouped": (replace(SMALL, num_key_value_heads=2), 5_000, 1_024, 4,
                                      {"attention": "eager", "checkpointing": True}),
    "fp32": (SMALL, 8_000, 256, 8, {"precision": "fp32"}),
    "fp32, chunked": (SMALL, 16_000, 512, 8, {"precision": "fp32", "loss": "chunked"}),
    "fp32, checkpointing, eager": (TIED, 300, 1_024, 8,
                                   {"precision": "fp32", "checkpointing": True, "attention": "eager"}),
    "Muon": (SHALLOW, 5_000, 256, 2, {"optimizer": "muon"}),
    "LoRA": (SMALL, 8_000, 512, 8, {"lora": LORA}),
    "LoRA, chunked, padding": (replace(SMALL, num_key_value_heads=2), 8_000, 512, 32,
                               {"lora": LORA, "loss": "chunked", "padded": True}),
    "LoRA, checkpointing": (SMALL, 300, 512, 32, {"lora": LORA, "checkpointing": True, "loss": "chunked"}),
    "LoRA without dropout": (SMALL, 300, 512, 16, {"lora": replace(LORA, dropout=0.0), "loss": "chunked"}),
}  # fmt: skip


def muon(weights: list) -> torch.optim.Optimizer:
    """One momentum for hidden matrices, AdamW for the tables and norms, as one optimizer."""
    tables = [weight for weight in weights if weight.ndim < 2 or 5_000 in weight.shape]
    hidden = [weight for weight in weights if not any(weight is table for table in tables)]

    class Both(torch.optim.Optimizer):
        def __init__(self):
            super().__init__(weights, {})
            self.inner = torch.optim.Muon(hidden), torch.optim.AdamW(tables, fused=True)

        def step(self, closure=None):
            for optimizer in self.inner:
                optimizer.step()
                self.state.update(optimizer.state)

    return Both()


@pytest.mark.parametrize("name", CASES)
def test_predicted_memory_is_within_3_per_cent_of_what_a_tracker_counts(name):
    shape, vocab_size, block, batch, how = CASES[name]
    held = budgeting.memory(shape, vocab_size, block, batch, **how)
    counted = tracked(shape, vocab_size, block, batch, **how)
    assert sum(held.values()) == pytest.approx(counted, rel=0.03)


def test_the_peak_is_not_always_at_the_same_moment():
    peaks = set()
    for shape, vocab_size, block, batch, how in CASES.values():
        moments = budgeting.moments(shape, vocab_size, block, batch, **how)
        peaks.add(max(moments, key=lambda moment: sum(moments[moment].values())))
    assert len(peaks) >= 6, peaks


def test_8_bit_moments_take_2_bytes_a_weight_and_their_scales():
    """bitsandbytes runs on GPUs alone, so this is arithmetic."""
    full, eight = (budgeting.memory(BIG, ROWS, 512, 8, optimizer=name) for name in ("adamw", "adamw_8bit"))
    count = sum(budgeting.parameters(BIG, ROWS).values())
    assert full["optimizer"] == 8 * count
    assert eight["optimizer"] == pytest.approx(2 * (1 + 4 / 256) * count, rel=0.001)
    assert {part: size for part, size in full.items() if part != "optimizer"}.items() <= eight.items()


def test_a_frozen_base_has_no_gradients_and_no_states():
    held, count = budgeting.memory(BIG, ROWS, 512, 8, lora=LORA), budgeting.lora_parameters(BIG, LORA.r)
    assert held["gradients"] == 4 * count and held["optimizer"] == 8 * count
    assert held["weights"] == 4 * (count + sum(budgeting.parameters(BIG, ROWS).values()))


def test_each_way_to_save_memory_saves_some():
    most = sum(budgeting.memory(BIG, ROWS, 512, 8).values())
    for how in ({"checkpointing": True}, {"loss": "chunked"}, {"optimizer": "adamw_8bit"}, {"optimizer": "muon"}):
        assert sum(budgeting.memory(BIG, ROWS, 512, 8, **how).values()) < 0.97 * most, how
    assert sum(budgeting.memory(BIG, 64_789, 512, 8).values()) > 1.2 * most


HUGE = replace(BIG, hidden_size=8192, num_attention_heads=64)
FITTED = {
    "reference": (BIG, ROWS, {}),
    "plain loss": (SHALLOW, ROWS, {"losses": ("plain",)}),
    "wide and shallow": (replace(BIG, hidden_size=1024, intermediate_size=2816, num_hidden_layers=3), 64_789, {}),
    "grouped and tied": (replace(BIG, num_key_value_heads=2, tie_word_embeddings=True), 8_000, {"padded": True}),
    "adapter": (SHALLOW, ROWS, {"lora": LORA}),
}


@pytest.mark.parametrize(
    "name, device",
    [(name, "rtx-3060-laptop-6gb") for name in FITTED] + [("plain loss", "colab-t4"), ("wide and shallow", "colab-t4")],
)
def test_what_fits_fits_by_the_tracker_too(name, device):
    shape, vocab_size, how = FITTED[name]
    best = budgeting.fit(shape, vocab_size, 512, DEVICES[device], **how)
    how = {key: value for key, value in how.items() if key != "losses"}
    chosen = {"loss": best.loss, "checkpointing": best.gradient_checkpointing}
    counted = tracked(shape, vocab_size, 512, best.batch_size, **chosen, **how)
    assert 0.7 * DEVICES[device].limit < counted <= DEVICES[device].limit


def test_a_model_that_fits_only_with_checkpointing_gets_it_and_one_too_large_gets_nothing():
    deep = replace(BIG, num_hidden_layers=40)
    card = DEVICES["rtx-3060-laptop-6gb"]
    best = budgeting.fit(deep, 8_000, 512, replace(card, memory=7 * budgeting.GIB), batches=(4, 8))
    assert best.gradient_checkpointing
    assert budgeting.fit(HUGE, ROWS, 512, card) is None


def test_what_cannot_be_used_is_subtracted():
    card = DEVICES["rtx-3060-laptop-6gb"]
    assert card.limit == (card.memory - card.context - card.desktop) * (1 - card.fragmentation)
    assert 2**28 < card.context < 2**30 and card.desktop == 2**30 and 0 < card.fragmentation < 0.1
    assert DEVICES["colab-t4"].desktop == DEVICES["cpu"].desktop == 0


def test_the_chunked_loss_at_least_doubles_the_batch_of_the_reference_on_6_gb():
    fits = {loss: budgeting.fit(BIG, ROWS, 512, DEVICES["rtx-3060-laptop-6gb"], losses=(loss,)) for loss in
            ("plain", "chunked")}  # fmt: skip
    assert not any(best.gradient_checkpointing for best in fits.values())
    assert fits["chunked"].batch_size >= 2 * fits["plain"].batch_size


@pytest.mark.parametrize("name", ["cpu-mini", "gpu-6gb", "colab-t4"])
@pytest.mark.parametrize("training", ["pretraining", "full", "lora"])
def test_a_profiles_settings_fit_its_device_and_are_what_is_recommended(name, training):
    profile = profiles.load(name)
    settings, vocab_size = getattr(profile, training), 8_400 if name == "cpu-mini" else ROWS
    plan = budgeting.plan(profile, training, vocab_size)
    assert plan["fits"] and plan["batch_size"] == settings.batch_size
    keys = {"batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "loss"}
    for key in keys - ({"loss"} if name == "cpu-mini" else set()):  # there a loss saves time, and memory is not short
        assert plan["fastest_fit"][key] == getattr(settings, key), key  # and so they can be written into a profile


@pytest.mark.parametrize(
    ("change", "line"),
    [({"hidden_size": 120, "num_attention_heads": 8}, "hidden_size 120 .* 8 heads .* multiple of 16"),
     ({"num_attention_heads": 7}, "hidden_size 128 .* 7 heads"),
     ({"num_key_value_heads": 3}, "4 query heads .* 3 key")],
)  # fmt: skip
def test_a_shape_that_cannot_be_is_refused(change, line):
    with pytest.raises(CourseError, match=line):
        replace(SMALL, **change)


def test_a_token_costs_six_flops_a_weight_and_attention_on_top():
    shape = replace(SMALL, tie_word_embeddings=True, num_key_value_heads=1)
    norms = (2 * shape.num_hidden_layers + 1) * shape.hidden_size
    matrices = sum(budgeting.parameters(shape, 100).values()) - norms
    assert budgeting.flops_per_token(shape, 100, 64) == 6 * matrices + 12 * 2 * 128 * 64


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_flops_are_those_that_a_counter_counts(checkpointing):
    from torch.utils.flop_counter import FlopCounterMode

    shape, ids = replace(SMALL, num_key_value_heads=2), torch.zeros(2, 64, dtype=torch.int64)
    model = budgeting._weightless(shape, 500, "eager", False).to_empty(device="cpu").train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    expected = ids.numel() * budgeting.flops_per_token(shape, 500, 64, checkpointing=checkpointing)
    spared = 2 * ids.numel() * 2 * 128 * 320 if checkpointing else 0  # the last product of a layer is not needed twice
    assert counter.get_total_flops() == expected - spared


def test_expected_tokens_are_those_that_pretraining_saw(walked):
    profile, reports = walked
    seen = next(manifest for name, manifest, _ in reports if name == "pretraining/common").summary["tokens_seen"]
    report = json.loads((profile.dir("parameter_budgeting") / "budget.json").read_text())
    assert report["runs"]["common"]["tokens_from"] == "the corpora"
    assert report["runs"]["common"]["tokens"] == pytest.approx(seen, rel=0.05)
    assert report["fits"] and set(report["trainings"]) == {"pretraining", "full", "lora"}
    assert report["limit"] + sum(report["subtracted"].values()) == report["device"]["memory"]
