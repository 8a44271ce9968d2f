"""Drawing: what people would rather look at than read, in one look and with one colour a meaning.

In come rows, weights, tables of numbers; out go figures, which ``show`` puts into a notebook with a caption and with
words for those who cannot see them, and ``explore`` with controls to play with. Read ``style`` first: fonts, colours,
``show``. Then a module a subject: ``road``, ``cleaning``, ``tokenizer``, ``llama``, ``budget``, ``training``,
``answers``. ``explorers`` is what moves.
"""

from .answers import draw_shares
from .cleaning import (
    draw_chances,
    draw_cleaners,
    draw_copies,
    draw_counts,
    draw_estimates,
    draw_lengths,
    draw_minima,
    draw_signatures,
    draw_source,
    draw_times,
)
from .explorers import explore
from .llama import draw_attention, draw_llama_block
from .road import draw_losses, draw_minutes, draw_road, draw_turn
from .style import COLOURS, show, use_course_style
from .training import learning_rate_curves
