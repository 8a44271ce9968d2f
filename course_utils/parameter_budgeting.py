"""Count a Llama's parameters, memory and time before a single weight exists.

In come a model shape, a vocabulary size and a device; out come parameters by part, bytes by part, FLOPs and hours,
and the largest batch that fits. Every formula is a line of arithmetic that its notebook holds against a measurement.
The one idea: a training step costs 6 FLOPs a weight and token, and a weight costs 16 bytes before any activation.
"""

import platform
import timeit
import tomllib
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from . import artifacts, corpora, processes
from .corpora.loading import HELD_OUT_EVERY
from .profiles import ModelShape, Profile
from .tokenizer_pruning import kept_as_found, load_tokenizer

CHUNK_ENTRIES = 2**24  # tokens × vocabulary that a chunk of the chunked loss scores at a time
GIB = 2**30
BATCHES = (*range(1, 17), 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)
# Of nominal speed; a cautious figure for small models in eager PyTorch. The progress line shows the real tokens/s.
UTILISATION = 0.35
MARGIN = 1.03  # `memory` may be so much too low: its tests hold it to 3 % of what a tracker counts
TOKENS_PER_PARAMETER = 20  # compute-optimal, Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556
SAMPLED_DOCUMENTS = 2_000
WEIGHT_BYTES = {"weights": 4, "gradients": 4, "optimizer": 8}  # fp32 weights and gradients, AdamW's two moments
# 8-bit AdamW: two moments of a byte, and for each 256 of them the fp32 number they are scaled by. bitsandbytes does so
# for tensors of 4096 numbers or more, and keeps the moments of smaller ones (the norms) in fp32.
BYTES_IN_8_BIT = 2 * (1 + 4 / 256)
TRACKED_ATTENTION = "sdpa_without_mask"


@dataclass(frozen=True)
class Device:
    """What a device offers: memory in bytes, dense matrix FLOPs a second in 16 bits; and what a training cannot use.
    ``context`` is CUDA's own (``devices.toml`` says whence), ``desktop`` what a screen on the same card takes, and
    ``fragmentation`` the share of the rest that PyTorch's allocator loses between its blocks."""

    name: str
    memory: float
    flops: float
    attention: str
    source: str
    context: float = 2**29
    desktop: float = 0
    fragmentation: float = 0.05

    @property
    def limit(self) -> float:
        """Bytes that weights and activations may take."""
        return (self.memory - self.context - self.desktop) * (1 - self.fragmentation)


_devices = tomllib.loads(Path(__file__).with_name("devices.toml").read_text(encoding="utf-8"))
DEVICES = {key: Device(**row) for key, row in _devices.items()}


@dataclass(frozen=True)
class Fit:
    """The fastest settings that fit a device, named as in a profile, and what they hold, in bytes by part."""

    batch_size: int
    gradient_checkpointing: bool
    loss: str
    memory: dict[str, float]


