"""The stages in order: which notebook explains each, which command runs it, where its output lies.

``run`` walks the whole road without notebooks; ``status`` tells how far a profile has come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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

    def folder(self, profile: Profile) -> Path:
        return profile.dir(self.stage, self.part)


STEPS = (
    Step("wiki_cleaning", "", "01_wiki_cleaning", "course wiki-clean"),
    Step("deduplication", "", "01_wiki_cleaning", "course deduplicate"),
    Step("tokenizer_pruning", "", "02_tokenizer_pruning", "course prune-tokenizer"),
    Step("parameter_budgeting", "", "03_parameter_budgeting", "course budget"),
    *(Step("pretraining", c, "04_pretraining", f"course pretrain --corpus {c}") for c in CORPORA),
    *(
        Step("full_vs_lora_sft", f"{c}-{m}", "05_full_vs_lora_sft", f"course sft --base {c} --method {m}")
        for c in CORPORA
        for m in METHODS
    ),
    *(
        Step(
            "merge_and_chat", f"{c}-merged", "06_merge_and_chat", f"course merge-lora -b {c} -l {c}-lora -o {c}-merged"
        )
        for c in CORPORA
    ),
    Step("merge_and_chat", "scoreboard", "06_merge_and_chat", "course evaluate"),
)


@dataclass(frozen=True)
class State:
    """How far a step has come: 'done', 'outdated' (its inputs or settings changed), 'unfinished' (it was stopped and
    will go on) or 'to do'; the manifest is that of the last finished run."""

    step: Step
    state: str
    manifest: artifacts.Manifest | None


def maker(stage: str, part: str = "") -> tuple[str, str]:
    """-> (notebook, command) that make a stage's output."""
    step = next(step for step in STEPS if (step.stage, step.part) == (stage, part))
    return step.notebook, step.command


def do(step: Step, profile: Profile, *, force: bool = False) -> artifacts.Manifest:
    """Make one step's output, or find that it is made. Raises CourseError when an earlier step is missing."""
    # Imported here, so that looking up a name imports no stage.
    from . import corpora, deduplication, evaluation, full_vs_lora_sft, merge_and_chat, parameter_budgeting
    from . import pretraining, tokenizer_pruning, wiki_cleaning  # isort: skip

    out = step.folder(profile)
    if step.stage == "wiki_cleaning":
        return wiki_cleaning.clean_dumps(profile.wiki_dumps, out, force=force)
    if step.stage == "deduplication":
        sources = corpora.source_paths(profile)
        return deduplication.deduplicate(sources, out, max_documents=profile.max_documents, force=force)
    if step.stage == "tokenizer_pruning":
        hidden = profile.model.hidden_size
        return tokenizer_pruning.prune_tokenizer(
            profile.tokenizer_model, out, profile.retain_words, hidden_size=hidden, force=force
        )
    if step.stage == "parameter_budgeting":
        return parameter_budgeting.budget(profile, force=force)
    if step.stage == "pretraining":
        return pretraining.pretrain(profile, step.part, force=force)
    if step.stage == "full_vs_lora_sft":
        return full_vs_lora_sft.fine_tune(profile, *step.part.split("-"), force=force)
    if step.part == "scoreboard":
        return evaluation.evaluate(profile, force=force)
    corpus = step.part.removesuffix("-merged")
    base, lora = profile.require("pretraining", corpus), profile.require("full_vs_lora_sft", f"{corpus}-lora")
    return merge_and_chat.merge_lora(base, lora, out, force=force)


def run(profile: Profile, *, force: bool = False, report: Callable[[Step, artifacts.Manifest, bool], None]) -> None:
    """Walk the whole road. Steps that are done are not done again; a stopped one goes on where it can.

    ``report(step, manifest, fresh)`` is called after each step; ``fresh`` is whether it was made just now.
    """
    for step in STEPS:
        before = artifacts.read_manifest(step.folder(profile))
        manifest = do(step, profile, force=force)
        report(step, manifest, manifest != before)


def status(profile: Profile) -> list[State]:
    """The state of every step, in order. Nothing is made or changed."""
    states, stale = [], set()
    for step in STEPS:
        folder = step.folder(profile)
        manifest = artifacts.read_manifest(folder)
        try:
            with artifacts.asking():
                do(step, profile)
            # What is made from an outdated step will be outdated once that step is made again.
            state = "outdated" if stale & set(manifest.inputs) else "done"
        except artifacts.Pending as pending:
            state = str(pending)
        except CourseError:  # an earlier step or a source is missing
            state = "outdated" if manifest else "to do"
        if state != "done":
            files = manifest.outputs if manifest else ()
            stale.update(map(artifacts.shown, [folder, *(folder / name for name in files)]))
        states.append(State(step, state, manifest))
    return states
