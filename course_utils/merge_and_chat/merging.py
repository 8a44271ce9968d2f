"""Merge a LoRA adapter into its base.

In come the folders of a base model and of an adapter; out comes a plain model folder with the same logits: each W
becomes W + scale·B·A, computed in fp32. It is proved before it is kept: on several texts the two give the same logits,
but for rounding, and the same answers.
"""

from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from ..tokenizer_pruning import encode_chats, load_tokenizer, save_tokenizer
from ..training import adapters
from ..training.full_vs_lora_sft import conversation
from ..training.running import load_model, quiet_libraries
from .generation import ADAPTER, longest_seen, with_adapter

LARGEST_DIFFERENCE = 1e-4  # of logits, which fp32 rounds to 1e-6 of their size
PROBES = ("成都属于哪个省？", "感冒了吃什么好？", "Who are you?", "12+7=？", "世界上有许多城市、动物和植物。" * 4)
ANSWER_TOKENS = 24


def merge_lora(base: Path, lora: Path, out: Path, *, force: bool = False) -> artifacts.Manifest:
    """Add the adapter's update to the base's weights and save a plain model to ``out``. The summary holds the largest
    difference between the logits of adapter and merged model on five texts, the largest logit, and how many of the five
    greedy answers are the same.

    Raises CourseError where a folder does not hold what it should, the adapter was trained on another base, or the
    merged model is not the same; ``out`` is then as it was."""
    if not (lora / ADAPTER).is_file():
        raise CourseError(f"{artifacts.shown(lora)} holds no LoRA adapter: it should contain {ADAPTER}")
    if not (base / "config.json").is_file():
        raise CourseError(f"{artifacts.shown(base)} holds no base model: it should contain config.json")
    adapters.check(lora, base)

    def make(folder: Path) -> dict:
        with quiet_libraries():
            tokenizer, model = load_tokenizer(lora), with_adapter(load_model(base).float(), lora)
            before = _told(model.eval(), tokenizer)
            merged = model.merge_and_unload()
            after = _told(merged, tokenizer)
            pairs = list(zip(before, after, strict=True))
            difference = max((a - b).abs().max().item() for (a, _), (b, _) in pairs)
            if not difference <= LARGEST_DIFFERENCE:  # nor where it is no number
                name = artifacts.shown(lora)
                raise CourseError(f"merged, {name} gives other logits, by {difference:.2g}: nothing was written")
            merged.save_pretrained(folder)
            save_tokenizer(tokenizer, folder)
        longest = longest_seen(lora)
        same = sum(one == other for (_, one), (_, other) in pairs)
        return {
            "parameters": merged.num_parameters(), "largest_logit_difference": float(f"{difference:.1e}"),
            "largest_logit": round(max(logits.abs().max().item() for logits, _ in before), 1),
            "same_answers": f"{same} of {len(PROBES)}", **({"longest_conversation": longest} if longest else {}),
        }  # fmt: skip

    return artifacts.build(out, make, stage="merge_and_chat/merge", settings={}, inputs=[base, lora], force=force)


def _told(model, tokenizer) -> list[tuple]:
    """The logits ``(tokens, vocabulary)`` and the ids of the greedy answer to each probe."""
    import torch

    told = []
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    for chat in encode_chats(tokenizer, [conversation(probe) for probe in PROBES], reply=True):
        ids = torch.tensor([chat.ids[-model.config.max_position_embeddings + ANSWER_TOKENS :]])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0].float()
            answer = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=ANSWER_TOKENS,
                **ends,
            )
        told.append((logits, answer[0].tolist()))
    return told
