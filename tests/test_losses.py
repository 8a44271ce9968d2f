"""The loss in chunks is the plain loss: its value, its gradients, and never all logits at once."""

import copy
import importlib.util
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils import profiles
from course_utils.errors import CourseError
from course_utils.tokenizer_pruning import load_tokenizer
from course_utils.training import full_vs_lora_sft, losses, optimizers, pretraining

from . import small_run


def made(tokens: int, hidden: int, vocabulary: int, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    states = torch.randn(tokens, hidden, generator=random)
    matrix = torch.randn(vocabulary, hidden, generator=random) * 0.3
    labels = torch.randint(vocabulary, (tokens,), generator=random)
    labels[::5] = losses.IGNORED
    return states.requires_grad_(), matrix.requires_grad_(), labels


def plain(states, matrix, labels):
    return cross_entropy(linear(states, matrix).float(), labels, reduction="sum")


def of_both(loss, states, matrix, labels, dtype=None):
    """-> the loss and its gradients, scaled as a mean is."""
    states.grad = matrix.grad = None
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        value = loss(states, matrix, labels) / (labels != losses.IGNORED).sum()
    value.backward()
    return value.detach(), states.grad, matrix.grad


@pytest.mark.parametrize(("tokens", "hidden", "vocabulary"), [(7, 4, 10), (300, 16, 130), (1_000, 24, 70), (65, 8, 33)])
def test_value_and_gradients_are_those_of_the_plain_loss(monkeypatch, tokens, hidden, vocabulary):
    monkeypatch.setattr(losses, "CHUNK_ENTRIES", 64 * vocabulary)
    inputs = made(tokens, hidden, vocabulary)
    for mine, theirs in zip(of_both(losses.chunked_cross_entropy, *inputs), of_both(plain, *inputs), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_under_autocast_it_differs_by_what_bfloat16_rounds(monkeypatch):
    monkeypatch.setattr(losses, "CHUNK_ENTRIES", 64 * 130)
    inputs = made(200, 16, 130)
    (value, *grads), (right, *theirs) = (
        of_both(loss, *inputs, torch.bfloat16) for loss in (losses.chunked_cross_entropy, plain)
    )
    assert value == pytest.approx(right.item(), rel=1e-5), "scores and sums are in fp32"
    for mine, other in zip(grads, theirs, strict=True):
        assert (mine - other).norm() < 0.01 * other.norm()


@pytest.mark.parametrize("counted", [1, 90, 299])
def test_ignored_positions_change_neither_value_nor_gradients(monkeypatch, counted):
    """Wherever they stand, and though they are left out before the chunks are cut."""
    monkeypatch.setattr(losses, "CHUNK_ENTRIES", 64 * 130)
    states, matrix, labels = made(300, 16, 130)
    labels = labels.clamp(min=0)
    labels[torch.randperm(300, generator=torch.Generator().manual_seed(1))[counted:]] = losses.IGNORED
    value, by_state, by_weight = of_both(losses.chunked_cross_entropy, states, matrix, labels)
    for mine, right in zip((value, by_state, by_weight), of_both(plain, states, matrix, labels), strict=True):
        assert torch.allclose(mine, right, rtol=1e-5, atol=1e-6)
    assert (by_state[labels == losses.IGNORED] == 0).all() and by_state[labels != losses.IGNORED].any(1).all()


def test_large_scores_do_not_overflow_and_no_counted_token_is_no_loss():
    states, matrix, labels = made(70, 8, 20)
    scaled = (states.detach() * 1e4).requires_grad_()
    value, *grads = of_both(losses.chunked_cross_entropy, scaled, matrix, labels)
    assert value == pytest.approx(of_both(plain, scaled, matrix, labels)[0].item(), rel=1e-5)
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert losses.chunked_cross_entropy(states, matrix, torch.full_like(labels, losses.IGNORED)) == 0


def test_a_state_that_is_no_number_is_no_number_in_the_loss():
    states, matrix, labels = made(10, 4, 20)
    labels[3] = 1
    with torch.no_grad():
        states[3, 0] = float("nan")
    assert torch.isnan(losses.chunked_cross_entropy(states, matrix, labels))


class Largest(TorchDispatchMode):
    """The number of entries of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numel = max(self.numel, made.numel())
        return made


def test_no_tensor_holds_all_logits(monkeypatch):
    monkeypatch.setattr(losses, "CHUNK_ENTRIES", 64 * 500)
    states, matrix, labels = made(1_280, 8, 500)
    with Largest() as plainly:
        plain(states, matrix, labels).backward()
    with Largest() as chunked:
        losses.chunked_cross_entropy(states, matrix, labels).backward()
    assert plainly.numel == 1_280 * 500 and chunked.numel == 64 * 500


def test_nothing_is_made_for_gradients_that_nobody_needs():
    states, matrix, labels = made(70, 8, 500)
    with torch.no_grad(), Largest() as largest:
        losses.chunked_cross_entropy(states, matrix, labels)
    assert largest.numel == (labels != losses.IGNORED).sum() * 500, "a position that does not count is not scored"
    frozen = matrix.detach()
    losses.chunked_cross_entropy(states, frozen, labels).backward()
    assert frozen.grad is None and states.grad is not None


def test_a_second_backward_is_an_error_not_a_wrong_gradient():
    value = losses.chunked_cross_entropy(*made(10, 4, 20))
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


@pytest.mark.parametrize("lora", [False, True])
def test_a_model_asked_for_its_loss_gives_no_logits(tokenizer, lora):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    if lora:
        model = full_vs_lora_sft.with_lora(model, profiles.load("cpu-mini").lora).eval()
    ids = torch.randint(300, 400, (3, 20))
    labels = ids.clone()
    labels[0, :9] = losses.IGNORED
    before = model(input_ids=ids, labels=labels)
    with losses.without_logits(model, "chunked"):
        within = model(input_ids=ids, labels=labels)
        assert torch.allclose(model(input_ids=ids).logits, before.logits)
        parts = model(input_ids=ids, labels=labels, num_items_in_batch=100).loss
    assert within.logits is None and within.loss.item() == pytest.approx(before.loss.item(), rel=1e-6)
    counted = (labels[:, 1:] != losses.IGNORED).sum().item()
    assert parts.item() == pytest.approx(before.loss.item() * counted / 100, rel=1e-6)
    assert torch.equal(model(input_ids=ids, labels=labels).logits, before.logits)


@pytest.mark.skipif(importlib.util.find_spec("liger_kernel") is not None, reason="Liger is installed")
def test_a_loss_that_is_not_installed_is_named():
    with pytest.raises(CourseError, match="needs the package liger-kernel: install it, or take 'chunked'"):
        losses.liger_cross_entropy(*made(10, 4, 20))


def test_each_weight_is_trained_once_and_the_table_at_its_own_rate(tokenizer):
    for tied in (False, True):
        model = pretraining.make_model(replace(small_run.SHAPE, tie_word_embeddings=tied), tokenizer)
        for name in ("adamw", "muon"):
            groups = optimizers.make(model, replace(small_run.SETTINGS, optimizer=name)).param_groups
            trained = [id(weight) for group in groups for weight in group["params"]]
            assert sorted(trained) == sorted(map(id, model.parameters()))
            (table,) = [group for group in groups if group["lr"] == small_run.SETTINGS.embedding_learning_rate]
            assert [id(weight) for weight in table["params"]] == [id(model.get_input_embeddings().weight)]
            decayed = [weight for group in groups if group["weight_decay"] for weight in group["params"]]
            assert all(weight.ndim == 2 for weight in decayed) and len(decayed) == 14 + (not tied)


def test_adamw_remembers_as_long_as_the_settings_say(tokenizer):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    groups = optimizers.make(model, replace(small_run.SETTINGS, adam_beta2=0.99)).param_groups
    assert {group["betas"] for group in groups} == {(0.9, 0.99)}


def test_muon_goes_on_from_a_saved_state_as_if_nothing_had_been(tokenizer):
    settings = replace(small_run.SETTINGS, optimizer="muon")

    def step(model, optimizer, seed):
        torch.manual_seed(seed)
        for weight in model.parameters():
            weight.grad = torch.randn_like(weight)
        optimizer.step()

    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    optimizer = optimizers.make(model, settings)
    step(model, optimizer, 1)
    other = pretraining.make_model(small_run.SHAPE, tokenizer)
    other.load_state_dict(model.state_dict())
    resumed = optimizers.make(other, settings)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in resumed.param_groups:
        group["lr"] /= 2  # as a schedule does, in the groups of the whole
    for group in optimizer.param_groups:
        group["lr"] /= 2
    step(model, optimizer, 2)
    step(other, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_an_optimizer_that_is_not_installed_is_named(tokenizer):
    model = pretraining.make_model(small_run.SHAPE, tokenizer)
    with pytest.raises(CourseError, match="needs the package bitsandbytes"):
        optimizers.make(model, replace(small_run.SETTINGS, optimizer="adamw_8bit"))


def test_the_sampled_loss_is_the_plain_one_over_a_part_of_the_vocabulary(monkeypatch):
    hidden, weight = torch.randn(40, 16, requires_grad=True), torch.randn(500, 16, requires_grad=True)
    labels = torch.randint(0, 500, (40,))
    labels[::7] = -100
    plain = torch.nn.functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    assert losses.sampled_cross_entropy(hidden, weight, labels) < plain, "fewer rivals"
    with torch.no_grad():
        assert torch.allclose(losses.sampled_cross_entropy(hidden, weight, labels), plain, rtol=1e-5)
    monkeypatch.setattr(losses, "CANDIDATES", 20_000)  # each entry is drawn
    whole = losses.sampled_cross_entropy(hidden, weight, labels)
    assert torch.allclose(whole, plain, rtol=1e-5)
    found = torch.autograd.grad(whole, (hidden, weight))
    for one, other in zip(found, torch.autograd.grad(plain, (hidden, weight)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
