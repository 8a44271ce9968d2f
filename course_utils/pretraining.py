"""Pretrain a Llama from scratch on encyclopaedia text, or on encyclopaedia and medicine.

In come the deduplicated wiki, Baike articles and medical texts, and the pruned tokenizer; out comes a plain
``LlamaForCausalLM`` folder in safetensors with its tokenizer, and the log of losses.

The one idea: documents are joined by end-of-text tokens and cut into blocks of equal length, so that no position
of a batch is padding. A document may be cut in two; a block may hold several. Cost: 6 × parameters FLOPs a token.
"""

import math
import shutil
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from . import artifacts, corpora, training
from .corpora import HELD_OUT_EVERY
from .corpus_tokenization import blocks, file_streams
from .corpus_tokenization import pack as pack
from .errors import CourseError
from .profiles import ModelShape, Profile
from .tokenizer_pruning import load_tokenizer


def training_blocks(profile: Profile, corpus: str, tokenizer, folder: Path | None = None) -> tuple[list, list]:
    """-> (training blocks, held-out blocks), each a list of arrays ``(blocks, block_size)``.

    Every fiftieth document is held out; the array of the others stands in the list as often as the profile's mix reads
    that corpus. With ``folder`` the tokens lie there in files and not in memory.
    """
    profile.require("deduplication")
    size = profile.pretraining.block_size
    train, held_out = [], []
    for name, times in profile.mix[corpus].items():
        paths = [folder and folder / f"{name}.tokens", folder and folder / f"{name}.held-out.tokens"]
        files = [corpora.corpus_file(profile, name)]
        kept, out = file_streams(tokenizer, files, paths, lambda i: int(i % HELD_OUT_EVERY == 0), title=name)
        train += [blocks(kept, size)] * times
        held_out.append(blocks(out, size))
    if not any(map(len, train)) or not any(map(len, held_out)):
        raise CourseError(f"the corpora of profile {profile.name} are too small for blocks of {size} tokens")
    return train, held_out


def make_model(shape: ModelShape, tokenizer, *, seed: int = training.SEED):
    """A Llama with random weights in the profile's shape, its vocabulary the tokenizer's."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        num_key_value_heads=shape.num_attention_heads,
        max_position_embeddings=shape.max_position_embeddings,
        tie_word_embeddings=shape.tie_word_embeddings,
        initializer_range=shape.initializer_range,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation=training.attention(),
    )
    return LlamaForCausalLM(config)


class Blocks:
    """Arrays of packed blocks as one dataset: an item is a block as a dictionary of int64 tensors ``(block_size,)``."""

    def __init__(self, arrays: list):
        self.arrays = arrays
        self.ends = list(accumulate(map(len, arrays)))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, i: int) -> dict:
        import torch

        which = bisect_right(self.ends, i)
        block = self.arrays[which][i - self.ends[which] + len(self.arrays[which])]
        ids = torch.from_numpy(block.astype("int64"))
        return {"input_ids": ids, "labels": ids}


def pretrain(profile: Profile, corpus: str, *, force: bool = False) -> artifacts.Manifest:
    """Train the base model of ``corpus`` ('common' or 'medical') and save it to ``pretraining/<corpus>``.

    A killed run is taken up again at its last checkpoint. Raises CourseError when an input is missing.
    """
    if corpus not in profile.mix:
        raise CourseError(f"unknown corpus {corpus!r}: choose one of {', '.join(profile.mix)}")
    tokenizer_folder = profile.require("tokenizer_pruning")
    profile.require("deduplication")
    settings = profile.pretraining

    def make(folder: Path) -> dict:
        from transformers import Trainer

        tokenizer = load_tokenizer(tokenizer_folder)
        tokens = folder / "tokens"
        with training.together().main_process_first():  # the others find the files
            tokens.mkdir(exist_ok=True)
            train, held_out = (Blocks(arrays) for arrays in training_blocks(profile, corpus, tokenizer, tokens))
        model = make_model(profile.model, tokenizer)
        steps = training.steps_in(len(train), settings)
        per_step = settings.block_size * training.batch(settings)
        trainer = Trainer(
            model=model,
            args=training.arguments(folder, settings, total_steps=steps, save_minutes=settings.save_minutes),
            train_dataset=train,
            eval_dataset=held_out,
            optimizers=(training.optimizer(model, settings), None),
            callbacks=[training.progress(f"pretraining {corpus}", steps, per_step, settings.save_minutes)],
        )
        log = training.run(trainer, folder)
        shutil.rmtree(tokens, ignore_errors=True)
        training.save(model, tokenizer, folder)
        last = [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
        return {
            "parameters": model.num_parameters(),
            "tokens_per_epoch": len(train) * settings.block_size,
            "tokens_seen": int(steps * per_step),
            "held_out_perplexity": round(math.exp(last), 2),
        }

    return artifacts.build(
        profile.dir("pretraining", corpus),
        make,
        stage=f"pretraining/{corpus}",
        settings={
            "model": vars(profile.model),
            "pretraining": vars(settings),
            "mix": profile.mix[corpus],
            "seed": training.SEED,
        },  # fmt: skip
        inputs=[tokenizer_folder, *(corpora.corpus_file(profile, name) for name in profile.mix[corpus])],
        resumable=True,
        force=force,
    )
