"""Fine-tune a base model on instructions: in full, or with LoRA.

In come a base model and instruction rows ``{"instruction", "input", "output"}``; out comes a fine-tuned model folder,
or a PEFT adapter of a few megabytes. Both see the same conversations in the tokenizer's chat template, and the loss
counts only what the assistant says: the question is given, not to be predicted.

LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) freezes the base and learns for each linear layer a
low-rank update B·A, scaled by alpha / r.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from . import artifacts, training
from .corpora import HELD_OUT_EVERY, read_jsonl
from .errors import CourseError
from .profiles import Profile
from .tokenizer_pruning import load_tokenizer

IGNORED = -100  # label of positions that do not count, as torch's cross entropy has it


def read_instructions(path: Path, limit: int | None = None) -> Iterator[tuple[str, str]]:
    """-> (what the user says, what the assistant answers) of each row. Raises CourseError for a row without them."""
    for number, row in enumerate(islice(read_jsonl(path), limit), 1):
        if not row.get("instruction") or not row.get("output"):
            raise CourseError(
                f"{artifacts.shown(path)}: row {number}: needs `instruction` and `output`: mend or remove it"
            )
        given = f"\n{row['input']}" if row.get("input") else ""
        yield row["instruction"] + given, row["output"]


def conversation(question: str, answer: str | None = None) -> list[dict]:
    """One exchange as chat messages; without an answer, the prompt for one."""
    messages = [{"role": "user", "content": question}]
    return messages if answer is None else [*messages, {"role": "assistant", "content": answer}]


def encode(tokenizer, question: str, answer: str, max_length: int) -> dict:
    """-> ``input_ids`` and ``labels`` of one exchange, lists of at most ``max_length`` token ids.

    Labels are the ids where the assistant speaks (its end token too) and -100 elsewhere.
    """
    encoded = tokenizer.apply_chat_template(
        conversation(question, answer), return_dict=True, return_assistant_tokens_mask=True
    )
    ids, spoken = encoded["input_ids"][:max_length], encoded["assistant_masks"][:max_length]
    return {"input_ids": ids, "labels": [i if says else IGNORED for i, says in zip(ids, spoken, strict=True)]}


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

    training.hush_libraries()
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def fine_tune(profile: Profile, base: str, method: str, *, force: bool = False) -> artifacts.Manifest:
    """Fine-tune the base model ``base`` ('common' or 'medical') by ``method`` ('full' or 'lora').

    Writes ``full_vs_lora_sft/<base>-<method>``. Raises CourseError when an input is missing or a row is not readable.
    """
    if method not in ("full", "lora"):
        raise CourseError(f"unknown method {method!r}: choose full or lora")
    if base not in profile.instructions:
        raise CourseError(f"unknown base model {base!r}: choose one of {', '.join(profile.instructions)}")
    base_folder, source = profile.require("pretraining", base), profile.instructions[base]
    settings = profile.full if method == "full" else profile.lora

    def make(folder: Path) -> dict:
        from transformers import AutoModelForCausalLM, Trainer, set_seed

        training.together()
        set_seed(training.SEED)
        tokenizer = load_tokenizer(base_folder)
        rows = [
            encode(tokenizer, q, a, profile.sft_max_length) for q, a in read_instructions(source, profile.max_documents)
        ]
        train = [row for i, row in enumerate(rows) if i % HELD_OUT_EVERY]
        model = AutoModelForCausalLM.from_pretrained(
            base_folder, local_files_only=True, attn_implementation=training.attention()
        )
        if method == "lora":
            model = with_lora(model, settings)
            # Relative, so that the adapter finds its base wherever the artifacts are moved.
            model.peft_config["default"].base_model_name_or_path = os.path.relpath(base_folder, folder)
        steps = training.steps_in(len(train), settings)
        tokens = sum(len(row["input_ids"]) for row in train)
        args = training.arguments(folder, settings, total_steps=steps, evaluations=6, save_minutes=10)
        args.train_sampling_strategy = "group_by_length"
        trainer = Trainer(
            model=model,
            args=args,
            train_dataset=train,
            eval_dataset=rows[::HELD_OUT_EVERY],
            data_collator=Collator(tokenizer.pad_token_id),
            callbacks=[training.progress(f"fine-tuning {base}, {method}", steps, tokens * settings.epochs / steps, 10)],
        )
        log = training.run(trainer, folder)
        training.save(model, tokenizer, folder)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        last = [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
        return {
            "trained_parameters": trained,
            "conversations": len(train),
            "tokens": tokens,
            "held_out_loss": round(last, 4),
        }

    return artifacts.build(
        profile.dir("full_vs_lora_sft", f"{base}-{method}"),
        make,
        stage=f"full_vs_lora_sft/{base}-{method}",
        settings={
            "method": method,
            method: vars(settings),
            "max_length": profile.sft_max_length,
            "max_documents": profile.max_documents,
            "seed": training.SEED,
        },  # fmt: skip
        inputs=[base_folder, source],
        resumable=True,
        force=force,
    )
