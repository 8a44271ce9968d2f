"""Training: base models from text, then models that answer.

In come the deduplicated corpora, the tokenizer and instructions; out go ``artifacts/<profile>/pretraining/<corpus>``
(plain `LlamaForCausalLM` folders) and ``artifacts/<profile>/full_vs_lora_sft/<corpus>-<method>`` (models, or PEFT
adapters), each with its tokenizer and its log of losses.

Read ``pretraining`` first, then ``full_vs_lora_sft``: a stage each. ``running`` is what both share: settings of the
`Trainer`, precision, progress, and going on after a kill.
"""

from .full_vs_lora_sft import fine_tune
from .pretraining import pretrain
