"""Count a Llama's parameters, memory and time before a single weight exists.

In come a model shape, a vocabulary size and a device; out come parameters by part, bytes by part, FLOPs and hours,
and the largest batch that fits. Every formula is a line of arithmetic that its notebook holds against a measurement.
The one idea: a training step costs 6 FLOPs a weight and token, and a weight costs 16 bytes before any activation.
"""

import timeit
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from . import artifacts, corpora
from .corpora.loading import HELD_OUT_EVERY
from .profiles import ModelShape, Profile
from .tokenizer_pruning import load_tokenizer

GIB = 2**30
BATCHES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Of nominal speed; a cautious figure for small models in eager PyTorch. The progress line shows the real tokens/s.
UTILISATION = 0.35
USABLE = 0.9  # of a device's memory; the rest is the context of CUDA and fragmentation
TOKENS_PER_PARAMETER = 20  # compute-optimal, Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556
SAMPLED_DOCUMENTS = 2_000
WEIGHT_BYTES = {"weights": 4, "gradients": 4, "optimizer": 8}  # fp32 weights and gradients, AdamW's two moments


@dataclass(frozen=True)
class Device:
    """What a device offers: memory in bytes, dense matrix FLOPs a second in 16 bits."""

    name: str
    memory: float
    flops: float
    attention: str
    source: str


_devices = tomllib.loads(Path(__file__).with_name("devices.toml").read_text(encoding="utf-8"))
DEVICES = {key: Device(**row) for key, row in _devices.items()}


@dataclass(frozen=True)
class Fit:
    """The fastest settings that fit a device: sequences a step, and whether activations are computed twice."""

    batch_size: int
    gradient_checkpointing: bool
    memory: dict[str, float]


def parameters(shape: ModelShape, vocab_size: int) -> dict[str, int]:
    """Number of weights by part, as ``LlamaForCausalLM`` has them: no biases, one key/value head a query head. A tied
    output shares the embedding's table and counts 0."""
    h, layers = shape.hidden_size, shape.num_hidden_layers
    return {
        "embedding": vocab_size * h,
        "attention": layers * 4 * h * h,  # query, key, value, output
        "feed-forward": layers * 3 * h * shape.intermediate_size,  # gate, up, down
        "norms": (2 * layers + 1) * h,
        "output": 0 if shape.tie_word_embeddings else vocab_size * h,
    }


def flops_per_token(shape: ModelShape, vocab_size: int, block_size: int) -> float:
    """FLOPs of forward and backward for one token: 6 a matrix weight, 12·layers·hidden·block for attention. Kaplan et
    al. 2020 (https://arxiv.org/abs/2001.08361) and PaLM's appendix B (https://arxiv.org/abs/2204.02311)."""
    attention = 12 * shape.num_hidden_layers * shape.hidden_size * block_size
    return 6 * _matrix_weights(shape, vocab_size) + attention


def _matrix_weights(shape: ModelShape, vocab_size: int) -> int:
    """Weights that multiply: a table that is looked up costs nothing, but a tied one is the output too."""
    parts = parameters(shape, vocab_size)
    return parts["attention"] + parts["feed-forward"] + vocab_size * shape.hidden_size


def activation_bytes(
    shape: ModelShape, block_size: int, *, attention: str = "sdpa", checkpointing: bool = False
) -> float:
    """Bytes that one token leaves behind in the layers for the backward pass, in mixed 16-bit precision. Residual
    stream and norms are fp32, matrix inputs and outputs 16 bits; ``saved_bytes`` measures the same. Eager attention
    keeps its probabilities too, once in fp32 and once in 16 bits. With gradient checkpointing each layer keeps its
    input alone, and one layer at a time is computed again."""
    h = shape.hidden_size
    layer = (
        2 * 8 * h  # two norms: input and normalised input in fp32
        + 5 * 2 * h  # copies for the query, key, value, gate and up matrices
        + 4 * 2 * h  # query, key, value and attention's output
        + 4 * 2 * shape.intermediate_size  # gate, its SiLU, up, and their product
        + (6 * shape.num_attention_heads * block_size if attention == "eager" else 0)  # its probabilities, twice
    )
    return shape.num_hidden_layers * 4 * h + layer if checkpointing else shape.num_hidden_layers * layer


def memory(
    shape: ModelShape, vocab_size: int, block_size: int, batch_size: int,
    *, attention: str = "sdpa", checkpointing: bool = False,
) -> dict[str, float]:  # fmt: skip
    """Bytes by part at the peak of a training step of ``batch_size`` sequences of ``block_size`` tokens. The logits'
    peak is in the loss: 16-bit logits, their fp32 copy and its log-softmax, 10 bytes a vocabulary entry."""
    weights, tokens = sum(parameters(shape, vocab_size).values()), batch_size * block_size
    layers = activation_bytes(shape, block_size, attention=attention, checkpointing=checkpointing)
    return {name: size * weights for name, size in WEIGHT_BYTES.items()} | {
        "16-bit weights": 2 * _matrix_weights(shape, vocab_size),
        "layers": tokens * layers,
        "logits and loss": tokens * (10 * vocab_size + 10 * shape.hidden_size),
    }


