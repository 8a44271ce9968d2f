"""The stages in order: which notebook explains each, which command runs it, where its output lies.

``run`` walks the whole road without notebooks; ``status`` tells how far a profile has come.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import artifacts
from .errors import CourseError
from .profiles import Profile

CORPORA = ("common", "medical")
METHODS = ("full", "lora")


@dataclass(frozen=True)
class Step:
    """One output of the road: a stage, or one of the parts it is made in."""

    stage: str
    part: str
    notebook: str
    command: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.part}" if self.part else self.stage


STEPS = (
    Step("wiki_cleaning", "", "01_wiki_cleaning", "course wiki-clean"),
    Step("tokenizer_pruning", "", "02_tokenizer_pruning", "course prune-tokenizer"),
    Step("parameter_budgeting", "", "03_parameter_budgeting", "course budget"),
    *(Step("pretraining", c, "04_pretraining", f"course pretrain --corpus {c}") for c in CORPORA),
    *(
        Step("full_vs_lora_sft", f"{c}-{m}", "05_full_vs_lora_sft", f"course sft --base {c} --method {m}")
        for c in CORPORA
        for m in METHODS
    ),
    *(Step("merge_and_chat", f"{c}-merged", "06_merge_and_chat", f"course merge-lora -b {c}") for c in CORPORA),
    Step("merge_and_chat", "scoreboard", "06_merge_and_chat", "course evaluate"),
)


def maker(stage: str, part: str = "") -> tuple[str, str]:
    """-> (notebook, command) that make a stage's output."""
    step = next(step for step in STEPS if (step.stage, step.part) == (stage, part))
    return step.notebook, step.command
