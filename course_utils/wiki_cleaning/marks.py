"""The signs that rendering leaves in a text for those who come after it, none of which survives cleaning.

They are noncharacters: Unicode keeps U+FDD0 to U+FDEF free for a program's own use, and ``tags`` takes them out of the
input first. A rule's number is a private character.
"""

import re

FENCE, FENCE_END = "\ufdd0", "\ufdd1"  # around text that no conversion may touch
KEPT = "\ufdd2"  # a character while OpenCC must not see it
SPOKEN, SPOKEN_END = "\ufdd3\ufdd4"  # around a pronunciation, which is dropped where it is an aside
PIPE = "\ufdd6"  # what {{!}} shows while it must not be read as a separator
HOLE = "\ufdd7"  # where something was dropped
RULE = "\ufde9"  # where conversion rules begin to hold; a private character follows, their number
RULE_SIGN = re.compile(RULE + ".", re.S)
LOST_FORMULA = "\ufdea"  # where a formula was dropped that stood in a sentence
LOST_BLOCK = "\ufdeb"  # where a table was dropped
LOST = HOLE + LOST_FORMULA + LOST_BLOCK
HARD_BREAK = "\ufded"  # where a tag ends a line; a mere newline does not end a paragraph
ASIDE, ASIDE_END = "\ufdee\ufdef"  # brackets of {{BD}}, which are left out where the writer opened some already
INTERNAL = re.compile("[\ufdd0-\ufdef\ud800-\udfff]")  # and halves of characters, which no converter takes

# What <nowiki> shows must not be read as markup: stand-ins, and the way back.
MARKUP = "[]{}|'=*#:;-_<>&!"
STAND_INS = "".join(chr(0xFDD8 + i) for i in range(len(MARKUP)))
PROTECTED, RESTORED = str.maketrans(MARKUP, STAND_INS), str.maketrans(STAND_INS + PIPE, MARKUP + "|")
