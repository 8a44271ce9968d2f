"""Let a model answer a file of questions.

In comes a text, a question a line, or JSON rows with ``question``, ``prompt``, ``instruction`` (and ``input``) or a
conversation; out comes a JSON line for each in their order: ``{"messages", "answer"}``, or ``{"error"}`` and where it
stands for a row without a question or with one that is too long. What is written stays: a stopped run goes on there.
"""

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from .. import artifacts
from ..corpora import reading
from ..errors import CourseError
from ..progress import Line
from ..training.full_vs_lora_sft import conversation, turns_of
from .generation import Sampling, answer, base_of, load, prompt_ids, room, system_turn

BATCHES_AT_ONCE = 8  # that are sorted by length, answered, and written
NAMES = ("question", "prompt", "instruction", "text")  # of the column that asks


def asked_in(row: dict, place: str) -> dict:
    """The turns of a row, up to the last of the user. Raises reading.Unusable for a row without a question."""
    turns = turns_of(row)
    if turns is None:
        name = next((name for name in NAMES if row.get(name)), None)
        if name is None:
            raise reading.Unusable(f"needs one of {', '.join(NAMES)} or messages")
        question, given = reading.string(row, name).strip(), reading.string(row, "input")
        turns = conversation(f"{question}\n{given}" if given else question)
    while turns and turns[-1]["role"] == "assistant":
        turns.pop()
    if not turns or turns[-1]["role"] == "system" or not turns[-1]["content"].strip():
        raise reading.Unusable("an empty question")
    return {"messages": turns}


def generate_file(
    folder: Path, questions: Path, out: Path, *, system: str = "", batch_size: int = 16, force: bool = False, **settings
) -> dict[str, int]:
    """Answer the questions of a file. -> how many rows have an answer, and how many an error. Raises CourseError where
    ``out`` exists (unless ``force``) or the file cannot be read."""
    with artifacts.lock(out):  # no other run writes the same file
        artifacts.check_new(out, force)
        if out.resolve() == questions.resolve():
            raise CourseError(f"{artifacts.shown(out)} holds the questions: name another place for the answers")
        rows = list(chain.from_iterable(map(reading.objects, map(reading.Span, reading.files([questions])))))
        model, tokenizer = load(folder)
        sampling = Sampling.of(model, **settings)
        what = {"settings": asdict(sampling), "system": system, "code": artifacts.code_version(__file__)}
        inputs = map(artifacts.sha256, (questions, folder, base_of(folder)))
        mark = artifacts.fingerprint("answers", what, dict(enumerate(inputs)))
        partial = out.with_name(f".{out.name}.{mark}.partial")
        kept = partial.read_bytes() if partial.exists() else b""
        kept = kept[: kept.rfind(b"\n") + 1]  # a last line may have been cut by a kill
        done = kept.splitlines(keepends=True)  # of bytes: no other line ends than these
        size = batch_size * BATCHES_AT_ONCE
        with Line(f"answering {questions.name}", len(rows), len(done)) as line:
            with partial.open("ab") as file:
                file.truncate(len(kept))
                for start in range(len(done), len(rows), size):
                    told = [_asked(*row, system, model, tokenizer, sampling) for row in rows[start : start + size]]
                    right = [row for row in told if "error" not in row]
                    texts = answer(
                        model, tokenizer, [row["messages"] for row in right], batch_size=batch_size, **asdict(sampling)
                    )
                    for row, text in zip(right, texts, strict=True):
                        row["answer"] = text
                    texts = (reading.LONE.sub("\ufffd", json.dumps(row, ensure_ascii=False)) for row in told)
                    done += (f"{text}\n".encode() for text in texts)
                    file.writelines(done[start:])
                    file.flush()
                    line.update(len(done))
            artifacts.sync(partial)
            partial.replace(out)
        wrong = sum("error" in json.loads(text) for text in done)
        return {"answers": len(done) - wrong, "errors": wrong}


def _asked(row, place: str, system: str, model, tokenizer, sampling: Sampling) -> dict:
    try:
        turns = reading.usable(row, asked_in, place)["messages"]
        turns = turns if turns[0]["role"] == "system" else system_turn(system) + turns
        room(model, prompt_ids(tokenizer, [turns], True)[0], sampling)
    except (reading.Unusable, CourseError) as problem:
        return {"error": str(problem), "place": place}
    return {"messages": turns}
