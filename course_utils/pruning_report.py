"""What a pruning did, and the proof that it broke nothing: dead pieces, lossless texts, fertility, scripts, megabytes.

In come the model before and after; out comes a table that is saved as ``report.json``. The one idea: every claim is
measured with SentencePiece itself, on both models. Cost: about a second for 65 thousand pieces.
"""

import json
from pathlib import Path

from .sentencepiece_models import dead_pieces, fertility, is_lossless, lengths, scripts

# A few sentences of each kind, for a first look; notebook 02 asks a whole wiki.
SAMPLES = {
    "Chinese": "北京是中国的首都，历史悠久。医生说：“多喝水，按时吃药，一周后复查。”他在图书馆读完了那本小说。",
    "English": "The river is long and the old city on its banks is full of people who came from the south.",
    "mixed": "用Python写一个BPE分词器，在GPU上训练2小时，loss从9.1降到3.2。",
    "code": "def area(r):\n    return 3.14 * r ** 2\n\nfor r in range(10):\n    print(r, area(r))\n",
}
# Texts that careless tokenizers lose something of: rare characters, joined emoji, spaces, other scripts, controls.
HARD_SAMPLES = (
    "𠮷野家 龘",
    "👩\u200d👩\u200d👧 🇨🇳",
    "two  spaces\tand\n\nlines ",
    "한국어 Ελλάδα שלום ประเทศไทย",
    "é ﬁ ½ \x00\x1f",
)


def make_report(model, pruned, hidden_size: int) -> dict:
    """What the pruning did, and the proof that it broke nothing. A table of weights is ``pieces × hidden_size``, and a
    model has one, or two where input and output are not tied; fp32, megabytes of 10⁶ bytes."""
    gone = (len(model.pieces) - len(pruned.pieces)) * hidden_size
    both = {"before": model, "after": pruned}
    tokens = {name: {when: fertility(m, [text]) for when, m in both.items()} for name, text in SAMPLES.items()}
    return {
        "pieces": {when: len(m.pieces) for when, m in both.items()},
        "scripts": {when: scripts(m) for when, m in both.items()},
        "lengths": {when: lengths(m) for when, m in both.items()},
        "dead_pieces": {when: dead_pieces(m) for when, m in both.items()},
        "lossless": {text: is_lossless(pruned, text) for text in (*SAMPLES.values(), *HARD_SAMPLES)},
        "fertility": {name: row | {"change": row["after"] / row["before"] - 1} for name, row in tokens.items()},
        "each_table": {
            "hidden_size": hidden_size,
            "parameters_saved": gone,
            "megabytes_saved": round(4 * gone / 1e6, 1),
        },
    }


def read_report(folder: Path) -> dict:
    """The report of a pruning."""
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))
