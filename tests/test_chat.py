"""A chat survives people: what they type, how much, in which terminal, and when they have heard enough."""

import json
import os
import subprocess
import sys
from itertools import islice

import pytest
import torch

from course_utils import artifacts, merge_and_chat
from course_utils.errors import CourseError
from course_utils.merge_and_chat import Conversation, Sampling, answer, generate_file, prompt_ids, stream_answer
from course_utils.training.full_vs_lora_sft import conversation, read_conversations

QUESTION = "北京的简称是什么？"


@pytest.fixture(scope="module")
def folder(walked):
    return walked[0].dir("full_vs_lora_sft", "common-full")


@pytest.fixture(scope="module")
def loaded(folder):
    return merge_and_chat.load(folder)


@pytest.fixture
def course(folder, tmp_path):
    """A function that runs the command with the tiny model. -> what it printed, as bytes"""

    def run(
        *args: object, text: str | bytes = "", encoding: str = "utf-8", code: int = 0, noted: bool = False
    ) -> bytes:
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "120", "COURSE_ARTIFACTS": str(tmp_path)}
        command = [
            sys.executable,
            "-c",
            "from course_utils.cli import main; main()",
            *map(str, args),
            "-m",
            str(folder),
        ]
        given = text if isinstance(text, bytes) else text.encode(encoding, "replace")
        done = subprocess.run(command, input=given, capture_output=True, env=environment, cwd=tmp_path)
        assert done.returncode == code and b"Traceback" not in done.stderr, done.stdout + done.stderr
        return done.stderr if code or noted else done.stdout

    return run


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_any_terminal_gets_an_answer(course, encoding):
    said = "你好[/]，[INST]、[bold]和</s><|assistant|>是什么？"
    printed = course("generate", said, "--max-new-tokens", 5, encoding=encoding)
    assert printed.startswith(said.encode(encoding, "replace")) and printed.count(b"\n") >= 2
    talked = course("chat", "--max-new-tokens", 5, text=f"{said}\n\n[/]\n/quit\n", encoding=encoding)
    assert talked.count(" › ".encode(encoding, "replace")) == 6  # 4 prompts and 2 answers; an empty line asks again


def test_bytes_that_are_no_text_and_half_a_character_get_an_answer(course, loaded):
    course("chat", "--max-new-tokens", 5, text=b"\xff\xfe\xb3\xc9\n")
    assert isinstance(answer(*loaded, ["甲\ud83d乙"], max_new_tokens=3)[0], str)
    assert isinstance("".join(stream_answer(*loaded, "\ud83d", max_new_tokens=3)), str)


def test_an_empty_question_and_one_that_is_too_long_are_one_line(course):
    assert course("generate", "  ", code=2).startswith(b"error: an empty question")
    message = course("generate", "长" * 500, code=2).decode()
    assert "too long: the model reads" in message and message.count("\n") == 1
    talked = course("chat", "--max-new-tokens", 4, text="长" * 500 + "\n你好\n").decode()
    assert "too long" in talked and talked.count("羊驼 ›") == 2


def test_a_prompt_longer_than_fine_tuning_saw_gets_a_note(course, folder):
    seen = artifacts.read_manifest(folder).summary["longest_conversation"]
    noted = course("generate", "长" * (seen + 1), "--max-new-tokens", 2, noted=True).decode()
    assert f"fine-tuning saw {seen} at most" in noted and noted.count("\n") == 1
    assert course("generate", QUESTION, "--max-new-tokens", 2, noted=True) == b""


def test_no_answer_goes_beyond_the_positions(loaded):
    model, tokenizer = loaded
    long = "长" * (model.config.max_position_embeddings - 20)
    (prompt,) = prompt_ids(tokenizer, [long], True)
    lengths = []
    forward = model.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(int(kwargs["position_ids"].max())), with_kwargs=True
    )
    answer(model, tokenizer, [long])
    forward.remove()
    assert len(prompt) < model.config.max_position_embeddings and max(lengths) < model.config.max_position_embeddings