def key_value_size(shape: ModelShape) -> int:
    """Width of a layer's keys: with grouped-query attention several query heads share one head of keys and values
    (Ainslie et al. 2023, https://arxiv.org/abs/2305.13245)."""
    return (shape.num_key_value_heads or shape.num_attention_heads) * (shape.hidden_size // shape.num_attention_heads)


def parameters(shape: ModelShape, vocab_size: int) -> dict[str, int]:
    """Number of weights by part, as ``LlamaForCausalLM`` has them: no biases. A tied output shares the embedding's
    table and counts 0."""
    h, layers = shape.hidden_size, shape.num_hidden_layers
    return {
        "embedding": vocab_size * h,
        "attention": layers * 2 * h * (h + key_value_size(shape)),  # query and output, key and value
        "feed-forward": layers * 3 * h * shape.intermediate_size,  # gate, up, down
        "norms": (2 * layers + 1) * h,
        "output": 0 if shape.tie_word_embeddings else vocab_size * h,
    }


def lora_parameters(shape: ModelShape, r: int) -> int:
    """Weights of an adapter on every linear layer but the output: r for each input and each output of a matrix."""
    h, kv, i = shape.hidden_size, key_value_size(shape), shape.intermediate_size
    return shape.num_hidden_layers * r * (2 * (h + h) + 2 * (h + kv) + 3 * (h + i))


def flops_per_token(shape: ModelShape, vocab_size: int, block_size: int, *, checkpointing: bool = False) -> float:
    """FLOPs of forward and backward for one token: 6 a matrix weight, 12·layers·hidden·block for attention. Kaplan et
    al. 2020 (https://arxiv.org/abs/2001.08361) and PaLM's appendix B (https://arxiv.org/abs/2204.02311). Grouped
    queries share keys, but each still meets all of them. Checkpointing computes the layers' forward, a third of their
    work, once more."""
    attention = 12 * shape.num_hidden_layers * shape.hidden_size * block_size
    layers = 6 * _matrix_weights(shape, 0) + attention
    return layers * (4 / 3 if checkpointing else 1) + 6 * vocab_size * shape.hidden_size


def _matrix_weights(shape: ModelShape, vocab_size: int) -> int:
    """Weights that multiply: a table that is looked up costs nothing, but a tied one is the output too."""
    parts = parameters(shape, vocab_size)
    return parts["attention"] + parts["feed-forward"] + vocab_size * shape.hidden_size


def activation_bytes(
    shape: ModelShape, block_size: int, *, attention: str = "sdpa", precision: str = "bf16", padded: bool = False,
    lora=None,
) -> float:  # fmt: skip
    """Bytes that one token leaves behind in one layer for the backward pass. Residual stream and norms are fp32, matrix
    inputs and outputs 16 bits, or 32 with ``precision='fp32'``. Eager attention keeps its probabilities too, in fp32
    and in 16 bits, and repeats grouped keys and values; so does sdpa with a mask (``padded``), which it also keeps."""
    h, i, kv, size = shape.hidden_size, shape.intermediate_size, key_value_size(shape), 4 if precision == "fp32" else 2
    scores = shape.num_attention_heads * block_size
    kept = 2 * 8 * h  # two norms: input and normalised input in fp32
    kept += 2 * 4 * h if size == 4 else 5 * 2 * h  # inputs of query, key, value, gate and up; 16 bits: a copy each
    kept += size * 2 * h  # query and attention's output
    kept += size * 2 * (h if padded or attention == "eager" else kv)  # key and value
    kept += size * 4 * i  # gate, its SiLU, up, and their product
    if lora:  # the base's matrices keep no input and its norms no normalised one, but each A keeps its own
        kept += -2 * 4 * h - (2 * 4 * h if size == 4 else 5 * 2 * h) - size * i
        alone = (6 * h + i) if size == 2 or lora.dropout else 2 * h + i  # in fp32 without dropout some A share theirs
        kept += alone * size + (6 * h + i) * 4 * (lora.dropout > 0) + 7 * size * lora.r  # and dropout's factors; A·x
    if attention == "eager":
        kept += scores * (4 if size == 4 else 6)  # probabilities
    elif padded:
        kept += size * block_size  # the mask as numbers, the same for all heads
    return kept


def _fixed(shape: ModelShape, vocab_size: int, optimizer: str, lora) -> dict[str, float]:
    """Bytes that are there at any moment from the second step on: weights, gradients and the optimizer's states."""
    parts = parameters(shape, vocab_size)
    count = sum(parts.values())
    trained = lora_parameters(shape, lora.r) if lora else count
    hidden = trained if lora else parts["attention"] + parts["feed-forward"]
    norms = 0 if lora else parts["norms"]
    states = {
        "adamw": WEIGHT_BYTES["optimizer"] * trained,
        "adamw_8bit": BYTES_IN_8_BIT * (trained - norms) + 8 * norms,
        "muon": 4 * hidden + 8 * (trained - hidden),  # one momentum for hidden matrices, AdamW for the rest
    }
    held = {"weights": count + trained if lora else count, "gradients": trained}
    return {part: WEIGHT_BYTES[part] * number for part, number in held.items()} | {"optimizer": states[optimizer]}


def moments(
    shape: ModelShape, vocab_size: int, block_size: int, batch_size: int,
    *, attention: str = "sdpa", checkpointing: bool = False, loss: str = "plain", optimizer: str = "adamw",
    precision: str = "bf16", padded: bool = False, lora=None,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Bytes by part at each moment of a training step that may be its peak. The step is one in the midst of gradient
    accumulation, so gradients are there throughout. ``padded`` is a batch with an attention mask, ``lora`` the settings
    of an adapter: the base's weights then have no gradients. Chunked and Liger's loss count the same."""
    h, v, depth, tokens = shape.hidden_size, vocab_size, shape.num_hidden_layers, batch_size * block_size
    size, table = 4 if precision == "fp32" else 2, vocab_size * h
    how = {"attention": attention, "precision": precision, "padded": padded, "lora": lora}
    layer = tokens * activation_bytes(shape, block_size, **how)
    stream = tokens * 4 * h  # a layer's input in fp32
    copies, output = (2 * _matrix_weights(shape, 0), 2 * table) if size == 2 else (0, 0)  # of weights, in 16 bits
    in_loss, layers, kept, working, again = copies, depth * layer, copies, depth * layer, copies
    if checkpointing:  # autocast holds copies of trained weights to the end of the forward, then there is one layer's
        in_loss, kept, again = 0 if lora else copies, 0, copies / depth
        layers = depth * stream + tokens * block_size * (4 if attention == "eager" else padded)  # and the mask
        working = layers + layer - stream
    elif lora:  # nothing before the first layer learns, so it keeps less
        layers = working = depth * layer - stream * (4 if lora.dropout else 1)
    states = tokens * (4 if lora else 10 if size == 2 else 12) * h  # what the last norm and the output keep
    waits = 4 * table if shape.tie_word_embeddings and not lora else 0  # the output's gradient, for the embedding's
    attended = stream + tokens * shape.num_attention_heads * block_size * (6 if size == 2 else 8) + waits
    passing = tokens * _passing(shape, size, checkpointing, lora) + waits
    tables = max(stream + 8 * table, 12 * table) if shape.tie_word_embeddings else stream + 4 * table
    found = {  # moment -> 16-bit weights, layers, logits and loss, in passing
        # Scores in 16 bits, in fp32, and their log-softmax; backward, the log-softmax and two gradients.
        "forward, the scores": (in_loss + output, layers, tokens * (14 * h + (10 if size == 2 else 8) * v), 0),
        "backward of the loss": (kept + output, layers, states + tokens * 12 * v, 0),
        "gradient of the output": (kept, layers, tokens * 12 * h, 6 * table if size == 2 else 4 * v * (h + tokens)),
        "forward, the chunked loss": (in_loss + output, layers, *_chunked(tokens, h, v, size, lora)),
        "backward of the last norm": (kept, layers, 0, 6 * stream + waits),
        "backward of a layer": (again, working, 0, passing),
        # The feed-forward block is done; of the probabilities fp32 is left, and there are two gradients as large.
        "backward of attention": (again, working - tokens * _fed_forward(shape, size, lora), 0, attended),
        "gradient of the embedding": (0, 0, 0, tables),
    }
    never = {"forward, the chunked loss"} if loss == "plain" else set(list(found)[:3])
    never |= {"gradient of the output", "gradient of the embedding"} if lora else set()
    never |= {"backward of attention"} if attention != "eager" else set()
    fixed, parts = _fixed(shape, v, optimizer, lora), ("16-bit weights", "layers", "logits and loss", "in passing")
    return {name: fixed | dict(zip(parts, held, strict=True)) for name, held in found.items() if name not in never}


def _chunked(tokens: int, h: int, v: int, size: int, lora) -> tuple[float, float]:
    """Bytes of the chunked loss in its forward pass: the last norm's states and their gradient, a chunk's scores in 16
    bits and fp32 and their gradient, the same again of the next chunk or a gradient about to be added; and the gradient
    of the output."""
    chunk = min(tokens, max(64, CHUNK_ENTRIES // v))
    following = min(tokens - chunk, chunk)  # scored while the last chunk's numbers are still there
    entry = 6 if size == 2 else 4
    added = max(size * h * chunk, 0 if lora or size == 4 else 2 * v * h)
    return tokens * 16 * h + entry * v * chunk + max(entry * v * following, added), 0 if lora else 4 * v * h


def _passing(shape: ModelShape, size: int, checkpointing: bool, lora) -> float:
    """Bytes a token that are there for a moment while a layer works: the gradients of the stream and of the
    feed-forward block's four tensors. With LoRA it is forward, at the last A: its input in fp32, with dropout and
    without."""
    h, i = shape.hidden_size, shape.intermediate_size
    if not lora:
        return 4 * h + 2 * size * i
    if size == 4:
        return max(16 * h + 4 * i, 4 * h + 8 * i)
    return (14 if checkpointing else 6) * h + (10 if lora.dropout else 6) * i


def _fed_forward(shape: ModelShape, size: int, lora) -> float:
    """Bytes a token of a layer's feed-forward block, its norm, and attention's output: the part of ``activation_bytes``
    that is gone when the backward pass comes to attention."""
    h, i, inputs = shape.hidden_size, shape.intermediate_size, size + (4 if lora and lora.dropout else 0)
    return (4 + size) * h + 3 * size * i + (3 * h + i) * inputs if lora else 14 * h + 4 * size * i


def memory(shape: ModelShape, vocab_size: int, block_size: int, batch_size: int, **how) -> dict[str, float]:
    """Bytes by part at the peak of a training step of ``batch_size`` sequences of ``block_size`` tokens: the fullest of
    its ``moments``, which take the same settings. The sum is within 3 % of ``tracked_bytes``."""
    return max(moments(shape, vocab_size, block_size, batch_size, **how).values(), key=lambda held: sum(held.values()))


def tracked_bytes(
    shape: ModelShape, vocab_size: int, block_size: int, batch_size: int,
    *, attention: str = "sdpa", checkpointing: bool = False, precision: str = "bf16", padded: bool = False,
    adapt: Callable | None = None, loss: Callable | None = None, optimizer: Callable | None = None,
) -> int:  # fmt: skip
    """Count the peak of a real training step, in bytes: PyTorch's tracker watches every tensor of a model whose tensors
    have shapes and no numbers, so it needs no memory and a second or two. The step is that of ``moments``: forward,
    backward, clip and the optimizer (AdamW), with gradients and states there before. ``adapt`` puts an adapter on the
    model, ``loss`` is a context in which the model takes another loss, ``optimizer`` makes one for a list of weights.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    class Tracker(MemTracker):
        def _track_module_params_and_buffers(self, module, install_grad_hooks=True):
            return super()._track_module_params_and_buffers(module, install_grad_hooks=False)  # frozen ones have none

    model = _weightless(shape, vocab_size, attention, padded)
    model = adapt(model) if adapt else model
    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype)).train()
        (model.get_base_model() if adapt else model).tie_weights()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        stepper = optimizer(trained) if optimizer else torch.optim.AdamW(trained, fused=True)
        for weight in trained:
            weight.grad = torch.zeros_like(weight)
        stepper.step()  # its states are there from now on
        ids = torch.zeros(batch_size, block_size, dtype=torch.int64)
        batch = {"input_ids": ids, "labels": ids} | ({"attention_mask": torch.ones_like(ids)} if padded else {})
        tracker = Tracker()
        tracker.track_external(model, stepper)
        with loss(model) if loss else nullcontext(), tracker:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision != "fp32"):
                value = model(**batch).loss
            value.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            stepper.step()
        return sum(kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values())


