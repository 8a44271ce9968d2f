"""What an adapter was trained on: it fits no other base, though another one may have the same shape.

``record`` writes it into the adapter's folder, so that it goes where the adapter goes; ``check`` compares a base with
it. The hashes are of what the files say and not of the files: a model saved again in other shards is the same model.
"""

import hashlib
import json
from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from ..progress import say
from ..tokenizer_pruning import bare, load_tokenizer

BASE = "base.json"  # in the folder of an adapter
# What must be the same -> how a person calls it.
PARTS = {"weights": "weights", "vocabulary": "vocabulary", "template": "chat template"}


def describe(folder: Path) -> dict[str, str]:
    """The hashes of a base model: of its weights, its vocabulary and its chat template."""
    tokenizer = load_tokenizer(folder)
    told = {"vocabulary": bare(tokenizer).to_str(), "template": tokenizer.chat_template or ""}
    with artifacts.whole(folder):
        weights = hash_weights(folder)
    return {"weights": weights, **{name: hashlib.sha256(text.encode()).hexdigest() for name, text in told.items()}}


def hash_weights(folder: Path) -> str:
    """SHA-256 of all tensors of a model in safetensors: names, types, shapes and bytes, in the order of the names."""
    import torch
    from safetensors import safe_open

    places, total = {}, hashlib.sha256()
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, "pt") as file:
            places |= dict.fromkeys(file.keys(), path)
    for name in sorted(places):
        with safe_open(places[name], "pt") as file:
            tensor = file.get_tensor(name)
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def record(folder: Path, base: Path) -> None:
    """Write what ``base`` is into the folder of an adapter that was trained on it."""
    artifacts.write_json(folder / BASE, describe(base))


def check(adapter: Path, base: Path) -> None:
    """Raises CourseError where ``base`` is not what the adapter was trained on. An adapter of somebody else's does not
    say: that is one line."""
    name, other = artifacts.shown(adapter), artifacts.shown(base)
    if not (adapter / BASE).is_file():
        say(f"{name} does not say which base it was trained on: whether {other} is the one, you must know")
        return
    with artifacts.whole(adapter):
        wanted = dict(json.loads((adapter / BASE).read_bytes()))
    found = describe(base)
    if wrong := [label for part, label in PARTS.items() if wanted.get(part) != found[part]]:
        raise CourseError(
            f"{name} was not trained on {other}, whose {' and '.join(wrong)} differ: name the base it was trained on, "
            "or fine-tune again on this one"
        )