def test_sixteen_at_once_say_what_each_says_alone(loaded):
    questions = [QUESTION * (1 + i % 5) + "吗" * i for i in range(16)]
    for how in ({}, {"beams": 2}, {"repetition_penalty": 1.4}):
        together = answer(*loaded, questions, batch_size=16, max_new_tokens=12, **how)
        assert together == [answer(*loaded, [question], max_new_tokens=12, **how)[0] for question in questions]


def test_what_is_drawn_comes_from_the_seed_and_leaves_the_process_its_own_numbers(loaded):
    how = {"temperature": 5.0, "max_new_tokens": 20}
    before = torch.random.get_rng_state()
    first, again, other = (answer(*loaded, [QUESTION], seed=seed, **how) for seed in (1, 1, 2))
    assert first == again != other
    assert "".join(stream_answer(*loaded, QUESTION, seed=1, **how)).strip() == first[0]
    assert torch.equal(before, torch.random.get_rng_state())


def test_defaults_are_the_models_own(loaded, monkeypatch):
    model = loaded[0]
    assert Sampling.of(model).max_new_tokens == 300 and Sampling.of(model).temperature == 0
    monkeypatch.setattr(model.generation_config, "max_new_tokens", 7)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 1.2)
    monkeypatch.setattr(model.generation_config, "temperature", 0.5)  # says nothing where nothing is drawn
    assert Sampling.of(model, beams=2) == Sampling(max_new_tokens=7, repetition_penalty=1.2, beams=2)
    monkeypatch.setattr(model.generation_config, "do_sample", True)
    assert Sampling.of(model).temperature == 0.5


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_p": 0}, {"beams": 0}, {"repetition_penalty": 0}, {"beams": 2, "temperature": 1},
     {"temperature": float("inf")}, {"temperature": 1e-300}, {"repetition_penalty": float("nan")}, {"seed": 2**70},
     {"temperature": "hot"}, {"max_new_tokens": 1.5}, {"beams": 100_000}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(CourseError):
        Sampling(**wrong)


