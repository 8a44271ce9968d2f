"""Pretrain a Llama from scratch on encyclopaedia text, or on encyclopaedia and medicine.

In come the deduplicated wiki, Baike articles and medical texts, and the pruned tokenizer; out comes a plain
``LlamaForCausalLM`` folder in safetensors with its tokenizer, and the log of losses.

A profile may let one base model go on from another one's weights: *continued* or domain-adaptive pretraining
(Gururangan et al. 2020, https://arxiv.org/abs/2004.10964).

The one idea: documents are joined by end-of-text tokens and cut into blocks of equal length, so that no position
of a batch is padding. A document may be cut in two; a block may hold several. Cost: 6 × parameters FLOPs a token.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts, corpora
from ..corpora.loading import HELD_OUT_EVERY
from ..errors import CourseError
from ..profiles import ModelShape, Profile
from ..tokenizer_pruning import load_tokenizer, pack_dataset, tokenize_dataset
from ..tokenizer_pruning.packing import Encoder
from . import running

if TYPE_CHECKING:
    from datasets import Dataset

TOKENS = "tokens"  # the folder of blocks, while the stage runs
PROMPT_TOKENS = 12  # of a held-out document, that the sample texts go on from


def training_blocks(profile: Profile, corpus: str, tokenizer, folder: Path) -> tuple["Dataset", "Dataset"]:
    """-> (training blocks, held-out blocks): rows of ``input_ids``, ``block_size`` each, mapped from files in a folder.
    Every fiftieth document is held out; the blocks of the others stand there as often as the profile's mix reads that
    corpus, of a corpus that it reads 0.3 times three in ten. Raises CourseError where there is too little text for one
    block of each."""
    from datasets import concatenate_datasets

    size, encoder = profile.pretraining.block_size, Encoder(tokenizer)
    train, held_out = [], []
    for name, times in profile.mix[corpus].items():
        documents = corpora.load_corpus(profile, name)
        inputs = {str(path): artifacts.sha256(path) for path in corpora.corpus_files(profile, name)}
        tokens = tokenize_dataset(documents, tokenizer, folder, title=name, inputs=inputs)
        kept = np.arange(len(tokens)) % HELD_OUT_EVERY > 0
        for part, which, often, title in ((train, kept, times, name), (held_out, ~kept, 1, f"{name}, held out")):
            mark = encoder.fingerprint(f"blocks of {title}, of {HELD_OUT_EVERY}", inputs)
            some = tokens.select(np.flatnonzero(which))
            blocks = pack_dataset(some, size, folder, title=title, fingerprint=mark)
            whole, rest = divmod(often, 1)
            part += [blocks] * int(whole)
            if rest:
                order = np.random.default_rng(profile.pretraining.seed).permutation(len(blocks))
                part.append(blocks.select(order[: round(rest * len(blocks))]))
    if not any(map(len, train)) or not any(map(len, held_out)):
        raise CourseError(f"the corpora of profile {profile.name} are too small for blocks of {size} tokens")
    return concatenate_datasets(train), concatenate_datasets(held_out)


def make_model(shape: ModelShape, tokenizer, *, seed: int = running.SEED):
    """A Llama with random weights in the profile's shape, its vocabulary the tokenizer's. The same seed gives the same
    weights, and leaves the process' random numbers alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    marks = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = LlamaConfig(
        **vars(shape), **marks, vocab_size=len(tokenizer), attn_implementation=running.attention(),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def as_batch(blocks: list[dict]) -> dict:
    """Blocks as a batch: int64 ``(batch, block_size)``; each token is to be predicted from those before it."""
    import torch

    ids = torch.from_numpy(np.array([block["input_ids"] for block in blocks], np.int64))
    return {"input_ids": ids, "labels": ids}


def pretrain(profile: Profile, corpus: str, *, force: bool = False) -> artifacts.Manifest:
    """Train the base model of ``corpus`` ('common' or 'medical') and save it to ``pretraining/<corpus>``. A killed run
    is taken up again at its last checkpoint. Raises CourseError when an input is missing."""
    if corpus not in profile.mix:
        raise CourseError(f"unknown corpus {corpus!r}: choose one of {', '.join(profile.mix)}")
    tokenizer_folder = artifacts.require(profile, "tokenizer_pruning")
    artifacts.require(profile, "deduplication")
    settings, mix, first = profile.pretraining, profile.mix[corpus], profile.starts_from.get(corpus)
    start = [artifacts.require(profile, "pretraining", first)] if first else []

    def make(folder: Path) -> dict:
        tokenizer = load_tokenizer(tokenizer_folder)
        with running.together().main_process_first():  # the others find the files
            rows, held_out = training_blocks(profile, corpus, tokenizer, folder / TOKENS)
        model = running.load_model(*start) if start else make_model(profile.model, tokenizer, seed=settings.seed)
        seen = running.steps_in(len(rows), settings) * running.batch(settings) * settings.block_size
        loss = running.train(
            model, tokenizer, rows.with_format("numpy"), held_out.with_format("numpy"), settings, folder,
            title=f"pretraining {corpus}", tokens=seen, collate=as_batch,
            prompt=held_out[0]["input_ids"][:PROMPT_TOKENS],
        )  # fmt: skip
        return {
            "parameters": model.num_parameters(), "tokens_per_epoch": len(rows) * settings.block_size,
            "tokens_seen": seen, "held_out_perplexity": round(math.exp(loss), 2),
        }  # fmt: skip

    return artifacts.build(
        profile.dir("pretraining", corpus), make, stage=f"pretraining/{corpus}",
        settings={"model": vars(profile.model), "pretraining": settings.recipe, "mix": mix, "seed": settings.seed},
        inputs=[tokenizer_folder, *start, *(path for name in mix for path in corpora.corpus_files(profile, name))],
        resumable=True, together=True, force=force, scratch=(TOKENS, running.CHECKPOINTS),
    )  # fmt: skip