def _weightless(shape: ModelShape, vocab_size: int, attention: str, padded: bool):
    """A Llama on the meta device, as the Trainer would train it: without a cache, and without a mask where no row is
    padded. Where tensors have no numbers transformers cannot see that, so its sdpa goes by a name that it makes no mask
    for."""
    import torch
    from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(TRACKED_ATTENTION, sdpa_attention_forward)
    kind = TRACKED_ATTENTION if attention == "sdpa" and not padded else attention
    with torch.device("meta"):
        config = LlamaConfig(vocab_size=vocab_size, attn_implementation=kind, use_cache=False, **asdict(shape))
        return LlamaForCausalLM(config)


def fit(
    shape: ModelShape, vocab_size: int, block_size: int, device: Device,
    *, batches: Iterable[int] = BATCHES, losses: Iterable[str] = ("plain", "chunked"), **how,
) -> Fit | None:  # fmt: skip
    """The fastest settings that fit: those without checkpointing, which computes the layers' forward twice, before
    those with it, and of these the largest batch of ``batches``; a plain loss where a chunked one allows no larger.
    ``how`` are ``memory``'s other settings. None if nothing fits."""
    for checkpointing in (False, True):
        for batch in sorted(batches, reverse=True):
            for loss in losses:
                settings = {"attention": device.attention, "checkpointing": checkpointing, "loss": loss} | how
                held = memory(shape, vocab_size, block_size, batch, **settings)
                if MARGIN * sum(held.values()) <= device.limit:
                    return Fit(batch, checkpointing, loss, held)
    return None