def test_a_conversation_remembers_and_forgets_the_oldest_first(loaded):
    talk = Conversation(*loaded, system="你是助手。", max_new_tokens=6)
    positions = loaded[0].config.max_position_embeddings
    for i in range(60):
        "".join(talk.ask(f"第{i}个问题是什么？"))
        assert len(prompt_ids(loaded[1], [talk.turns[:-1]], True)[0]) < positions
        assert talk.turns[0] == {"role": "system", "content": "你是助手。"}
    assert talk.forgotten > 0 and "第59个" in talk.turns[-2]["content"]
    assert [turn["role"] for turn in talk.turns[1:]] == ["user", "assistant"] * (len(talk.turns) // 2)
    talk.reset()
    assert talk.turns == [{"role": "system", "content": "你是助手。"}] and talk.forgotten == 0
    talk.reset("")
    assert talk.turns == []


def test_a_second_turn_is_asked_with_the_first(loaded):
    talk = Conversation(*loaded, max_new_tokens=6)
    first = "".join(talk.ask(QUESTION)).strip()
    history = [*conversation(QUESTION, first)]
    second = "".join(talk.ask("那它呢？")).strip()
    assert second == answer(*loaded, [conversation("那它呢？", history=history)], max_new_tokens=6)[0]


def test_who_stops_listening_stops_the_model(loaded):
    model = loaded[0]
    steps = []
    forward = model.register_forward_pre_hook(lambda *_: steps.append(1))
    talk = Conversation(*loaded, temperature=5.0, max_new_tokens=200)
    pieces = talk.ask(QUESTION)
    heard = list(islice(pieces, 1))
    pieces.close()
    count = len(steps)
    forward.remove()
    assert count < 150 and talk.turns[-1]["content"] == heard[0].strip()


def test_a_conversation_is_saved_as_fine_tuning_reads_it(loaded, tmp_path):
    talk = Conversation(*loaded, max_new_tokens=6)
    with pytest.raises(CourseError, match="nothing was said yet"):
        talk.save(tmp_path / "said.jsonl")
    "".join(talk.ask(QUESTION))
    talk.save(tmp_path / "said.jsonl")
    talk.save(tmp_path / "said.jsonl")
    assert list(read_conversations(tmp_path / "said.jsonl")) == [talk.turns] * 2
    (tmp_path / "mine.jsonl").write_text(json.dumps({"messages": talk.turns}))  # without an end of its line
    talk.save(tmp_path / "mine.jsonl")
    assert list(read_conversations(tmp_path / "mine.jsonl")) == [talk.turns] * 2
    for wrong in ("no/said.jsonl", "a\0b"):
        with pytest.raises(CourseError, match="cannot be written"):
            talk.save(tmp_path / wrong)


def test_the_commands_of_the_chat(course, folder, tmp_path):
    lines = ["/help", "你好", "/save said.jsonl", "/system 你是医生。", "/reset", "/save said.jsonl",
             f"/model {folder}",
             "/model nobody", "/what", "再见", "/quit", "not asked"]  # fmt: skip
    printed = course("chat", "--max-new-tokens", 3, text="\n".join(lines)).decode()
    for told in ("/reset  ", "added to said.jsonl", "under: 你是医生。", "nothing to save", "goes on with",
                 "no model 'nobody'",
                 "/what is no command"):  # fmt: skip
        assert told in printed, told
    assert printed.count("羊驼 ›") == 2 and len((tmp_path / "said.jsonl").read_text("utf-8").splitlines()) == 1


def test_a_file_of_questions_is_answered_in_order_and_a_stopped_run_goes_on(loaded, folder, tmp_path, monkeypatch):
    rows = [{"question": f"{'长' * (i % 7)}是什么？"} for i in range(40)]
    rows[3], rows[5] = {"nothing": 1}, {"question": "长" * 500}
    rows[7] = {"messages": [*conversation("甲？", "乙。"), *conversation("丙？", "丁。")]}
    rows[9] = {"instruction": "改写。", "input": "甲。"}
    path, out = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    how = {"batch_size": 2, "max_new_tokens": 5, "system": "你是助手。"}
    from course_utils.merge_and_chat import question_files

    calls = []

    def stopping(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return answer(*args, **kwargs)

    monkeypatch.setattr(question_files, "answer", stopping)
    with pytest.raises(KeyboardInterrupt):
        generate_file(folder, path, out, **how)
    assert not out.exists() and len(list(tmp_path.glob(".answers.jsonl.*.partial"))) == 1
    assert generate_file(folder, path, out, **how) == {"answers": 38, "errors": 2}
    assert len(calls) == 2 + 2 and not list(tmp_path.glob(".*"))
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(found) == 40 and found[3]["place"].endswith("questions.jsonl:4") and "too long" in found[5]["error"]
    assert found[7]["messages"][-1]["content"] == "丙？" and found[9]["messages"][-1]["content"] == "改写。\n甲。"
    assert found[0]["messages"][0] == {"role": "system", "content": "你是助手。"}
    assert found[8]["answer"] == answer(*loaded, [found[8]["messages"]], max_new_tokens=5)[0]
    with pytest.raises(CourseError, match="answers.jsonl exists"):
        generate_file(folder, path, out)


def test_a_stopped_file_loses_nothing_and_mixes_nothing(folder, tmp_path, monkeypatch):
    from course_utils.merge_and_chat import question_files

    path, out = tmp_path / "questions.txt", tmp_path / "answers.jsonl"
    path.write_text("甲\u2028乙？\n丙？\n丁？\n", encoding="utf-8")  # a line separator is no end of a line of JSON
    how = {"batch_size": 1, "max_new_tokens": 2}
    monkeypatch.setattr(question_files, "BATCHES_AT_ONCE", 1)

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    whole = generate_file(folder, path, tmp_path / "whole.jsonl", **how)
    monkeypatch.setattr(question_files, "answer", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            generate_file(folder, path, out, **how)
        (partial,) = tmp_path.glob(".answers.jsonl.*.partial")
        first = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)[0]
        partial.write_bytes(first + '{"丙'.encode()[:-1])  # killed within a character
    monkeypatch.setattr(question_files, "answer", stopped)
    with pytest.raises(KeyboardInterrupt):
        generate_file(folder, path, out, **how)
    assert partial.read_bytes() == first  # stopped again before the next answer
    monkeypatch.setattr(question_files, "answer", answer)
    assert generate_file(folder, path, out, **how) == whole == {"answers": 3, "errors": 0}
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_file_with_no_question_with_half_a_character_and_with_a_strange_role(folder, tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [{"question": " "}, {"messages": [{"role": "tool", "content": "甲"}, {"role": "user", "content": "乙？"}]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    assert generate_file(folder, path, tmp_path / "new/answers.jsonl") == {"answers": 0, "errors": 3}
    assert "not: tool" in (tmp_path / "new/answers.jsonl").read_text("utf-8")
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "甲\ud800"}]}) + "\n")
    assert generate_file(folder, path, tmp_path / "half.jsonl", max_new_tokens=2) == {"answers": 1, "errors": 0}
    assert "甲\ufffd" in (tmp_path / "half.jsonl").read_text("utf-8")


