"""The `course` command: bad input is one line and exit code 2, and nothing is harmed."""

import bz2
import json
import os
import subprocess
import sys

import pytest

from .conftest import REPOSITORY

DUMP = REPOSITORY / "data/wiki/zhwiki-mini-pages-articles.xml.bz2"
TOKENIZER = REPOSITORY / "data/tokenizer/multilingual.model"
WORDS = REPOSITORY / "data/retain_en.txt"


@pytest.fixture
def course(tmp_path):
    """A function that runs the command in an empty folder, with its artifacts there too."""

    def run(*args: object, code: int = 0) -> str:
        environment = {**os.environ, "COURSE_ARTIFACTS": str(tmp_path / "artifacts"), "COLUMNS": "160"}
        done = subprocess.run(
            [sys.executable, "-c", "from course_utils.cli import main; main()", *map(str, args)],
            cwd=tmp_path, capture_output=True, text=True, env=environment,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        if code == 2:
            assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
            return done.stderr
        return done.stdout

    return run


def test_a_dump_that_is_not_xml(course, tmp_path):
    (tmp_path / "notes.xml").write_text("just some notes")
    assert "notes.xml: byte 0: not a MediaWiki XML dump" in course("wiki-clean", "-i", "notes.xml", "-o", "out", code=2)
    assert not (tmp_path / "out").exists()


def test_a_truncated_bz2_keeps_what_stands_before_the_cut_and_says_where_it_is(course, tmp_path):
    pages = bz2.decompress(DUMP.read_bytes())
    (tmp_path / "cut.xml.bz2").write_bytes(bz2.compress(pages, 1)[: len(bz2.compress(pages, 1)) // 2])
    for _ in range(2):  # made, and found made
        message = course("wiki-clean", "-i", "cut.xml.bz2", "-o", "out", code=2)
        assert "cut.xml.bz2 is damaged or cut off at byte" in message and "download it again" in message
    assert len((tmp_path / "out/wiki-00000.jsonl").read_text(encoding="utf-8").splitlines()) > 100


def test_a_line_that_is_not_json_is_named_with_its_file(course, tmp_path, monkeypatch):
    (tmp_path / "home/data").mkdir(parents=True)
    for part in (REPOSITORY / "data").iterdir():
        if part.name != "baike":
            (tmp_path / "home/data" / part.name).symlink_to(part)
    (tmp_path / "home/data/baike").mkdir()
    (tmp_path / "home/data/baike/baike.jsonl").write_text('{"title": "甲", "summary": "乙"}\n{"title": "丙"\n')
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    course("wiki-clean")
    message = course("deduplicate", code=2)
    assert "data/baike/baike.jsonl:2: not a JSON object" in message


def test_a_tokenizer_that_is_not_sentencepiece(course, tmp_path):
    (tmp_path / "vocab.model").write_text("hello world")
    message = course("prune-tokenizer", "-i", "vocab.model", "-o", "new.model", "-a", WORDS, code=2)
    assert "vocab.model is not a SentencePiece model" in message
    assert not (tmp_path / "new.model").exists()


def test_an_unknown_profile(course):
    assert "unknown profile 'laptop': choose one of cpu-mini" in course("status", "-p", "laptop", code=2)


@pytest.mark.parametrize("command", [("wiki-clean", "-i", DUMP), ("prune-tokenizer", "-i", TOKENIZER, "-a", WORDS)])
def test_an_output_folder_that_is_not_empty(course, tmp_path, command):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    assert "mine is not empty" in course(*command, "-o", "mine", code=2)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_an_unknown_model_lists_the_known(course):
    message = course("generate", "-m", "gpt", "你好", code=2)
    assert "no model 'gpt'" in message and "common-full" in message


def test_a_model_not_yet_made_names_its_command(course):
    assert "course sft --base common --method full" in course("chat", code=2)


@pytest.mark.parametrize(
    "command",
    [
        ("pretrain", "--corpus", "law"),
        ("sft", "--base", "law", "--method", "full"),
        ("sft", "--base", "common", "--method", "half"),
    ],
)
def test_an_unknown_corpus_base_or_method(course, command):
    assert "choose" in course(*command, code=2)


def test_missing_files(course, tmp_path):
    assert "gone.xml is missing" in course("wiki-clean", "-i", "gone.xml", "-o", "out", code=2)
    assert "gone.model is missing" in course("prune-tokenizer", "-i", "gone.model", "-o", "a.model", code=2)
    (tmp_path / "model").mkdir()
    assert "holds no model" in course("generate", "-m", "model", "你好", code=2)


def test_cleaning_pruning_budget_and_status_print_what_they_did(course, tmp_path):
    assert "kept 567" in course("wiki-clean", "-i", DUMP, "-o", "clean")
    rows = [json.loads(line) for line in (tmp_path / "clean/wiki-00000.jsonl").open(encoding="utf-8")]
    assert set(rows[0]) == {"id", "title", "text"}
    assert "dead 0" in course("prune-tokenizer", "-i", TOKENIZER, "-o", "small.model", "-a", WORDS)
    import sentencepiece

    assert sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "small.model")).vocab_size() < 8_000
    course("prune-tokenizer")
    assert "largest batch that fits" in course("budget")
    table = course("status")
    assert "tokenizer_pruning" in table and "next: course wiki-clean" in table


def test_what_answers_is_what_was_trained(walked, course):
    profile, _ = walked
    model = profile.dir("full_vs_lora_sft", "common-full")
    printed = course("generate", "-m", model, "北京的简称是什么？", "-n", 2)
    assert printed.startswith("北京的简称是什么？")


def test_the_command_starts_without_heavy_libraries():
    heavy = ["torch", "transformers", "gensim", "datasets", "peft", "matplotlib", "opencc", "sentencepiece"]
    code = f"import sys, course_utils.cli, course_utils.road; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
