"""Fine-tune a base model on instructions: in full, or with LoRA.

In come a base model and instruction rows ``{"instruction", "input", "output"}``; out comes a fine-tuned model folder,
or a PEFT adapter of a few megabytes. Both see the same conversations in the tokenizer's chat template, and the loss
counts only what the assistant says: the question is given, not to be predicted.

LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) freezes the base and learns for each linear layer a
low-rank update B·A, scaled by alpha / r.
"""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .. import artifacts
from ..corpora import loading, reading
from ..corpora.loading import HELD_OUT_EVERY
from ..errors import CourseError
from ..profiles import Profile
from ..tokenizer_pruning import load_tokenizer
from . import running

if TYPE_CHECKING:
    from datasets import Dataset

IGNORED = -100  # label of positions that do not count, as torch's cross entropy has it


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
    """-> ``input_ids`` and ``labels`` of one exchange, lists of at most ``max_length`` token ids.

    Labels are the ids where the assistant speaks (its end token too) and -100 elsewhere.
    """
    return next(_encoded(tokenizer, [question], [answer], max_length))


def _encoded(tokenizer, questions: list[str], answers: list[str], max_length: int) -> Iterator[dict]:
    chats = [conversation(question, answer) for question, answer in zip(questions, answers, strict=True)]
    encoded = tokenizer.apply_chat_template(chats, return_dict=True, return_assistant_tokens_mask=True)
    for ids, spoken in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
        ids, spoken = ids[:max_length], spoken[:max_length]
        yield {"input_ids": ids, "labels": [i if says else IGNORED for i, says in zip(ids, spoken, strict=True)]}


def _encode_table(table, tokenizer, max_length: int):
    """A table of Arrow with ``question`` and ``answer`` -> one with ``input_ids``, ``labels`` and ``length``."""
    import pyarrow as pa

    encoded = list(_encoded(tokenizer, table["question"].to_pylist(), table["answer"].to_pylist(), max_length))
    ids = pa.list_(pa.int32())
    columns = {name: pa.array([row[name] for row in encoded], ids) for name in ("input_ids", "labels")}
    return pa.table(columns | {"length": pa.array([len(row["labels"]) for row in encoded], pa.int32())})


def encode_dataset(
    source: Path, tokenizer, max_length: int, folder: Path, *, limit: int | None = None
) -> tuple["Dataset", list[dict]]:
    """-> (``input_ids``, ``labels`` and ``length`` of each row of instructions, mapped from files in a folder; what was
    left out, as ``loading.load_rows`` says it)."""
    from datasets import List, Value

    title, columns = source.name, ("question", "answer")
    rows, left_out = loading.load_rows([source], instruction, columns, folder, title=title, limit=limit)
    settings = {"tokenizer": tokenizer.backend_tokenizer.to_str(), "template": tokenizer.chat_template, "limit": limit,
                "max_length": max_length, "code": artifacts.code_version(__file__)}  # fmt: skip
    ids = List(Value("int32"))
    encoded = loading.mapped(
        rows,
        partial(_encode_table, tokenizer=tokenizer, max_length=max_length),
        folder,
        title=f"encoding {title}",
        fingerprint=artifacts.fingerprint("conversations", settings, {str(source): artifacts.sha256(source)}),
        features={"input_ids": ids, "labels": ids, "length": Value("int32")},
        count="input_ids",
    )
    return encoded, left_out


class Collator:
    """Pads a batch to its longest conversation. -> int64 tensors ``(batch, longest)``."""

    def __init__(self, pad_id: int):
        self.pad_id = pad_id

    def __call__(self, rows: list[dict]) -> dict:
        import torch

        longest = max(len(row["input_ids"]) for row in rows)

        def padded(key: str, filler: int):
            return torch.tensor([row[key] + [filler] * (longest - len(row[key])) for row in rows])

        ids = padded("input_ids", self.pad_id)
        lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
        return {
            "input_ids": ids,
            "labels": padded("labels", IGNORED),
            "attention_mask": (torch.arange(longest)[None] < lengths).long(),
        }


def with_lora(model, settings):
    """The model with a LoRA adapter on every linear layer but the output, the only weights that will train."""
    from peft import LoraConfig, get_peft_model

    running.hush_libraries()
    size = {"r": settings.r, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout}
    return get_peft_model(model, LoraConfig(**size, target_modules="all-linear", task_type="CAUSAL_LM"))


def fine_tune(profile: Profile, base: str, method: str, *, force: bool = False) -> artifacts.Manifest:
    """Fine-tune the base model ``base`` ('common' or 'medical') by ``method`` ('full' or 'lora').

    Writes ``full_vs_lora_sft/<base>-<method>``. Raises CourseError when an input is missing or a row is not readable.
    """
    if method not in ("full", "lora"):
        raise CourseError(f"unknown method {method!r}: choose full or lora")
    if base not in profile.instructions:
        raise CourseError(f"unknown base model {base!r}: choose one of {', '.join(profile.instructions)}")
    base_folder, source = artifacts.require(profile, "pretraining", base), profile.instructions[base]
    settings = profile.full if method == "full" else profile.lora

    def make(folder: Path) -> dict:
        from transformers import AutoModelForCausalLM, set_seed

        data = folder / "data"
        tokenizer = load_tokenizer(base_folder)
        with running.together().main_process_first():  # the others find the files
            length, limit = profile.sft_max_length, profile.max_documents
            rows, left_out = encode_dataset(source, tokenizer, length, data, limit=limit)
        set_seed(running.SEED)
        how = {"local_files_only": True, "attn_implementation": running.attention()}
        model = AutoModelForCausalLM.from_pretrained(base_folder, **how)
        if method == "lora":
            model = with_lora(model, settings)
            # Relative, so that the adapter finds its base wherever the artifacts are moved.
            model.peft_config["default"].base_model_name_or_path = os.path.relpath(base_folder, folder)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        numbers = range(len(rows))
        train = rows.select([number for number in numbers if number % HELD_OUT_EVERY])
        held_out = rows.select(numbers[::HELD_OUT_EVERY])
        tokens = sum(train["length"][:])
        log = _train(model, tokenizer, train, held_out, settings, folder, title=f"fine-tuning {base}, {method}")
        shutil.rmtree(data, ignore_errors=True)
        running.save(model, tokenizer, folder)
        last = [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
        summary = {"trained_parameters": trained, "conversations": len(train), "tokens": tokens}
        return summary | {"held_out_loss": round(last, 4)} | ({"left_out": left_out} if left_out else {})

    return artifacts.build(
        profile.dir("full_vs_lora_sft", f"{base}-{method}"),
        make,
        stage=f"full_vs_lora_sft/{base}-{method}",
        settings={"method": method, method: vars(settings), "max_length": profile.sft_max_length,
                  "max_documents": profile.max_documents, "seed": running.SEED},
        inputs=[base_folder, source],
        resumable=True,
        force=force,
    )  # fmt: skip


def _train(
    model, tokenizer, train: "Dataset", held_out: "Dataset", settings, folder: Path, *, title: str
) -> list[dict]:
    """Train to the end. -> the log."""
    from transformers import Trainer

    steps = running.steps_in(len(train), settings)
    args = running.arguments(folder, settings, total_steps=steps, evaluations=6, save_minutes=10)
    args.train_sampling_strategy = "group_by_length"
    per_step = sum(train["length"][:]) * settings.epochs / steps
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=held_out,
        data_collator=Collator(tokenizer.pad_token_id),
        callbacks=[running.progress(title, steps, per_step, 10)],
    )
    return running.run(trainer, folder)