def saved_bytes(
    shape: ModelShape, vocab_size: int, block_size: int, batch_size: int, *, attention: str = "sdpa"
) -> int:
    """Measure what a real forward pass keeps for the backward pass, in bytes, weights in fp32 excluded: ``memory``'s
    '16-bit weights' and 'layers', and of 'logits and loss' 4 bytes a vocabulary entry."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = {"attn_implementation": attention, "num_key_value_heads": shape.num_attention_heads}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=vocab_size, **heads, **asdict(shape)))
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor, storage.nbytes()  # held, so that its address is not given away again
        return tensor

    ids = torch.zeros(batch_size, block_size, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        model(input_ids=ids, labels=ids)
    return sum(size for _, size in kept.values())


def fit(shape: ModelShape, vocab_size: int, block_size: int, device: Device) -> Fit | None:
    """The fastest settings that fit: the largest batch without checkpointing (which computes the forward pass twice, a
    third more work), else the largest with it; None if none does."""
    for checkpointing in (False, True):
        for batch in reversed(BATCHES):
            held = memory(shape, vocab_size, block_size, batch, attention=device.attention, checkpointing=checkpointing)
            if sum(held.values()) <= USABLE * device.memory:
                return Fit(batch, checkpointing, held)
    return None


def seconds(shape: ModelShape, vocab_size: int, block_size: int, tokens: float, device: Device) -> float:
    """Time to train on ``tokens`` tokens at ``UTILISATION`` of the device's speed."""
    return tokens * flops_per_token(shape, vocab_size, block_size) / (device.flops * UTILISATION)


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


def measure_matmul_flops(size: int = 1024, repeats: int = 8) -> float:
    """FLOPs a second of this machine's product of ``(size, size)`` matrices, the best of several runs: in float16 on
    CUDA, else in bfloat16 where the machine multiplies it in hardware, else in float32."""
    import torch

    device = device_name()
    dtype = torch.float16 if device == "cuda" else torch.bfloat16 if has_fast_bf16() else torch.float32
    a = torch.randn(size, size, device=device).to(dtype)

    def multiply() -> None:
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()

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
        tokens = sum(map(len, tokenizer(sample, add_special_tokens=False)["input_ids"])) + len(sample)
        total += times * len(documents) * tokens / len(sample)
    return round(total * (1 - 1 / HELD_OUT_EVERY) * profile.pretraining.epochs)


def budget(profile: Profile, *, force: bool = False) -> artifacts.Manifest:
    """Write ``parameter_budgeting/budget.json``: parameters, memory by part, FLOPs and hours of the profile's model.
    Hours are for the corpora that are there, or else for 20 tokens a parameter. Raises CourseError without a
    tokenizer."""
    tokenizer_folder = artifacts.require(profile, "tokenizer_pruning")
    shape, settings, device = profile.model, profile.pretraining, DEVICES[profile.device]

    def make(folder: Path) -> dict:
        tokenizer = load_tokenizer(tokenizer_folder)
        vocab, block = len(tokenizer), settings.block_size
        parts, best = parameters(shape, vocab), fit(shape, vocab, block, device)
        held = memory(shape, vocab, block, settings.batch_size, attention=device.attention)
        count, needed, runs = sum(parts.values()), sum(held.values()), {}
        for corpus in profile.mix:
            known = expected_tokens(profile, corpus, tokenizer)
            tokens = known or TOKENS_PER_PARAMETER * count
            source = "the corpora" if known else f"{TOKENS_PER_PARAMETER} tokens a parameter"
            hours = seconds(shape, vocab, block, tokens, device) / 3600
            runs[corpus] = {"tokens": tokens, "tokens_from": source, "hours": hours}
        report = {
            "device": asdict(device), "vocab_size": vocab, "parameters": parts, "total_parameters": count,
            "flops_per_token": flops_per_token(shape, vocab, block), "batch_size": settings.batch_size,
            "memory": held, "total_memory": needed, "fits": needed <= USABLE * device.memory,
            "fastest_fit": asdict(best) if best else None, "runs": runs,
        }  # fmt: skip
        artifacts.write_json(folder / "budget.json", report)
        return {"parameters": count, "GiB": round(needed / GIB, 2), "fits": report["fits"]}

    names = sorted(set().union(*profile.mix.values()))
    return artifacts.build(
        profile.dir("parameter_budgeting"), make, stage="parameter_budgeting", force=force,
        settings={"model": vars(shape), "pretraining": vars(settings), "mix": profile.mix, "device": vars(device)},
        inputs=[tokenizer_folder, *(path for name in names for path in corpora.corpus_files(profile, name))],
    )  # fmt: skip
