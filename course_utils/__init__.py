"""From a raw Chinese-Wikipedia dump to a chatting Chinese Llama, one small module a stage.

Read the modules in the order in which data travels:

1. ``wiki_cleaning``        MediaWiki XML dumps -> clean JSONL shards; beside it ``wiki_dumps`` (reads a dump),
   ``wikitext``, ``paragraphs`` (clean a page), ``wiki_templates``, ``language_conversion``, ``formulas``, ``units``
   (what markup shows)
   ``deduplication``        clean shards, Baike, medical texts -> each document once, written in one way
2. ``tokenizer_pruning``    a large SentencePiece model -> a smaller one without dead tokens; beside it
   ``sentencepiece_models`` (what is in a model), ``fast_tokenizers`` (the same for Hugging Face), ``pruning_report``,
   ``embedding_transfer`` (a trained model moves along), ``corpus_tokenization`` (text -> token ids on disk)
3. ``parameter_budgeting``  a model shape and a device -> parameters, memory, time
4. ``pretraining``          clean text -> the *common* and the *medical* base model
5. ``full_vs_lora_sft``     base model + instructions -> fine-tuned models and LoRA adapters
6. ``merge_and_chat``       models -> merged model, answers, chat; ``evaluation`` -> the scoreboard

Around them: ``downloading`` (the real sources), ``normalisation`` and ``corpora`` (one way to write text and to read
it), ``profiles`` (everything that differs between a laptop and a GPU), ``artifacts`` (atomic,
resumable stage outputs), ``road`` (the stages in order), ``plots`` and ``cli`` (the ``course`` command).

Importing this package imports nothing heavy; each stage imports only what it needs, when it needs it.
"""

__version__ = "0.1.0"
