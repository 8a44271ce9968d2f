"""Let models answer: greedy or beam search for lists of questions, and a stream for a chat.

In comes the folder of a model, or of an adapter beside its base; out come texts. Questions are batched by length.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from ..parameter_budgeting import device_name
from ..tokenizer_pruning import kept_as_found, load_tokenizer
from ..training.full_vs_lora_sft import conversation
from ..training.running import attention, quiet_libraries

MAX_NEW_TOKENS = 80
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
    how = {"local_files_only": True, "use_safetensors": True, "attn_implementation": attention()}
    with quiet_libraries():
        model = AutoModelForCausalLM.from_pretrained(base, **how)
        if adapter.is_file():
            model = PeftModel.from_pretrained(model, folder, local_files_only=True)
    return model.to(device_name()).eval(), load_tokenizer(folder)


def as_prompts(tokenizer, questions: Sequence[str | list[dict]], chat: bool) -> list[str]:
    """Prompts in the chat template; a question may be a text, or a conversation that ends with the user. A base model
    never learned to chat: it gets the bare question behind what stands between two documents of its training, the
    end-of-text token; it has met no other beginning."""
    if not chat:
        return [tokenizer.eos_token + (q if isinstance(q, str) else q[-1]["content"]) for q in questions]
    how = {"tokenize": False, "add_generation_prompt": True}
    chats = [conversation(question) if isinstance(question, str) else question for question in questions]
    return [tokenizer.apply_chat_template(chat, **how) for chat in chats]


def _asked(model, tokenizer, prompts: list[str], **options) -> dict:
    """The arguments of ``model.generate`` for prompts as they stand; ids are int64 ``(prompts, longest)``."""
    how = {"return_tensors": "pt", "padding": True, "add_special_tokens": False, "return_token_type_ids": False}
    with kept_as_found(tokenizer):
        tokenizer.padding_side = "left"  # so that every prompt ends where its answer begins
        batch = tokenizer(prompts, **how)
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return {**batch.to(model.device), **ends, **options, "do_sample": False}


def answer(
    model, tokenizer, questions: Sequence[str | list[dict]], *, beams: int = 1, chat: bool = True,
    batch_size: int = 128, max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[str]:  # fmt: skip
    """The model's answers, greedy with one beam. Questions are batched by length, answers come in the asked order."""
    import torch

    prompts = as_prompts(tokenizer, questions, chat)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers, options = [""] * len(prompts), {"num_beams": beams, "max_new_tokens": max_new_tokens}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = _asked(model, tokenizer, [prompts[i] for i in rows], **options)
        with torch.inference_mode(), quiet_libraries():
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

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    prompts = as_prompts(tokenizer, [question], chat=True)
    asked = _asked(model, tokenizer, prompts, max_new_tokens=MAX_NEW_TOKENS, streamer=streamer)
    failure = []

    def work() -> None:
        try:
            model.generate(**asked)
        except Exception as error:  # shown where the answer is read
            failure.append(error)
            streamer.end()

    worker = Thread(target=work, daemon=True)
    worker.start()
    yield from filter(None, streamer)
    worker.join()
    if failure:
        raise failure[0]
