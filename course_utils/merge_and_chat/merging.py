"""Merge a LoRA adapter into its base.

In come the folders of a base model and of an adapter; out comes a plain model folder with the same logits: each W
becomes W + scale·B·A.
"""

from pathlib import Path

from .. import artifacts
from ..errors import CourseError
from ..tokenizer_pruning import load_tokenizer, save_tokenizer
from ..training.running import quiet_libraries
from .generation import ADAPTER


def merge_lora(base: Path, lora: Path, out: Path, *, force: bool = False) -> artifacts.Manifest:
    """Add the adapter's update to the base's weights and save a plain model to ``out``. The summary holds the largest
    difference between the logits of adapter and merged model on a probe."""
    if not (lora / ADAPTER).is_file():
        raise CourseError(f"{artifacts.shown(lora)} holds no LoRA adapter: it should contain {ADAPTER}")
    if not (base / "config.json").is_file():
        raise CourseError(f"{artifacts.shown(base)} holds no base model: it should contain config.json")

    def make(folder: Path) -> dict:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        with quiet_libraries():
            tokenizer = load_tokenizer(lora)
            model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True, use_safetensors=True)
            model = PeftModel.from_pretrained(model, lora, local_files_only=True).eval()
            probe = tokenizer("世界上有许多城市、动物和植物。", return_tensors="pt", return_token_type_ids=False)
            with torch.no_grad():
                before = model(**probe).logits
                merged = model.merge_and_unload()
                difference = (merged(**probe).logits - before).abs().max().item()
            merged.save_pretrained(folder)
            save_tokenizer(tokenizer, folder)
        return {"parameters": merged.num_parameters(), "largest_logit_difference": difference}

    return artifacts.build(out, make, stage="merge_and_chat/merge", settings={}, inputs=[base, lora], force=force)
