"""Merged models, answers, a chat and the scoreboard.

In come the base models, the fine-tuned models and the adapters; out go ``artifacts/<profile>/merge_and_chat``: merged
models (plain folders in safetensors) and ``scoreboard`` with all answers.

Read ``generation`` first (a model loaded, a question answered), then ``merging`` and ``evaluation``, the stages.
"""

from .evaluation import evaluate
from .generation import answer, as_prompts, generate, load, stream_answer
from .merging import merge_lora
