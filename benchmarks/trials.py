"""What benchmarks of the mini models share: a folder of its own for a training, and the exam of what came of it."""

from collections.abc import Iterable

from course_utils.corpora import read_jsonl
from course_utils.merge_and_chat import evaluation, generation
from course_utils.profiles import Profile
from course_utils.training.full_vs_lora_sft import conversation


def link(profile: Profile, own: Profile, stages: Iterable[str]) -> None:
    """Let ``own``, whose artifacts lie elsewhere, read what the profile's stages made."""
    for stage in stages:
        own.dir(stage).parent.mkdir(exist_ok=True)
        own.dir(stage).symlink_to(profile.dir(stage), target_is_directory=True)


def exam(profile: Profile, model: str) -> dict[str, float]:
    """-> split -> share of right answers, of a fine-tuned model (``common-full``) in its field."""
    field = model.split("-")[0]
    rows = [row for row in read_jsonl(profile.evaluation) if row["domain"] == field]
    asked = [conversation(row["question"], history=row["history"]) for row in rows]
    loaded = generation.load(profile.dir("full_vs_lora_sft", model))
    answers = generation.answer(*loaded, asked, max_new_tokens=evaluation.ANSWER_TOKENS)
    board = evaluation.score(rows, answers)
    return {split.removeprefix(f"{field} "): share for split, share in board.items()}
