"""Pretrain a Llama from scratch on encyclopaedia text, or on encyclopaedia and medicine.

In come the cleaned wiki, Baike articles and medical texts, and the pruned tokenizer; out comes a plain
``LlamaForCausalLM`` folder in safetensors with its tokenizer, and the log of losses.

The one idea: documents are joined by end-of-text tokens and cut into blocks of equal length, so that no position
of a batch is padding. A document may be cut in two; a block may hold several. Cost: 6 × parameters FLOPs a token.
"""

import math
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from . import artifacts, corpora, training
from .errors import CourseError
from .profiles import ModelShape, Profile
from .tokenizer_pruning import load_tokenizer

HELD_OUT_EVERY = 50  # one document in fifty is kept for validation


def pack(tokenizer, texts: Iterable[str], block_size: int):
    """Join documents, each ended by the end-of-text token, and cut them into blocks.

    -> uint16 array (or uint32 for vocabularies above 65,536) of shape ``(blocks, block_size)``; the last,
    incomplete block is dropped.
    """
    import numpy as np

    dtype = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    pieces, texts = [], iter(texts)
    while batch := list(islice(texts, 1000)):
        for ids in tokenizer(batch, add_special_tokens=False, return_attention_mask=False)["input_ids"]:
            pieces.append(np.array([*ids, tokenizer.eos_token_id], dtype=dtype))
    stream = np.concatenate(pieces) if pieces else np.zeros(0, dtype)
    blocks = len(stream) // block_size
    return stream[: blocks * block_size].reshape(blocks, block_size)


def training_blocks(profile: Profile, corpus: str, tokenizer):
    """-> (training blocks, held-out blocks), each ``(blocks, block_size)``.

    Every fiftieth document is held out; the others are repeated as the profile's mix says.
    """
    import numpy as np

    size = profile.pretraining.block_size
    train, held_out = [], []
    for name, times in profile.mix[corpus].items():
        texts = list(corpora.read_corpus(profile, name))
        if not texts:
            raise CourseError(f"the {name} corpus of profile {profile.name} holds no document")
        held_out += texts[::HELD_OUT_EVERY]
        kept = pack(tokenizer, (text for i, text in enumerate(texts) if i % HELD_OUT_EVERY), size)
        train += [kept] * times
    blocks, held = np.concatenate(train), pack(tokenizer, held_out, size)
    if not len(blocks) or not len(held):
        raise CourseError(f"the corpora of profile {profile.name} are too small for blocks of {size} tokens")
    return blocks, held


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
    """Packed blocks as a dataset: item ``i`` is block ``i`` as a dictionary of int64 tensors ``(block_size,)``."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, i: int) -> dict:
        import torch

        ids = torch.from_numpy(self.blocks[i].astype("int64"))
        return {"input_ids": ids, "labels": ids}


def pretrain(profile: Profile, corpus: str, *, force: bool = False) -> artifacts.Manifest:
    """Train the base model of ``corpus`` ('common' or 'medical') and save it to ``pretraining/<corpus>``.

    A killed run is taken up again at its last checkpoint. Raises CourseError when an input is missing.
    """
    if corpus not in profile.mix:
        raise CourseError(f"unknown corpus {corpus!r}: choose one of {', '.join(profile.mix)}")
    tokenizer_folder = profile.require("tokenizer_pruning")
    profile.require("wiki_cleaning")
    settings = profile.pretraining

    def make(folder: Path) -> dict:
        from transformers import Trainer

        tokenizer = load_tokenizer(tokenizer_folder)
        blocks, held_out = training_blocks(profile, corpus, tokenizer)
        model = make_model(profile.model, tokenizer)
        steps = training.steps_in(len(blocks), settings)
        per_step = settings.block_size * settings.batch_size * settings.gradient_accumulation_steps
        trainer = Trainer(
            model=model,
            args=training.arguments(folder, settings, total_steps=steps, save_minutes=settings.save_minutes),
            train_dataset=Blocks(blocks),
            eval_dataset=Blocks(held_out),
            optimizers=(training.optimizer(model, settings), None),
            callbacks=[training.progress(f"pretraining {corpus}", steps, per_step, settings.save_minutes)],
        )
        log = training.run(trainer, folder)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        last = [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
        return {
            "parameters": model.num_parameters(),
            "tokens_per_epoch": int(blocks.size),
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
            "max_documents": profile.max_documents,
            "seed": training.SEED,
        },  # fmt: skip
        inputs=[tokenizer_folder, *(path for name in profile.mix[corpus] for path in corpora.sources(profile, name))],
        resumable=True,
        force=force,
    )
