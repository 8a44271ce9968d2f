"""The scales of the course as data: one table in ``profiles.toml``, read into typed, frozen records.

A profile says which corpora are read, how large the model is, how it is trained, and where its artifacts go.
No other module asks which profile it runs under.
"""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from .errors import CourseError

TABLE = Path(__file__).with_name("profiles.toml")
DEFAULT = "cpu-mini"


@dataclass(frozen=True)
class ModelShape:
    """A Llama's shape, in ``transformers.LlamaConfig``'s own names. Raises CourseError for one that cannot be."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    initializer_range: float
    num_key_value_heads: int | None = None  # fewer than query heads: grouped-query attention; None: as many

    def __post_init__(self):
        heads, shared = self.num_attention_heads, self.num_key_value_heads or self.num_attention_heads
        if self.hidden_size % (2 * heads):  # RoPE turns pairs of numbers
            raise CourseError(
                f"hidden_size {self.hidden_size} cannot be cut into {heads} heads of equal, even width:"
                f" choose a multiple of {2 * heads}"
            )
        if heads % shared:
            raise CourseError(f"{heads} query heads cannot share {shared} key-value heads: choose a divisor of {heads}")


# What a setting may say. Where it matters which is better, `benchmarks/` has the figures.
CHOICES = {
    "precision": ("auto", "bf16", "fp16", "fp32"),  # of matrix products; weights are fp32. auto: the device's fastest
    # The first three have the same value, and only the first holds all logits at once. The last learns from a part of
    # the vocabulary: its value is not the loss that evaluations show.
    "loss": ("plain", "chunked", "liger", "sampled"),
    "optimizer": ("adamw", "adamw_8bit", "muon"),
    "schedule": ("cosine", "linear"),  # how the rate falls after the warm-up
    "parallel": ("ddp", "fsdp"),  # how several GPUs share the work: a whole model each, or a part of it
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of every training.

    One step sees ``batch_size × gradient_accumulation_steps`` examples, in all processes together. ``batch_size`` is
    what one device holds at a time, at most. Raises CourseError for a value that is none of ``CHOICES``.
    """

    # The recipe: what decides the weights.
    batch_size: int
    gradient_accumulation_steps: int
    epochs: float
    learning_rate: float
    warmup_fraction: float
    weight_decay: float
    schedule: str = "cosine"
    optimizer: str = "adamw"
    # How long AdamW remembers squared gradients: 0.95 as GPT-3 and Llama, with batches of millions of tokens; small
    # ones want more (Marek et al. 2025, https://arxiv.org/abs/2507.07101); `benchmarks/mini_world.py` tried it.
    adam_beta2: float = 0.95
    precision: str = "auto"
    seed: int = 42  # of first weights, of what is drawn, of order and dropout
    # How this machine gets there: memory and speed.
    loss: str = "plain"
    gradient_checkpointing: bool = False
    torch_compile: bool = False
    tf32: bool = True  # fp32 products in 19 bits, on GPUs that have it
    parallel: str = "ddp"
    # What is kept on the way.
    save_minutes: float = 10
    report_to: str = "tensorboard"  # or another name of transformers' integrations, or "none"

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                raise CourseError(f"profiles.toml: {name} is {value!r}: choose one of {', '.join(allowed)}")

    @property
    def recipe(self) -> dict:
        """What decides the weights, but for rounding and the seed. A run may be stopped and go on with other values of
        the rest, and with its batch split in another way."""
        machine = ("batch_size", "gradient_accumulation_steps", "loss", "gradient_checkpointing", "torch_compile",
                   "tf32", "parallel", "save_minutes", "report_to", "seed")  # fmt: skip
        kept = {name: value for name, value in vars(self).items() if name not in machine}
        kept |= {"loss": self.loss} if self.loss == "sampled" else {}
        return {"batch": self.batch_size * self.gradient_accumulation_steps, **kept}


