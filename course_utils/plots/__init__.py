"""Drawing: what people would rather look at than read, in one look and with one colour a meaning.

In come rows, weights, tables of numbers; out go figures, which ``show`` puts into a notebook with a caption and with
words for those who cannot see them, and ``explore`` with controls to play with. Read ``style`` first: fonts, colours,
``show``. Then a module a subject, in the order of the course: ``road``, ``cleaning``, ``tokenizer``, ``llama``,
``budget``, ``training``, ``fine_tuning``, ``answers``. ``explorers`` is what moves.
"""

from . import answers, budget, cleaning, fine_tuning, llama, road, tokenizer, training
from .explorers import explore
from .style import COLOURS, show, use_course_style
