"""Fine-tune a base model on instructions: in full, or with LoRA.

In come a base model and rows ``{"instruction", "input", "output"}`` or ``{"messages": [{"role", "content"}, …]}``
(ShareGPT's ``conversations`` too); out comes a fine-tuned model folder, or a PEFT adapter of a few megabytes. Both see
the same conversations in the tokenizer's chat template, and the loss counts only what the assistant says: the question
is given, not to be predicted.

LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) freezes the base and learns for each linear layer a
low-rank update B·A, scaled by alpha / r.

Fine-tuning overwrites what was read and is not asked for. A profile may have the model read on meanwhile (``replay``:
texts of its pretraining among the conversations; Scialom et al. 2022, https://arxiv.org/abs/2205.12393).
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts, processes
from ..corpora import loading, reading
from ..corpora.loading import HELD_OUT_EVERY
from ..errors import CourseError
from ..profiles import Profile
from ..steps import METHODS
from ..tokenizer_pruning import Chat, bare, encode_chats, load_tokenizer
from ..tokenizer_pruning import conversations as chats
from . import adapters, pretraining, running

if TYPE_CHECKING:
    from datasets import Dataset

ROLES = ("system", "user", "assistant")
# The column of a conversation's turns -> the names of who speaks and of what is said in them.
NAMES = {"messages": ("role", "content"), "conversations": ("from", "value")}
SHAREGPT = {"human": "user", "gpt": "assistant"}  # its roles -> ours
IGNORED = -100  # label of positions that do not count, as torch's cross entropy has it
DATA = "data"  # the folder of encoded conversations, while the stage runs


def messages(row: dict, place: str) -> dict[str, str]:
    """The turns of a row, as JSON: of a conversation (``messages``, or ShareGPT's ``conversations``) all of them, of an
    instruction the user's and the assistant's. Raises reading.Unusable for a row without them."""
    turns = turns_of(row)
    if turns is not None:
        _check(turns)
    else:
        question, given, answer = (reading.string(row, key) for key in ("instruction", "input", "output"))
        if not question.strip() or not answer.strip():
            raise reading.Unusable("needs `instruction` and `output`, or `messages`")
        turns = conversation(f"{question}\n{given}" if given else question, answer)
    return {"messages": json.dumps(turns, ensure_ascii=False)}


def turns_of(row: dict) -> list[dict] | None:
    """The turns of a row that holds a conversation. Raises reading.Unusable where they are none, or where a system turn
    is not the first."""
    name = next((name for name in NAMES if name in row), None)
    if name is None:
        return None
    if not isinstance(row[name], list) or not all(isinstance(turn, dict) for turn in row[name]):
        raise reading.Unusable(f"`{name}` is no list of objects")
    pairs = [[reading.string(turn, key) for key in NAMES[name]] for turn in row[name]]
    turns = [{"role": SHAREGPT.get(role, role), "content": content} for role, content in pairs]
    if "system" in [turn["role"] for turn in turns[1:]]:
        raise reading.Unusable("a system turn that is not the first")
    return turns


def _check(turns: list[dict]) -> None:
    """Raises reading.Unusable where turns do not follow each other as in a conversation."""
    roles = [turn["role"] for turn in turns]
    if strange := next((role for role in roles if role not in ROLES), None):
        raise reading.Unusable(f"{strange!r} is no role: {', '.join(ROLES)}")
    if "assistant" not in roles:
        raise reading.Unusable("no turn of the assistant")
    if any(after == "assistant" and before != "user" for before, after in pairwise(["", *roles])):
        raise reading.Unusable("a turn of the assistant that follows none of the user")
    if any(turn["role"] == "assistant" and not turn["content"].strip() for turn in turns):
        raise reading.Unusable("an answer without a word")


def read_conversations(path: Path, limit: int | None = None) -> Iterator[list[dict]]:
    """-> the turns of each row. Raises CourseError for a row without them."""
    for row in islice(reading.read_as(path, messages), limit):
        yield json.loads(row["messages"])


def conversation(question: str, answer: str | None = None, history: Sequence[dict] = ()) -> list[dict]:
    """One exchange as chat messages, after a history of others; without an answer, the prompt for one."""
    turns = [*history, {"role": "user", "content": question}]
    return turns if answer is None else [*turns, {"role": "assistant", "content": answer}]


def encode(tokenizer, turns: list[dict], max_length: int) -> dict:
    """-> ``input_ids`` and ``labels`` of one conversation up to the end of its last answer that is whole within
    ``max_length`` tokens. Labels are the ids where the assistant speaks (its end tokens too) and -100 elsewhere. Both
    are empty where no answer is whole."""
    return _whole(encode_chats(tokenizer, [turns])[0], max_length)[0]


def _whole(chat: Chat, max_length: int) -> tuple[dict, bool]:
    """-> (the row of a conversation, whether it has all of its answers)."""
    spoken = np.array([*chat.spoken, False])
    ends = np.flatnonzero(spoken[:-1] & ~spoken[1:]) + 1  # of the answers, each with its mark
    fit = ends[ends <= max_length]
    size = int(fit[-1]) if len(fit) else 0
    ids = chat.ids[:size]
    labels = [i if says else IGNORED for i, says in zip(ids, chat.spoken[:size], strict=True)]
    return {"input_ids": ids, "labels": labels}, len(fit) == len(ends)


def _encode_table(table, tokenizer, max_length: int):
    """A table of Arrow with ``messages`` -> one with ``input_ids``, ``labels``, ``length`` and ``whole``."""
    import pyarrow as pa

    encoded = encode_chats(tokenizer, [json.loads(turns) for turns in table["messages"].to_pylist()])
    rows, whole = zip(*(_whole(chat, max_length) for chat in encoded), strict=True)
    ids, labels = (pa.array([row[name] for row in rows], pa.list_(pa.int32())) for name in ("input_ids", "labels"))
    return pa.table({"input_ids": ids, "labels": labels, "length": ids.value_lengths(), "whole": whole})


def _features() -> dict:
    """The columns of encoded rows."""
    from datasets import List, Value

    return {"input_ids": List(Value("int32")), "labels": List(Value("int32")), "length": Value("int32")}


def encode_dataset(
    sources: Sequence[Path], tokenizer, max_length: int, folder: Path, *, title: str, limit: int | None = None
) -> tuple["Dataset", list[dict]]:
    """-> (``input_ids``, ``labels`` and ``length`` of each row of the files, mapped from files in a folder; what was
    left out, as ``loading.load_rows`` says it)."""
    from datasets import Value

    rows, left_out = loading.load_rows(sources, messages, ("messages",), folder, title=title, limit=limit)
    code = artifacts.code_version(__file__, reading.__file__, chats.__file__)
    settings = {"tokenizer": bare(tokenizer).to_str(), "template": tokenizer.chat_template, "limit": limit,
                "max_length": max_length, "code": code}  # fmt: skip
    mark = artifacts.fingerprint("conversations", settings, {str(path): artifacts.sha256(path) for path in sources})
    work = partial(_encode_table, tokenizer=tokenizer, max_length=max_length)
    options = {"title": f"encoding {title}", "fingerprint": mark, "count": "input_ids"}
    encoded = loading.mapped(rows, work, folder, **options, features=_features() | {"whole": Value("bool")})
    whole, length = (encoded.data.column(name).to_numpy() for name in ("whole", "length"))
    reasons = {f"no whole answer within {max_length} tokens": length == 0,
               f"later turns beyond {max_length} tokens, the first ones stay": ~whole & (length > 0)}  # fmt: skip
    counted = {reason: int(which.sum()) for reason, which in reasons.items()}
    left_out = [*left_out, *({"reason": why, "rows": n, "first": title} for why, n in counted.items() if n)]
    return encoded.select(np.flatnonzero(length)).remove_columns("whole"), left_out


def texts_to_replay(profile: Profile, corpus: str, tokenizer, count: int, folder: Path, *, seed: int) -> "Dataset":
    """Blocks that the base model of ``corpus`` read, as rows of ``encode_dataset`` in which every token counts: at most
    ``count``, drawn at random."""
    blocks, _ = pretraining.training_blocks(profile, corpus, tokenizer, folder)
    drawn = np.random.default_rng(seed).permutation(len(blocks))[:count]
    mark = artifacts.fingerprint("replay", {"blocks": blocks._fingerprint, "count": count, "seed": seed}, {})
    options = {"title": "texts to replay", "fingerprint": mark, "features": _features()}
    return loading.mapped(blocks.select(drawn), _read_again, folder, **options)


def _read_again(table):
    """A table of Arrow with blocks -> one with ``input_ids``, ``labels`` and ``length``."""
    import pyarrow as pa

    ids = table["input_ids"].combine_chunks().cast(pa.list_(pa.int32()))
    return pa.table({"input_ids": ids, "labels": ids, "length": ids.value_lengths()})


@dataclass(frozen=True)
class Collator:
    """Pads a batch to its longest conversation. -> int64 tensors ``(batch, longest)``."""

    pad_id: int

    def __call__(self, rows: list[dict]) -> dict:
        import torch

        longest = max(len(row["input_ids"]) for row in rows)

        def padded(key: str, filler: int):
            return torch.tensor([row[key] + [filler] * (longest - len(row[key])) for row in rows])

        lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
        ids, labels = padded("input_ids", self.pad_id), padded("labels", IGNORED)
        return {"input_ids": ids, "labels": labels, "attention_mask": (torch.arange(longest) < lengths).long()}


def with_lora(model, settings):
    """The model with a LoRA adapter, the only weights that will train: on every linear layer but the output, unless
    the settings name some."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.r, lora_alpha=settings.alpha, lora_dropout=settings.dropout, use_rslora=settings.rslora,
        use_dora=settings.dora, target_modules=settings.target_modules, task_type="CAUSAL_LM",
    )  # fmt: skip
    try:
        with running.quiet_libraries():
            return get_peft_model(model, config)
    except ValueError as error:  # it says that the names are not found
        raise CourseError(f"profiles.toml: target_modules is {settings.target_modules!r}: {error}") from None


