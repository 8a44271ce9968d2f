"""Fine-tune a base model on instructions: in full, or with LoRA.

In come a base model and instruction rows ``{"instruction", "input", "output"}``; out comes a fine-tuned model folder,
or a PEFT adapter of a few megabytes. Both see the same conversations in the tokenizer's chat template, and the loss
counts only what the assistant says: the question is given, not to be predicted.

LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) freezes the base and learns for each linear layer a
low-rank update B·A, scaled by alpha / r.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts
from ..corpora import loading, reading
from ..corpora.loading import HELD_OUT_EVERY
from ..errors import CourseError
from ..profiles import Profile
from ..steps import METHODS
from ..tokenizer_pruning import bare, kept_as_found, load_tokenizer
from . import running

if TYPE_CHECKING:
    from datasets import Dataset

IGNORED = -100  # label of positions that do not count, as torch's cross entropy has it
DATA = "data"  # the folder of encoded conversations, while the stage runs


def instruction(row: dict, place: str) -> dict[str, str]:
    """What the user says and what the assistant answers. Raises reading.Unusable for a row without them."""
    question, given, answer = (reading.string(row, key) for key in ("instruction", "input", "output"))
    if not question.strip() or not answer.strip():
        raise reading.Unusable("needs `instruction` and `output`")
    return {"question": f"{question}\n{given}" if given else question, "answer": answer}


def read_instructions(path: Path, limit: int | None = None) -> Iterator[tuple[str, str]]:
    """-> (what the user says, what the assistant answers) of each row. Raises CourseError for a row without them."""
    for pair in islice(reading.read_as(path, instruction), limit):
        yield pair["question"], pair["answer"]


def conversation(question: str, answer: str | None = None) -> list[dict]:
    """One exchange as chat messages; without an answer, the prompt for one."""
    messages = [{"role": "user", "content": question}]
    return messages if answer is None else [*messages, {"role": "assistant", "content": answer}]


def encode(tokenizer, question: str, answer: str, max_length: int) -> dict:
    """-> ``input_ids`` and ``labels`` of one exchange, lists of at most ``max_length`` token ids. Labels are the ids
    where the assistant speaks (its end token too) and -100 elsewhere."""
    return next(_encoded(tokenizer, [question], [answer], max_length))


def _encoded(tokenizer, questions: list[str], answers: list[str], max_length: int) -> Iterator[dict]:
    chats = [conversation(question, answer) for question, answer in zip(questions, answers, strict=True)]
    with kept_as_found(tokenizer):
        encoded = tokenizer.apply_chat_template(chats, return_dict=True, return_assistant_tokens_mask=True)
    for ids, spoken in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
        ids, spoken = ids[:max_length], spoken[:max_length]
        yield {"input_ids": ids, "labels": [i if says else IGNORED for i, says in zip(ids, spoken, strict=True)]}


def _encode_table(table, tokenizer, max_length: int):
    """A table of Arrow with ``question`` and ``answer`` -> one with ``input_ids``, ``labels`` and ``length``."""
    import pyarrow as pa

    encoded = _encoded(tokenizer, table["question"].to_pylist(), table["answer"].to_pylist(), max_length)
    # Where the question alone is too long nothing is left to learn, and a batch of such rows has no loss.
    encoded = [row for row in encoded if any(label != IGNORED for label in row["labels"][1:])]
    ids, labels = (pa.array([row[name] for row in encoded], pa.list_(pa.int32())) for name in ("input_ids", "labels"))
    return pa.table({"input_ids": ids, "labels": labels, "length": ids.value_lengths()})


def encode_dataset(
    source: Path, tokenizer, max_length: int, folder: Path, *, limit: int | None = None
) -> tuple["Dataset", list[dict]]:
    """-> (``input_ids``, ``labels`` and ``length`` of each row of instructions, mapped from files in a folder; what was
    left out, as ``loading.load_rows`` says it)."""
    from datasets import List, Value

    title, columns = source.name, ("question", "answer")
    rows, left_out = loading.load_rows([source], instruction, columns, folder, title=title, limit=limit)
    settings = {"tokenizer": bare(tokenizer).to_str(), "template": tokenizer.chat_template, "limit": limit,
                "max_length": max_length, "code": artifacts.code_version(__file__, reading.__file__)}  # fmt: skip
    mark = artifacts.fingerprint("conversations", settings, {str(source): artifacts.sha256(source)})
    features = {"input_ids": List(Value("int32")), "labels": List(Value("int32")), "length": Value("int32")}
    work = partial(_encode_table, tokenizer=tokenizer, max_length=max_length)
    options = {"title": f"encoding {title}", "fingerprint": mark, "features": features, "count": "input_ids"}
    encoded = loading.mapped(rows, work, folder, **options)
    if lost := len(rows) - len(encoded):
        reason = f"no answer within {max_length} tokens"
        left_out = [*left_out, {"reason": reason, "rows": lost, "first": title}]
    return encoded, left_out


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
    """The model with a LoRA adapter on every linear layer but the output, the only weights that will train."""
    from peft import LoraConfig, get_peft_model

    size = {"r": settings.r, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout}
    with running.quiet_libraries():
        return get_peft_model(model, LoraConfig(**size, target_modules="all-linear", task_type="CAUSAL_LM"))


def fine_tune(profile: Profile, base: str, method: str, *, force: bool = False) -> artifacts.Manifest:
    """Fine-tune the base model ``base`` ('common' or 'medical') by ``method`` ('full' or 'lora'). Writes
    ``full_vs_lora_sft/<base>-<method>``. Raises CourseError when an input is missing or a row is not readable."""
    if method not in METHODS:
        raise CourseError(f"unknown method {method!r}: choose {' or '.join(METHODS)}")
    if base not in profile.instructions:
        raise CourseError(f"unknown base model {base!r}: choose one of {', '.join(profile.instructions)}")
    base_folder = artifacts.require(profile, "pretraining", base)
    (source,) = reading.files([profile.instructions[base]])
    settings = profile.full if method == "full" else profile.lora

    def make(folder: Path) -> dict:
        tokenizer = load_tokenizer(base_folder)
        with running.together().main_process_first():  # the others find the files
            size, limit = profile.sft_max_length, profile.max_documents
            rows, left_out = encode_dataset(source, tokenizer, size, folder / DATA, limit=limit)
        if len(rows) < 2:
            raise CourseError(f"{artifacts.shown(source)} holds {len(rows)} usable rows: name a file with more")
        model = _model_to_tune(base_folder, folder, method, settings)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        kept = np.arange(len(rows)) % HELD_OUT_EVERY > 0
        train, held_out = (rows.select(np.flatnonzero(which)) for which in (kept, ~kept))
        tokens, first = sum(train["length"][:]), held_out[0]
        loss = running.train(
            model, tokenizer, train, held_out, settings, folder, title=f"fine-tuning {base}, {method}",
            tokens=tokens * settings.epochs, collate=Collator(tokenizer.pad_token_id), sampling="group_by_length",
            prompt=[i for i, label in zip(first["input_ids"], first["labels"], strict=True) if label == IGNORED],
        )  # fmt: skip
        summary = {"trained_parameters": trained, "conversations": len(train), "tokens": tokens}
        return summary | {"held_out_loss": round(loss, 4)} | ({"left_out": left_out} if left_out else {})

    return artifacts.build(
        profile.dir("full_vs_lora_sft", f"{base}-{method}"), make, stage=f"full_vs_lora_sft/{base}-{method}",
        settings={"method": method, method: settings.recipe, "max_length": profile.sft_max_length,
                  "max_documents": profile.max_documents, "seed": running.SEED},
        inputs=[base_folder, source], resumable=True, together=True, force=force, scratch=(DATA, running.CHECKPOINTS),
    )  # fmt: skip


def _model_to_tune(base_folder: Path, folder: Path, method: str, settings):
    """The base model, or the base model with a fresh adapter that will be saved to ``folder``."""
    import torch
    from transformers import AutoModelForCausalLM

    how = {"local_files_only": True, "attn_implementation": running.attention()}
    with running.quiet_libraries(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(running.SEED)  # for the adapter's first weights
        model = AutoModelForCausalLM.from_pretrained(base_folder, **how)
        if method == "lora":
            model = with_lora(model, settings)
            # Relative, so that the adapter finds its base wherever the artifacts are moved.
            model.peft_config["default"].base_model_name_or_path = os.path.relpath(base_folder, folder)
    return model
