"""Drawing: what people would rather look at than read, in one look and with one colour a meaning.

In come rows, weights, tables of numbers; out go figures, which ``show`` puts into a notebook with a caption and with
words for those who cannot see them, and ``explore`` with controls to play with. Read ``style`` first: fonts, colours,
``show``. Then a module a subject: ``cleaning``, ``tokenizer``, ``llama``, ``budget``, ``training``, ``answers``.
``explorers`` is what moves.
"""

from .answers import draw_shares
from .budget import draw_against, draw_budget, draw_plan, draw_ratios, draw_stacks
from .explorers import explore
from .llama import draw_attention, draw_llama_block
from .style import COLOURS, show, use_course_style
from .tokenizer import draw_amounts, draw_pieces
from .training import learning_rate_curves
