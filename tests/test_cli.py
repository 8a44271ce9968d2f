"""The `course` command: bad input is one line and exit code 2, and nothing is harmed."""

import bz2
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
import sentencepiece

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


def other_model(kind: str) -> bytes:
    """A SentencePiece model of a type that has no merges and no probabilities."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["北京 是 首都", "a b c"] * 9), model_writer=out, model_type=kind, vocab_size=12,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


WORD_PIECE = b"[PAD]\n[UNK]\n[CLS]\n##ing\nthe\n"
BAD_MODELS = {
    "a text": (b"hello world", "is not a SentencePiece model"),
    "an empty file": (b"", "is not a SentencePiece model"),
    "WordPiece's vocab.txt": (WORD_PIECE, "is not a SentencePiece model"),
    "a tokenizer.json": (b'{"version": "1.0", "model": {"type": "WordPiece"}}', "is not a SentencePiece model"),
    "a cut-off download": (TOKENIZER.read_bytes()[:40_000], "bad.model"),
    "a word model": (other_model("word"), "is a word model: only BPE and unigram models can be pruned"),
    "a character model": (other_model("char"), "is a char model: only BPE and unigram models can be pruned"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_tokenizer_that_cannot_be_pruned(course, tmp_path, name):
    content, problem = BAD_MODELS[name]
    (tmp_path / "bad.model").write_bytes(content)
    assert problem in course("prune-tokenizer", "-i", "bad.model", "-o", "new.model", "-a", WORDS, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.model"]


@pytest.mark.parametrize("words, problem", [(b"", "is empty"), (b" \n\n", "is empty"), (b"caf\xe9", "is not UTF-8")])
def test_a_word_list_that_cannot_be_read(course, tmp_path, words, problem):
    (tmp_path / "words.txt").write_bytes(words)
    assert problem in course("prune-tokenizer", "-i", TOKENIZER, "-o", "new.model", "-a", "words.txt", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]


@pytest.mark.parametrize("out", ["mine/old.model", "mine/words.txt", "mine", "mine/other.model"])
def test_pruning_overwrites_no_input_and_nothing_foreign(course, tmp_path, out):
    (tmp_path / "mine").mkdir()
    shutil.copy(TOKENIZER, tmp_path / "mine/old.model")
    shutil.copy(WORDS, tmp_path / "mine/words.txt")
    (tmp_path / "mine/other.model").write_bytes(b"precious")
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    course("prune-tokenizer", "-i", "mine/old.model", "-o", out, "-a", "mine/words.txt", code=2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before


def test_pruning_options(course, tmp_path):
    prune = ("prune-tokenizer", "-i", TOKENIZER, "-a", WORDS)
    assert "go together" in course(*prune, "-o", "a", "--vocab-size", 900, code=2)
    (tmp_path / "corpus.txt").write_text("北京是中国的首都。\n", encoding="utf-8")
    course(*prune, "-o", "a", "--vocab-size", 900, "--corpus", "corpus.txt")
    course(*prune, "-o", "b", "--cased", "--add-missing", "--keep-traditional")
    sizes = {name: json.loads((tmp_path / name / "report.json").read_text())["pieces"]["after"] for name in "ab"}
    assert sizes["a"] == 900 and sizes["b"] > 8_000
    settings = json.loads((tmp_path / "b/manifest.json").read_text())["settings"]
    assert settings["cased"] and settings["add_missing"] and settings["keep_traditional"]
    assert "gone.txt is missing" in course(*prune, "-o", "c", "--vocab-size", 900, "--corpus", "gone.txt", code=2)


def test_tokenizing_says_what_is_missing(course, tmp_path):
    (tmp_path / "a.txt").write_text("好\n", encoding="utf-8")
    assert "course prune-tokenizer" in course("tokenize", "-i", "a.txt", "-o", "out", code=2)
    assert "holds no tokenizer.json" in course("tokenize", "-i", "a.txt", "-o", "out", "-t", "none", code=2)
    course("prune-tokenizer")
    assert "gone.txt is missing" in course("tokenize", "-i", "gone.txt", "-o", "out", code=2)
    assert "tokens 3" in course("tokenize", "-i", "a.txt", "-o", "out")


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
