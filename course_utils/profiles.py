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
    """A Llama's shape, in ``transformers.LlamaConfig``'s own names."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    initializer_range: float


@dataclass(frozen=True)
class Training:
    """Settings of every training, and all there are of full fine-tuning."""

    batch_size: int
    gradient_accumulation_steps: int
    epochs: float
    learning_rate: float
    warmup_fraction: float
    weight_decay: float


@dataclass(frozen=True)
class Pretraining(Training):
    """Settings of next-token training on packed blocks. A batch is ``batch_size`` blocks of ``block_size`` tokens."""

    block_size: int
    embedding_learning_rate: float
    save_minutes: float


@dataclass(frozen=True)
class LoraTuning(Training):
    """LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685): rank ``r``, the update is scaled by ``alpha / r``."""

    r: int
    alpha: int
    dropout: float


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
    instructions: dict[str, Path]
    evaluation: Path
    demo_questions: Path
    mix: dict[str, dict[str, int]]
    model: ModelShape
    pretraining: Pretraining
    full: Training
    lora: LoraTuning
    sft_max_length: int
    max_documents: int | None = None  # read of each corpus; None reads all
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
    row["instructions"] = {kind: root / path for kind, path in row["instructions"].items()}
    records = {"model": ModelShape, "pretraining": Pretraining, "full": Training, "lora": LoraTuning}
    return Profile(name, **row | {key: record(**row[key]) for key, record in records.items()})


def _table() -> dict[str, dict]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
