"""Training: base models from text, then models that answer.

In come the deduplicated corpora, the tokenizer and instructions; out go ``artifacts/<profile>/pretraining/<corpus>``
(plain `LlamaForCausalLM` folders) and ``artifacts/<profile>/full_vs_lora_sft/<corpus>-<method>`` (models, or PEFT
adapters), each with its tokenizer and its log.

Read ``pretraining`` first, then ``full_vs_lora_sft``: a stage each. ``running`` is what both share, a run that ends
right or says what is wrong; it sets up ``trainer``, the `Trainer` with whole ``checkpoints`` and an end at the first
loss that is no number, ``monitoring``, what a run says and how it is stopped, ``optimizers``, and ``losses``, the loss
without all logits. ``adapters`` says which base an adapter was trained on.
"""

from .full_vs_lora_sft import fine_tune
from .pretraining import pretrain