def tokens_per_second(shape: ModelShape, vocab_size: int, block_size: int, device: Device, **how) -> float:
    """Tokens of training a second at ``UTILISATION`` of the device's speed, whatever the batch: a larger one keeps a
    device busier, but by how much only a measurement tells. ``how`` may be ``checkpointing``."""
    return device.flops * UTILISATION / flops_per_token(shape, vocab_size, block_size, **how)


def seconds(shape: ModelShape, vocab_size: int, block_size: int, tokens: float, device: Device, **how) -> float:
    """Time to train on ``tokens`` tokens at ``tokens_per_second``."""
    return tokens / tokens_per_second(shape, vocab_size, block_size, device, **how)


def device_name() -> str:
    """'cuda', 'mps' or 'cpu': what the Trainer will use."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def has_fast_bf16() -> bool:
    """Whether this machine multiplies bfloat16 matrices in hardware: Ampere or later, AVX512-BF16 or AMX."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_capability()[0] >= 8
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def device_title() -> str:
    """The GPU's name, or the processor's kind with its cores and whether it multiplies bfloat16."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    bf16 = "with" if has_fast_bf16() else "without"
    return f"{processes.cores()} CPU cores ({platform.machine()}), {bf16} bf16"


def measure_matmul_flops(size: int = 1024, repeats: int = 8) -> float:
    """FLOPs a second of this machine's product of ``(size, size)`` matrices, the best of several runs: in float16 on
    CUDA, else in bfloat16 where the machine multiplies it in hardware, else in float32."""
    import torch

    device = device_name()
    dtype = torch.float16 if device == "cuda" else torch.bfloat16 if has_fast_bf16() else torch.float32
    a = torch.randn(size, size, device=device).to(dtype)

    def multiply() -> None:
        a @ a
        getattr(torch, device).synchronize()

    return 2 * size**3 / min(timeit.repeat(multiply, number=1, repeat=repeats))


def expected_tokens(profile: Profile, corpus: str, tokenizer) -> int | None:
    """Tokens that pretraining on ``corpus`` will see, all epochs; None while they are not yet cleaned and deduplicated.
    Tokens a document are counted on a sample from all over each corpus; the held-out documents are not trained on."""
    total = 0.0
    for name, times in profile.mix[corpus].items():
        if not corpora.corpus_files(profile, name):
            return None
        documents = corpora.load_corpus(profile, name)
        step = max(1, len(documents) // SAMPLED_DOCUMENTS)
        sample = documents.select(range(step - 1, len(documents), step))["text"][:]
        with kept_as_found(tokenizer):
            tokens = sum(map(len, tokenizer(sample, add_special_tokens=False)["input_ids"])) + len(sample)
        total += times * len(documents) * tokens / len(sample)
    return round(total * (1 - 1 / HELD_OUT_EVERY) * profile.pretraining.epochs)


def plan(profile: Profile, name: str, vocab_size: int) -> dict:
    """The profile's training ``name`` ('pretraining', 'full' or 'lora') as its settings have it: bytes by part, whether
    they fit its device, tokens a second. And with as many examples a step, the fastest settings that fit: of all
    (``fastest_fit``), and of each loss (``by_loss``); None where none do."""
    shape, settings, device = profile.model, getattr(profile, name), DEVICES[profile.device]
    block = settings.block_size if name == "pretraining" else profile.sft_max_length
    half = settings.precision != "fp32" and (profile.device != "cpu" or has_fast_bf16())
    how = {"optimizer": settings.optimizer, "precision": "bf16" if half else "fp32", "padded": name != "pretraining",
           "attention": device.attention, "lora": settings if name == "lora" else None}  # fmt: skip
    examples = settings.batch_size * settings.gradient_accumulation_steps

    def told(batch: int, checkpointing: bool, loss: str, held: dict[str, float]) -> dict:
        speed = tokens_per_second(shape, vocab_size, block, device, checkpointing=checkpointing)
        speed *= 1.5 if name == "lora" else 1  # a frozen matrix has no gradient: 4 FLOPs of 6
        split = {"batch_size": batch, "gradient_accumulation_steps": examples // batch}
        chosen = {"gradient_checkpointing": checkpointing, "loss": loss}
        return split | chosen | {"memory": held, "total_memory": sum(held.values()), "tokens_per_second": speed}

    def fastest(*losses: str) -> dict | None:
        splits = [batch for batch in range(1, examples + 1) if examples % batch == 0]
        best = fit(shape, vocab_size, block, device, batches=splits, losses=losses, **how)
        return told(*vars(best).values()) if best else None

    own = settings.batch_size, settings.gradient_checkpointing, settings.loss
    held = memory(shape, vocab_size, block, own[0], checkpointing=own[1], loss=own[2], **how)
    chunked = "chunked" if settings.loss == "plain" else settings.loss
    return told(*own, held) | {
        "block_size": block, "fits": MARGIN * sum(held.values()) <= device.limit,
        "fastest_fit": fastest("plain", chunked), "by_loss": {loss: fastest(loss) for loss in ("plain", chunked)},
    }  # fmt: skip


def budget(profile: Profile, *, force: bool = False) -> artifacts.Manifest:
    """Write ``parameter_budgeting/budget.json``: parameters, FLOPs and hours of the profile's model, and the ``plan``
    of each of its trainings. Hours are for the corpora that are there, or else for 20 tokens a parameter. Raises
    CourseError without a tokenizer."""
    tokenizer_folder = artifacts.require(profile, "tokenizer_pruning")
    shape, device = profile.model, DEVICES[profile.device]

    def make(folder: Path) -> dict:
        tokenizer = load_tokenizer(tokenizer_folder)
        vocab, parts, runs = len(tokenizer), parameters(shape, len(tokenizer)), {}
        plans = {name: plan(profile, name, vocab) for name in ("pretraining", "full", "lora")}
        first, count = plans["pretraining"], sum(parts.values())
        for corpus in profile.mix:
            known = expected_tokens(profile, corpus, tokenizer)
            tokens = known or TOKENS_PER_PARAMETER * count
            source = "the corpora" if known else f"{TOKENS_PER_PARAMETER} tokens a parameter"
            hours = tokens / first["tokens_per_second"] / 3600
            runs[corpus] = {"tokens": tokens, "tokens_from": source, "hours": hours}
        lost = {"context": device.context, "desktop": device.desktop}
        lost["fragmentation"] = device.memory - sum(lost.values()) - device.limit
        report = {
            "device": asdict(device), "subtracted": lost, "limit": device.limit, "vocab_size": vocab,
            "parameters": parts, "total_parameters": count, "runs": runs,
            "flops_per_token": flops_per_token(shape, vocab, first["block_size"]),
            "trainings": plans, "fits": all(row["fits"] for row in plans.values()),
        }  # fmt: skip
        artifacts.write_json(folder / "budget.json", report)
        needed = max(row["total_memory"] for row in plans.values())
        return {"parameters": count, "GiB": round(needed / GIB, 2), "fits": report["fits"]}

    names = sorted(set().union(*profile.mix.values()))
    settings = {name: dict(vars(getattr(profile, name))) for name in ("model", "pretraining", "full", "lora")}
    for training in settings.values():
        for kept_on_the_way in ("save_minutes", "report_to"):
            training.pop(kept_on_the_way, None)
    return artifacts.build(
        profile.dir("parameter_budgeting"), make, stage="parameter_budgeting", force=force,
        settings=settings | {"mix": profile.mix, "device": vars(device), "length": profile.sft_max_length},
        inputs=[tokenizer_folder, *(path for name in names for path in corpora.corpus_files(profile, name))],
    )  # fmt: skip
