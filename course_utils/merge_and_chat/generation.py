"""Let models answer: greedy or beam search for lists of questions, and a stream for a chat.

In comes the folder of a model, or of an adapter beside its base; out come texts. Questions are batched by length.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from ..parameter_budgeting import device_name
from ..tokenizer_pruning import load_tokenizer
from ..training.full_vs_lora_sft import conversation
from ..training.running import attention, hush_libraries

MAX_NEW_TOKENS = 80
STREAM_SECONDS = 120  # without a new token the model has failed, and waiting for it ends with an error
ADAPTER = "adapter_config.json"


def load(folder: Path):
    """-> (model in evaluation mode, tokenizer) of a model folder, or of an adapter folder with its base. Loads
    safetensors from local files alone. Raises CourseError when the folder holds no model."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter, name = folder / ADAPTER, artifacts.shown(folder)
    if not adapter.is_file() and not (folder / "config.json").is_file():
        raise CourseError(f"{name} holds no model: name the folder of a trained model or adapter")
    base = folder / json.loads(adapter.read_text())["base_model_name_or_path"] if adapter.is_file() else folder
    if not (base / "config.json").is_file():
        raise CourseError(f"{name}: its base model {artifacts.shown(base)} is missing: pretrain it again")
    hush_libraries()
    how = {"local_files_only": True, "use_safetensors": True, "attn_implementation": attention()}
    model = AutoModelForCausalLM.from_pretrained(base, **how)
    if adapter.is_file():
        model = PeftModel.from_pretrained(model, folder, local_files_only=True)
    return model.to(device_name()).eval(), load_tokenizer(folder)


def as_prompts(tokenizer, questions: Sequence[str], chat: bool) -> list[str]:
    """Prompts in the chat template, or the bare questions for a model that never learned to chat."""
    if not chat:
        return [tokenizer.bos_token + question for question in questions]
    how = {"tokenize": False, "add_generation_prompt": True}
    return [tokenizer.apply_chat_template(conversation(question), **how) for question in questions]


def _asked(model, tokenizer, prompts: list[str], **options) -> dict:
    """The arguments of ``model.generate`` for prompts as they stand; ids are int64 ``(prompts, longest)``."""
    tokenizer.padding_side = "left"  # so that every prompt ends where its answer begins
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False, return_token_type_ids=False)
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return {**batch.to(model.device), **ends, **options, "do_sample": False}


def answer(
    model, tokenizer, questions: Sequence[str], *, beams: int = 1, chat: bool = True, batch_size: int = 128,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[str]:  # fmt: skip
    """The model's answers, greedy with one beam. Questions are batched by length, answers come in the asked order."""
    import torch

    prompts = as_prompts(tokenizer, questions, chat)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers, options = [""] * len(prompts), {"num_beams": beams, "max_new_tokens": max_new_tokens}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = _asked(model, tokenizer, [prompts[i] for i in rows], **options)
        with torch.inference_mode():
            ids = model.generate(**batch)[:, batch["input_ids"].shape[1] :]
        for i, text in zip(rows, tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
            answers[i] = text.strip()
    return answers


def generate(model: Path, prompts: Sequence[str], *, beams: int = 1) -> list[str]:
    """Load the model in a folder and answer each prompt."""
    loaded, tokenizer = load(model)
    return answer(loaded, tokenizer, prompts, beams=beams)


def stream_answer(model, tokenizer, question: str) -> Iterator[str]:
    """The greedy answer, piece by piece as it is generated."""
    from threading import Thread

    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=STREAM_SECONDS)
    prompts = as_prompts(tokenizer, [question], chat=True)
    asked = _asked(model, tokenizer, prompts, max_new_tokens=MAX_NEW_TOKENS, streamer=streamer)
    worker = Thread(target=model.generate, kwargs=asked)
    worker.start()
    yield from filter(None, streamer)
    worker.join()
