"""Drawing: what people would rather look at than read, in one look and with one colour a meaning.

In come rows, weights, tables of numbers; out go figures, which ``show`` puts into a notebook with a caption and with
words for those who cannot see them, and ``explore`` with controls to play with. Read ``style`` first: fonts, colours,
``show``. Then a module a subject, in the order of the course: ``road``, ``cleaning``, ``tokenizer``, ``llama``, ``budget``, ``training``, ``fine_tuning``, ``answers``. ``explorers`` is what moves.
"""

from .answers import (
    draw_bars,
    draw_beam_tree,
    draw_board,
    draw_counts,
    draw_intervals,
    draw_lines,
    draw_matrices,
    draw_memory,
    draw_pairs,
    draw_parts,
    draw_shares,
)
from .budget import draw_against, draw_budget, draw_plan, draw_ratios, draw_stacks
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
from .fine_tuning import (
    draw_bars,
    draw_dial,
    draw_grouped_bars,
    draw_lengths,
    draw_losses,
    draw_low_rank,
    draw_padding,
    draw_singular_values,
    draw_tokens,
    draw_training_memory,
)
from .llama import draw_attention, draw_llama_block
from .road import draw_losses, draw_minutes, draw_road, draw_turn
from .style import COLOURS, show, use_course_style
from .tokenizer import draw_amounts, draw_pieces
from .training import draw_bars, draw_curves, draw_formats, draw_probabilities, draw_surprise, learning_rate_curves
