"""From a raw Chinese-Wikipedia dump to a chatting Chinese Llama: a room a stage, in the order in which data travels.

1. ``wiki_cleaning``        MediaWiki XML dumps -> clean JSONL shards
   ``corpora``              clean shards, Baike, medical texts -> each document once, as `datasets`
2. ``tokenizer_pruning``    a large SentencePiece model -> a small tokenizer; a corpus -> blocks of token ids
3. ``parameter_budgeting``  a model shape and a device -> parameters, memory, time
4. ``training``             blocks -> the *common* and the *medical* base model; instructions -> models that answer
5. ``merge_and_chat``       models -> a merged model, answers, the scoreboard

Each room's docstring says which file to read first. What all rooms share lies below them, and nothing imports what
stands above it: ``errors``; ``profiles`` (data: what differs between a laptop and a GPU); ``steps`` (data: the notebook
and the command of each step); ``processes`` (workers that end with their parent); ``progress``; ``artifacts`` (stage
outputs that are whole or absent); ``claims`` (a sentence held against a run); ``plots``.
Above them: ``notebooks`` (executes them; sets up where one came alone), ``road`` (the steps in order) and ``cli`` (the
command `course`).

Importing this package imports nothing heavy; each stage imports only what it needs, when it needs it.
"""

import os

# On Apple's GPUs what PyTorch has no kernel for runs on the CPU, with a line of warning. PyTorch asks as it is loaded.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__version__ = "0.2.0"
