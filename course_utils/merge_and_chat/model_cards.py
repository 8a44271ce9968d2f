"""What a model is, for those who find it on the Hub: the ``README.md`` of its folder.

In come the folder, the manifests of the stages that made it and what it was made from, and the scoreboard; out comes
Markdown under the Hub's header (https://huggingface.co/docs/hub/model-cards). What no manifest says is not known, and
the card says so.
"""

import json
import math
from pathlib import Path

from .. import artifacts
from ..profiles import Profile, artifacts_root
from . import evaluation
from .exporting import load_whole

UNKNOWN = "not known"
LICENCE = "apache-2.0"  # of data/, and so of what was made from it alone
TRAININGS = ("pretraining", "full_vs_lora_sft")  # the stages in which a model reads texts
MEDICAL = """**Not medical advice.** It was trained on medical texts, which are not complete and were not reviewed by a
physician. No one should act on what it says. In an emergency call 120 (in China) or go to a hospital."""
CARD = """---
language:
- zh
license: {licence}
library_name: transformers
pipeline_tag: text-generation
{base}---

# {name}

A Chinese Llama, made with the course "Build a Chinese Llama from scratch".{notice}

| | |
|---|---|
{facts}

## Use

```python
from transformers import pipeline
chat = pipeline("text-generation", "OWNER/{name}")  # or the path of its folder
print(chat([{{"role": "user", "content": "成都属于哪个省？"}}], max_new_tokens=100)[0]["generated_text"][-1]["content"])
```

## How well it answers

{scores}

## How it was made

{steps}
"""


def write_card(profile: Profile, folder: Path, out: Path, *, force: bool = False) -> None:
    """Write the card of a model. Raises CourseError for an adapter, and where ``out`` exists (unless ``force``)."""
    artifacts.check_new(out, force)
    model, _ = load_whole(folder)  # what a card says is of a model that can be used
    config = model.config
    made, complete = history(folder)
    free = complete and all(name.startswith(("data/", "artifacts/")) for step in made for name in step.inputs)
    base = next(iter(made[0].inputs)) if made and made[0].stage.startswith(("merge_and_chat", TRAININGS[1])) else ""
    read = [text for step in made if step.stage.startswith(TRAININGS) for text in (step.stage, *step.inputs)]
    medical = any("medical" in text for text in (folder.resolve().name, *read))
    shape = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    facts = {
        "parameters": f"{model.num_parameters():,}",
        "shape": ", ".join(f"{name} {getattr(config, name, UNKNOWN)}" for name in shape),
        "vocabulary": f"{config.vocab_size:,} pieces", "positions": f"{config.max_position_embeddings:,}",
        "finished": made[0].finished if made else UNKNOWN, "held-out perplexity": perplexities(made) or UNKNOWN,
        "licence": LICENCE if free else f"{UNKNOWN}: that of the data it was trained on decides",
    }  # fmt: skip
    text = CARD.format(
        licence=LICENCE if free else "unknown", name=folder.resolve().name, notice=f"\n\n{MEDICAL}" * medical,
        base=f"base_model: {Path(base).name}  # on the Hub: OWNER/{Path(base).name}\n" * bool(base),
        facts="\n".join(f"| {name} | {value} |" for name, value in facts.items()), scores=scores(profile, folder),
        steps="\n\n".join(map(told, made)) + f"\n\nWhat came before is {UNKNOWN}." * (not complete),
    )  # fmt: skip
    artifacts.write_text(out, text)


def history(folder: Path) -> tuple[list[artifacts.Manifest], bool]:
    """-> (the manifests of a model and of all it was made from, the last step first; whether none is missing or of
    something else than what was used)."""
    first = artifacts.read_manifest(folder)
    made, complete = {first.fingerprint: first} if first else {}, bool(first)
    waiting = list(first.inputs.items()) if first else []
    while waiting:
        name, content = waiting.pop(0)
        if not name.startswith("artifacts/"):
            # A bare name, or an absolute one, is of a place outside the course.
            complete = complete and "/" in name and not Path(name).is_absolute()
            continue
        path = artifacts_root() / name.removeprefix("artifacts/")
        found = next(filter(None, map(artifacts.read_manifest, (path, *path.parents[:2]))), None)
        if not found or artifacts.sha256(path) != content:
            complete = False
        elif found.fingerprint not in made:
            made[found.fingerprint] = found
            waiting += found.inputs.items()
    return list(made.values()), complete


def perplexities(made: list[artifacts.Manifest]) -> str:
    """Held-out perplexity after each training: of text after pretraining, of answers after fine-tuning."""
    found = {}
    for step in made:
        if loss := step.summary.get("held_out_loss"):
            found[step.stage] = f"{math.exp(loss):.2f} (answers)"
        elif text := step.summary.get("held_out_perplexity"):
            found[step.stage] = f"{text} (text)"
    return ", ".join(f"{value} after {stage}" for stage, value in found.items())


def scores(profile: Profile, folder: Path) -> str:
    """The model's row of the scoreboard, as a table, if it is this very model that was asked."""
    board = profile.dir("merge_and_chat", "scoreboard")
    manifest = artifacts.read_manifest(board)
    if not manifest or manifest.inputs.get(artifacts.shown(folder)) != artifacts.sha256(folder):
        return f"That is {UNKNOWN}: the course's exam (`course evaluate`) was not held with it."
    models = [(name, path) for name, path, _ in evaluation.models(profile) if path]
    name = next(name for name, path in models if path.resolve() == folder.resolve())
    rows = (f"| {split} | {100 * share:.0f} |" for split, share in evaluation.read_board(board)[name].items())
    return "\n".join(["The course's exam, right answers (of `declined`: questions declined that it should know), %:",
                      "", "| questions | % |", "|---|---:|", *rows])  # fmt: skip


def told(step: artifacts.Manifest) -> str:
    """A step in Markdown: when, with which versions, what it gave, its settings, its inputs."""
    figures, settings = (json.dumps(part, ensure_ascii=False) for part in (step.summary, step.settings))
    versions = ", ".join(f"{name} {version}" for name, version in step.versions.items())
    names = {name: artifacts.shown(Path(name)) if Path(name).is_absolute() else name for name in step.inputs}
    inputs = "\n".join(f"  - `{names[name]}`, SHA-256 `{content}`" for name, content in step.inputs.items())
    return f"""### {step.stage}

Finished {step.finished}, after {step.seconds:,.0f} s, with {versions}.

- figures: `{figures}`
- settings: `{settings}`
- made from:
{inputs}"""
