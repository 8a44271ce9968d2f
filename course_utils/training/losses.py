"""The loss of the next token without all logits in memory at once.

In come the last layer's states, the output's matrix and the right tokens; out comes the value that the plain loss has.
The plain loss holds three numbers for each token *and* each entry of the vocabulary: 2.7 GB for 6,144 tokens and 36,448
entries, more than all layers of the 92 M model.

The one idea: the gradient of cross entropy is known as soon as the logits are, softmax minus one at the right token. So
a chunk of tokens is scored, its gradients are taken, and its logits are forgotten, all in the forward pass; backward
has only to multiply by what arrives there. The same matrix products as the plain loss, none twice. (Liger, Hsu et al.
2024, https://arxiv.org/abs/2410.10989, does so too, in kernels for GPUs.) ``benchmarks/losses.py`` compares.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import cross_entropy, pad

from ..errors import CourseError
from ..parameter_budgeting import CHUNK_ENTRIES

CANDIDATES = 1_600  # entries of the vocabulary that ``sampled_cross_entropy`` draws at each step
IGNORED = -100  # label of positions that do not count, as torch's cross entropy has it


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, labels, dtype, trained):
        with torch.autocast(hidden.device.type, enabled=False):  # ``dtype`` is what it would have taken
            total = hidden.new_zeros((), dtype=torch.float32)
            matrix = weight.to(dtype)
            by_state = torch.empty_like(hidden, dtype=torch.float32) if trained else None
            by_weight = torch.zeros_like(weight, dtype=torch.float32) if trained and ctx.needs_input_grad[1] else None
            size = max(64, CHUNK_ENTRIES // len(weight))
            for start in range(0, len(hidden), size):
                states, right = hidden[start : start + size].to(dtype), labels[start : start + size, None]
                scores = (states @ matrix.T).float()
                top, chosen = scores.amax(1, keepdim=True), scores.gather(1, right)
                norm = scores.sub_(top).exp_().sum(1, keepdim=True)
                total += (norm.log() + top - chosen).sum()
                if trained:
                    error = scores.div_(norm).scatter_add_(1, right, scores.new_full((), -1).expand(right.shape))
                    error = error.to(dtype)
                    by_state[start : start + size] = error @ matrix
                    if by_weight is not None and dtype == torch.float32:
                        by_weight.addmm_(error.T, states)
                    elif by_weight is not None:
                        by_weight += error.T @ states
        ctx.save_for_backward(by_state, by_weight)
        ctx.dtypes = hidden.dtype, weight.dtype
        return total

    @staticmethod
    def backward(ctx, arriving):
        # In place: a second backward through the same graph is an error, not a wrong result.
        grads = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        return *(None if grad is None else grad.mul_(arriving).to(dtype) for grad, dtype in grads), None, None, None


def _counted(hidden, labels):
    """The states and labels that count: of a conversation the answers, a third of it."""
    if isinstance(labels, FakeTensor):  # where only memory is measured there are no values
        return hidden, labels
    counted = labels != IGNORED
    return hidden[counted], labels[counted]


@torch.compiler.disable  # it computes its own gradients; `torch.compile` takes what is before it
def chunked_cross_entropy(hidden, weight, labels):
    """Sum of −ln p(right token), nats, as ``cross_entropy(hidden @ weight.T, labels, reduction="sum")`` gives it.

    ``hidden`` ``(tokens, hidden size)``, ``weight`` ``(vocabulary, hidden size)``, ``labels`` int64 ``(tokens,)``; the
    label -100 does not count. Under autocast the products are in its type, scores and sums always in fp32.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    hidden, labels = _counted(hidden, labels)
    return _Chunked.apply(hidden, weight, labels, dtype, torch.is_grad_enabled())


def liger_cross_entropy(hidden, weight, labels):
    """The same by Liger's kernels. Raises CourseError where the package is missing."""
    try:
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy
    except ImportError:
        raise CourseError("loss = 'liger' needs the package liger-kernel: install it, or take 'chunked'") from None
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        hidden, weight = hidden.to(torch.get_autocast_dtype(kind)), weight.to(torch.get_autocast_dtype(kind))
    return liger_fused_linear_cross_entropy(hidden, weight, labels, reduction="sum", accum_dtype=torch.float32)


def sampled_cross_entropy(hidden, weight, labels):
    """While the model learns, the same sum over a part of the vocabulary: the entries that are right somewhere in the
    batch, and ``CANDIDATES`` drawn at random (Jean et al. 2015, https://arxiv.org/abs/1412.2007, without their
    correction for how likely an entry was drawn: it learned less here). Where nothing is learned, the exact sum.

    A small model on a CPU spends nearly half of a step on its output; so it reads a third more in the same time.
    """
    if not torch.is_grad_enabled():
        return chunked_cross_entropy(hidden, weight, labels)
    hidden, right = _counted(hidden, labels)
    chosen = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
    chosen[right] = True
    chosen[torch.randint(len(weight), (CANDIDATES,), device=weight.device)] = True
    place = chosen.cumsum(0) - 1
    return cross_entropy((hidden @ weight[chosen].T).float(), place[right], reduction="sum")


LOSSES = {"chunked": chunked_cross_entropy, "sampled": sampled_cross_entropy, "liger": liger_cross_entropy}


@contextmanager
def without_logits(model, kind: str) -> Iterator[None]:
    """Within this context a Llama asked for its loss takes the ``kind``, a key of LOSSES, and returns no logits. In
    ``forward``, so that DDP, FSDP and autocast see it. ``model`` may be a PEFT model around the Llama."""
    from transformers.modeling_outputs import CausalLMOutputWithPast

    llama = model.get_base_model() if hasattr(model, "get_base_model") else model
    plain, loss_of = llama.forward, LOSSES[kind]

    def forward(*args, labels=None, num_items_in_batch=None, **kwargs):
        if labels is None:
            return plain(*args, **kwargs)
        states = llama.model(*args, use_cache=False, **kwargs).last_hidden_state
        following = pad(labels, (0, 1), value=IGNORED)[:, 1:].reshape(-1)  # the last token has none
        total = loss_of(states.reshape(-1, states.shape[-1]), llama.lm_head.weight, following)
        counted = (following != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return CausalLMOutputWithPast(loss=total / counted)

    llama.forward = forward
    try:
        yield
    finally:
        # The Trainer has wrapped it meanwhile, and PyTorch would find either before the class' own.
        for name in ("forward", "_original_forward"):
            vars(llama).pop(name, None)