def fine_tune(profile: Profile, base: str, method: str, *, force: bool = False) -> artifacts.Manifest:
    """Fine-tune the base model ``base`` ('common' or 'medical') by ``method`` ('full' or 'lora'). Writes
    ``full_vs_lora_sft/<base>-<method>``. Raises CourseError when an input is missing or a row is not readable."""
    if method not in METHODS:
        raise CourseError(f"unknown method {method!r}: choose {' or '.join(METHODS)}")
    if base not in profile.instructions:
        raise CourseError(f"unknown base model {base!r}: choose one of {', '.join(profile.instructions)}")
    base_folder = artifacts.require(profile, "pretraining", base)
    sources = reading.files(profile.instructions[base])
    settings = profile.full if method == "full" else profile.lora

    def make(folder: Path) -> dict:
        from datasets import concatenate_datasets

        tokenizer = load_tokenizer(base_folder)
        with running.together().main_process_first():  # the others find the files
            size, limit = profile.sft_max_length, profile.max_documents
            data = folder / DATA
            rows, left_out = encode_dataset(sources, tokenizer, size, data, title=f"{base} instructions", limit=limit)
        if len(rows) < 2:  # one to learn from, and one to be held out
            names, lost = ", ".join(map(artifacts.shown, sources)), sum(kind["rows"] for kind in left_out)
            why = "; ".join(f"{kind['rows']:,} left out: {kind['reason']}" for kind in left_out)
            raise CourseError(
                f"{names}: {len(rows)} of {len(rows) + lost:,} rows are usable, and two are needed"
                + (f" ({why}); sft_max_length of profile {profile.name} is {size}" if lost else "")
            )
        model = _model_to_tune(base_folder, folder, method, settings)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        kept = np.arange(len(rows)) % HELD_OUT_EVERY > 0
        train, held_out = (rows.select(np.flatnonzero(which)) for which in (kept, ~kept))
        conversations, longest, first = len(train), max(rows["length"][:]), held_out[0]
        if settings.replay:
            with running.together().main_process_first():
                count = round(settings.replay * len(train))
                texts = texts_to_replay(profile, base, tokenizer, count, data, seed=settings.seed)
                train = concatenate_datasets([train, texts])
        tokens = sum(train["length"][:])
        loss = running.train(
            model, tokenizer, train, held_out, settings, folder, title=f"fine-tuning {base}, {method}",
            tokens=tokens * settings.epochs, collate=Collator(tokenizer.pad_token_id), sampling="group_by_length",
            prompt=[i for i, label in zip(first["input_ids"], first["labels"], strict=True) if label == IGNORED],
        )  # fmt: skip
        if method == "lora" and processes.is_main():
            adapters.record(folder, base_folder)
        summary = {
            "trained_parameters": trained,
            "conversations": conversations,
            "tokens": tokens,
            "longest_conversation": longest,
        }
        return summary | {"held_out_loss": round(loss, 4)} | ({"left_out": left_out} if left_out else {})

    return artifacts.build(
        profile.dir("full_vs_lora_sft", f"{base}-{method}"), make, stage=f"full_vs_lora_sft/{base}-{method}",
        settings={"method": method, method: settings.recipe, "max_length": profile.sft_max_length,
                  "max_documents": profile.max_documents, "seed": settings.seed},
        inputs=[base_folder, *sources], resumable=True, together=True, force=force, scratch=(DATA, running.CHECKPOINTS),
    )  # fmt: skip


def _model_to_tune(base_folder: Path, folder: Path, method: str, settings):
    """The base model, or the base model with a fresh adapter that will be saved to ``folder``."""
    import torch

    with running.quiet_libraries(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # for the adapter's first weights
        model = running.load_model(base_folder, bits=settings.bits if method == "lora" else 0)
        if method == "lora":
            model = with_lora(model, settings)
            # Relative, so that the adapter finds its base wherever the artifacts are moved.
            model.peft_config["default"].base_model_name_or_path = os.path.relpath(base_folder, folder)
    return model