@dataclass(frozen=True, kw_only=True)
class Pretraining(Training):
    """Settings of next-token training on packed blocks. A batch is ``batch_size`` blocks of ``block_size`` tokens."""

    block_size: int
    embedding_learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Tuning(Training):
    """Settings of fine-tuning. ``replay``: blocks of the base model's texts among the conversations, as a share of
    their number, so that what was read is not overwritten. ``neftune_alpha``: noise on the embeddings while it learns
    (Jain et al. 2023, https://arxiv.org/abs/2310.05914); 5 is usual, 0 is none."""

    replay: float = 0.0
    neftune_alpha: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LoraTuning(Tuning):
    """LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685): rank ``r``, the update is scaled by ``alpha / r``.

    ``target_modules``: names of linear layers, or all but the output. ``rslora`` scales by alpha / √r (Kalajdzievski
    2023, https://arxiv.org/abs/2312.03732), ``dora`` learns lengths apart from directions (Liu et al. 2024,
    https://arxiv.org/abs/2402.09353). ``bits`` 4 or 8 holds the frozen base in so many bits a weight (Dettmers et al.
    2023, https://arxiv.org/abs/2305.14314) and needs the package bitsandbytes.
    """

    r: int
    alpha: int
    dropout: float
    target_modules: str | list[str] = "all-linear"
    rslora: bool = False
    dora: bool = False
    bits: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.bits not in (0, 4, 8):
            raise CourseError(f"profiles.toml: bits is {self.bits!r}: choose 4, 8 or 0 for none")


@dataclass(frozen=True)
class Profile:
    """One scale of the course. All paths are absolute."""

    name: str
    description: str
    device: str  # a key of parameter_budgeting.DEVICES
    wiki_dumps: tuple[Path, ...]
    tokenizer_model: Path
    retain_words: Path
    baike: tuple[Path, ...]
    medical: tuple[Path, ...]
    instructions: dict[str, tuple[Path, ...]]
    evaluation: Path
    demo_questions: Path
    mix: dict[str, dict[str, float]]  # base model -> corpus -> how often it is read in an epoch
    model: ModelShape
    pretraining: Pretraining
    full: Tuning
    lora: LoraTuning
    sft_max_length: int
    max_documents: int | None = None  # read of each corpus; None reads all
    starts_from: dict[str, str] = field(default_factory=dict)  # a base model that goes on from another one's weights
    artifacts: Path = field(default_factory=lambda: artifacts_root())

    def dir(self, stage: str, part: str = "") -> Path:
        """Where a stage writes: ``artifacts/<profile>/<stage>[/<part>]``."""
        return self.artifacts / self.name / stage / part


def course_root() -> Path:
    """The folder that holds ``data/`` and ``artifacts/``: the checkout, or ``$COURSE_HOME``."""
    return Path(os.environ.get("COURSE_HOME") or TABLE.parents[1]).resolve()


def artifacts_root() -> Path:
    """``artifacts/`` in the course's folder, or ``$COURSE_ARTIFACTS``."""
    return Path(os.environ.get("COURSE_ARTIFACTS") or course_root() / "artifacts").resolve()


def names() -> list[str]:
    """Names of all profiles, the default first."""
    return list(_table())


def chosen_name() -> str:
    """The name of the profile that counts where none is given: ``$COURSE_PROFILE``, or ``cpu-mini``."""
    return os.environ.get("COURSE_PROFILE") or DEFAULT


def load(name: str | None = None) -> Profile:
    """The profile called ``name``, or the chosen one. Raises CourseError for an unknown name."""
    name, table, root = name or chosen_name(), _table(), course_root()
    if name not in table:
        raise CourseError(f"unknown profile {name!r}: choose one of {', '.join(table)}")
    row = table[name]
    for key in ("wiki_dumps", "baike", "medical"):
        row[key] = tuple(root / path for path in row[key])
    for key in ("tokenizer_model", "retain_words", "evaluation", "demo_questions"):
        row[key] = root / row[key]
    row["instructions"] = {kind: tuple(root / path for path in paths) for kind, paths in row["instructions"].items()}
    records = {"model": ModelShape, "pretraining": Pretraining, "full": Tuning, "lora": LoraTuning}
    return Profile(name, **row | {key: record(**row[key]) for key, record in records.items()})


def _table() -> dict[str, dict]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
