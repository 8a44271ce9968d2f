"""The steps of the road in order: ``run`` walks them without notebooks, ``status`` tells how far a profile has come."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import artifacts
from .errors import CourseError
from .profiles import Profile
from .steps import STEPS, Step


@dataclass(frozen=True)
class State:
    """How far a step has come: 'done', 'outdated' (its inputs or settings changed), 'unfinished' (it was stopped and
    will go on) or 'to do'; the manifest is that of the last finished run, ``work`` the folder it would go on in."""

    step: Step
    state: str
    manifest: artifacts.Manifest | None
    work: Path | None = None


def do(step: Step, profile: Profile, *, force: bool = False) -> artifacts.Manifest:
    """Make one step's output, or find that it is made. Raises CourseError when an earlier step is missing."""
    # Imported here, so that asking for the steps imports no stage.
    from . import corpora, merge_and_chat, parameter_budgeting, tokenizer_pruning, training, wiki_cleaning

    out = profile.dir(step.stage, step.part)
    if step.stage == "wiki_cleaning":
        return wiki_cleaning.clean_dumps(profile.wiki_dumps, out, force=force)
    if step.stage == "deduplication":
        sources = corpora.source_paths(profile)
        return corpora.deduplicate(sources, out, max_documents=profile.max_documents, force=force)
    if step.stage == "tokenizer_pruning":
        model, words, hidden = profile.tokenizer_model, profile.retain_words, profile.model.hidden_size
        return tokenizer_pruning.prune_tokenizer(model, out, words, hidden_size=hidden, force=force)
    if step.stage == "parameter_budgeting":
        return parameter_budgeting.budget(profile, force=force)
    if step.stage == "pretraining":
        return training.pretrain(profile, step.part, force=force)
    if step.stage == "full_vs_lora_sft":
        return training.fine_tune(profile, *step.part.split("-"), force=force)
    if step.part == "scoreboard":
        return merge_and_chat.evaluate(profile, force=force)
    corpus = step.part.removesuffix("-merged")
    sources = ("pretraining", corpus), ("full_vs_lora_sft", f"{corpus}-lora")
    return merge_and_chat.merge_lora(*(artifacts.require(profile, *source) for source in sources), out, force=force)


def run(profile: Profile, *, force: bool = False, report: Callable[[Step, artifacts.Manifest, bool], None]) -> None:
    """Walk the whole road. Steps that are done are not done again; a stopped one goes on where it can. ``report(step,
    manifest, fresh)`` is called after each step; ``fresh`` is whether it was made just now."""
    for step in STEPS:
        before = artifacts.read_manifest(profile.dir(step.stage, step.part))
        manifest = do(step, profile, force=force)
        report(step, manifest, manifest != before)


def status(profile: Profile) -> list[State]:
    """The state of every step, in order. Nothing is made or changed."""
    states, stale = [], set()
    for step in STEPS:
        folder = profile.dir(step.stage, step.part)
        manifest, work = artifacts.read_manifest(folder), None
        try:
            with artifacts.asking():
                do(step, profile)
            # What is made from an outdated step will be outdated once that step is made again.
            state = "outdated" if stale & set(manifest.inputs) else "done"
        except artifacts.Pending as pending:
            state, work = str(pending), pending.work
        except CourseError:  # an earlier step or a source is missing; once it is there, the latest may go on
            state = "outdated" if manifest else "to do"
            work = next((left.folder for left in artifacts.begun(folder)), None)
        if state != "done":
            made = [folder, *(folder / name for name in manifest.outputs)] if manifest else [folder]
            stale.update(map(artifacts.shown, made))
        states.append(State(step, state, manifest, work))
    return states
