"""Merged models, answers, a chat and the scoreboard.

In come the base models, the fine-tuned models and the adapters; out go ``artifacts/<profile>/merge_and_chat``: merged
models (plain folders in safetensors) and ``scoreboard`` with all answers.

Read ``generation`` first (a model loaded, a question answered), then ``merging`` and ``evaluation``, the stages.
``board`` says how sure their figures are. ``chatting`` remembers what was said, ``question_files`` answers a file,
``serving`` other programs, ``web`` is a page. ``exporting`` writes a model as GGUF, ``model_cards`` tells what it is.
``glosses`` puts English beside what the models of the small world say.
"""

from .chatting import Conversation
from .evaluation import evaluate
from .exporting import export_gguf
from .generation import Sampling, answer, as_prompts, load, longest_seen, prompt_ids, stream_answer, system_turn
from .glosses import gloss, gloss_question
from .merging import merge_lora
from .model_cards import write_card
from .question_files import generate_file
from .serving import Server
from .web import Page
