"""Data: the steps of the road in order, which notebook explains each and which command runs it.

Here alone the notebooks have their names, so that one can be inserted by changing this file.
"""

from dataclasses import dataclass

CORPORA = ("common", "medical")
METHODS = ("full", "lora")
NOTEBOOKS = {
    "start": "00_start_here",
    "wiki_cleaning": "01_wiki_cleaning",
    "deduplication": "01_wiki_cleaning",
    "tokenizer_pruning": "02_tokenizer_pruning",
    "llama_by_hand": "03_llama_by_hand",
    "parameter_budgeting": "04_parameter_budgeting",
    "pretraining": "05_pretraining",
    "full_vs_lora_sft": "06_full_vs_lora_sft",
    "merge_and_chat": "07_merge_and_chat",
}
# Stages whose files have changed their form since the first version of the course, and the number of the form.
LAYOUTS = {"deduplication": 2}


@dataclass(frozen=True)
class Step:
    """One output of the road: a stage, or one of the parts it is made in."""

    stage: str
    part: str
    command: str

    @property
    def notebook(self) -> str:
        return NOTEBOOKS[self.stage]

    def __str__(self) -> str:
        return f"{self.stage}/{self.part}" if self.part else self.stage


STEPS = (
    Step("wiki_cleaning", "", "course wiki-clean"),
    Step("deduplication", "", "course deduplicate"),
    Step("tokenizer_pruning", "", "course prune-tokenizer"),
    Step("parameter_budgeting", "", "course budget"),
    *(Step("pretraining", c, f"course pretrain --corpus {c}") for c in CORPORA),
    *(Step("full_vs_lora_sft", f"{c}-{m}", f"course sft --base {c} --method {m}") for c in CORPORA for m in METHODS),
    *(Step("merge_and_chat", f"{c}-merged", f"course merge-lora -b {c} -l {c}-lora -o {c}-merged") for c in CORPORA),
    Step("merge_and_chat", "scoreboard", "course evaluate"),
)


def step(stage: str, part: str = "") -> Step:
    """The step that makes a stage's output, or a part of it."""
    return next(step for step in STEPS if (step.stage, step.part) == (stage, part))