def test_a_conversation_has_one_system_turn_its_own_before_the_commands(folder, tmp_path):
    path, own, asks = tmp_path / "a.jsonl", {"role": "system", "content": "甲"}, {"role": "user", "content": "乙？"}
    chats = [own, asks], [asks], [asks, own], [asks, own, asks]
    path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in chats))
    counts = generate_file(folder, path, tmp_path / "b.jsonl", system="丙", max_new_tokens=2)
    first, second = map(json.loads, (tmp_path / "b.jsonl").read_text("utf-8").splitlines()[:2])
    assert first["messages"] == [own, asks] and counts == {"answers": 2, "errors": 2}
    assert second["messages"] == [{"role": "system", "content": "丙"}, asks]


def test_answers_take_no_place_of_questions_of_a_folder_or_of_another_run(folder, tmp_path):
    path, out = tmp_path / "questions.txt", tmp_path / "answers.jsonl"
    path.write_text(QUESTION, encoding="utf-8")
    for place, why in ((path, "holds the questions"), (tmp_path, "is no file")):
        with pytest.raises(CourseError, match=why):
            generate_file(folder, path, place, force=True)
    with artifacts.lock(out), pytest.raises(CourseError, match="being written by another process"):
        generate_file(folder, path, out)
    assert path.read_text("utf-8") == QUESTION and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "template, why", [("", "there is none"), ("{{ raise_exception('no') }}", "no"), ("{{ messages", "unexpected end")]
)
def test_a_template_that_refuses_is_one_line(loaded, monkeypatch, template, why):
    monkeypatch.setattr(loaded[1], "chat_template", template or None)
    for ask in (lambda: answer(*loaded, [QUESTION]), lambda: list(stream_answer(*loaded, QUESTION))):
        with pytest.raises(CourseError, match=f"the chat template does not take these turns: .*{why}"):
            ask()


def test_a_model_that_searches_with_beams_can_be_talked_to(loaded, monkeypatch):
    monkeypatch.setattr(loaded[0].generation_config, "num_beams", 4)
    assert "".join(Conversation(*loaded, max_new_tokens=3).ask(QUESTION))


def test_the_command_answers_a_file(course, tmp_path):
    (tmp_path / "questions.txt").write_text("北京的简称是什么？\n\n成都呢？\n", encoding="utf-8")
    printed = course("generate", "-f", "questions.txt", "-o", "answers.jsonl", "--max-new-tokens", 4).decode()
    assert "2 answers, 1 errors" in printed
    assert course("generate", "-f", "questions.txt", code=2).startswith(
        b"error: give questions as arguments, or a file"
    )
