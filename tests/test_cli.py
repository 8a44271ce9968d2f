"""The `course` command: bad input is one line and exit code 2, and nothing is harmed."""

import bz2
import errno
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import sentencepiece

from course_utils import artifacts, cli, profiles
from course_utils.errors import CourseError, Stopped
from course_utils.notebooks import execution as notebooks

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
    broken = '{"title": "甲", "summary": "乙"}\n{"title": "丙"\n'
    (tmp_path / "home/data/baike/baike.jsonl.gz").write_bytes(gzip.compress(broken.encode()))
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    course("wiki-clean")
    message = course("deduplicate", code=2)
    assert "data/baike/baike.jsonl.gz:2: not a JSON object" in message


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


@pytest.mark.parametrize("name", ["common", "common-full", "medical-merged"])
def test_a_merged_model_takes_no_other_models_name(course, tmp_path, name):
    assert "another model of the course" in course("merge-lora", "-b", "common", "-o", name, code=2)
    assert not list(tmp_path.glob(f"**/{name}"))


def test_a_place_below_a_file_and_a_name_that_is_too_long_are_one_line(course, tmp_path):
    (tmp_path / "mine").write_text("precious")
    assert "no access to" in course("wiki-clean", "-i", DUMP, "-o", "mine/clean", code=2)
    assert "no model" in course("generate", "-m", "a" * 300, "你好", code=2)
    assert (tmp_path / "mine").read_text() == "precious"


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
    assert sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "small.model")).vocab_size() < 9_000
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


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """A function that runs the command in this process. -> (exit code, stdout, stderr)"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setattr(cli.console, "width", 160)

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["course", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def raising(error: BaseException):
    def stage(*args, **kwargs):
        raise error

    return stage


@pytest.mark.parametrize(
    "error, code, line",
    [
        (KeyboardInterrupt(), 130, "stopped; .*the same command goes on: course pretrain --corpus common$"),
        (Stopped("stopped at step 7, saved", 143), 143, "^stopped at step 7, saved$"),
        (CourseError("no such thing"), 2, "^error: no such thing$"),
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), 2, "^error: cannot write .*a.bin: No space.* free"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/a.bin"),
            2,
            "^error: no access to /x/a.bin: Permission",
        ),
    ],
)
def test_what_ends_a_command_is_one_line_with_its_exit_code(here, monkeypatch, error, code, line):
    monkeypatch.setattr(cli.training, "pretrain", raising(error))
    ended, out, told = here("pretrain", "--corpus", "common")
    assert ended == code and not out and told.count("\n") == 1 and re.search(line, told), told


def test_an_error_of_the_course_itself_keeps_its_traceback(here, monkeypatch):
    monkeypatch.setattr(cli.training, "pretrain", raising(FileNotFoundError(errno.ENOENT, "a bug")))
    with pytest.raises(FileNotFoundError):
        here("pretrain", "--corpus", "common")


def test_a_usage_error_says_how_and_exits_with_2(here):
    code, _, told = here("pretrain")
    assert code == 2 and "Usage: " in told and "--corpus" in told


def test_one_process_of_several_tells_of_the_stop(here, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(cli.training, "pretrain", raising(Stopped("saved", 143)))
    assert here("pretrain", "--corpus", "common") == (143, "", "")


def test_the_end_of_the_input_ends_the_chat_well(here, monkeypatch):
    monkeypatch.setattr(cli, "model_folder", lambda profile, model: None)
    monkeypatch.setattr(cli.merge_and_chat, "load", lambda folder: (None, None))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, told = here("chat")
    assert (code, told) == (0, "")


def test_without_an_input_the_chat_ends_well(here, monkeypatch):
    monkeypatch.setattr(cli, "model_folder", lambda profile, model: None)
    monkeypatch.setattr(cli.merge_and_chat, "load", lambda folder: (None, None))
    monkeypatch.setattr(sys, "stdin", None)  # as `<&-` leaves it
    assert here("chat")[::2] == (0, "")


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -c 'from course_utils.cli import main; main()' status | head -1"
    environment = {**os.environ, "COURSE_ARTIFACTS": str(tmp_path)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment)
    assert done.stderr == "" and done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "command, parts",
    [
        (("pretrain", "--corpus", "common"), ["pretraining"]),
        (("sft", "--base", "common", "--method", "lora"), ["full", "lora"]),
    ],
)
def test_a_training_reports_where_it_is_asked_to(here, monkeypatch, command, parts):
    seen = []

    def stage(profile, *args, **kwargs):
        seen.append([getattr(profile, part).report_to for part in parts])
        raise CourseError("enough")

    monkeypatch.setattr(cli.training, "pretrain", stage)
    monkeypatch.setattr(cli.training, "fine_tune", stage)
    here(*command)
    here(*command, "--report-to", "trackio")
    standard = [getattr(profiles.load("cpu-mini"), part).report_to for part in parts]
    assert seen == [standard, ["trackio"] * len(parts)]


@pytest.fixture
def stopped_work(here, monkeypatch, tmp_path):
    """-> (here, folder that the next pruning goes on in, folder of other settings)"""
    build = artifacts.build
    as_if = {"resumable": True}  # as a training is, which takes longer
    monkeypatch.setattr(artifacts, "build", lambda out, make, **how: build(out, make, **how | as_if))
    with monkeypatch.context() as patch:
        patch.setattr("course_utils.tokenizer_pruning.pruning.make_report", raising(KeyboardInterrupt()))
        assert [here(*args)[0] for args in (["prune-tokenizer", "--cased"], ["prune-tokenizer"])] == [130, 130]
    works = artifacts.unfinished(tmp_path / "artifacts/cpu-mini")
    (going_on,) = [work.folder for work in works if not work.settings["cased"]]
    (other,) = [work.folder for work in works if work.settings["cased"]]
    return here, going_on, other


def test_status_lists_unfinished_work(stopped_work):
    here, going_on, other = stopped_work
    code, out, _ = here("status")
    lines = {line.split(",")[0]: line for line in out.splitlines() if line.startswith("· ")}
    ours, others = (lines[f"· {artifacts.shown(folder)}"] for folder in (going_on, other))
    assert code == 0 and "would go on from here" in ours and "go on" not in others
    assert re.search(r"[\d.]+ [kM]?B(ytes)?, 20\d\d-\d\d-\d\d \d\d:\d\d UTC, unfinished tokenizer_pruning$", others)


def test_cleaning_up_asks_and_keeps_what_would_go_on(stopped_work, monkeypatch):
    here, going_on, other = stopped_work
    code, _, told = here("clean")
    assert code == 2 and "add --yes" in told and other.exists(), "nobody to ask"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer in ("", "n", "nonsense"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert "nothing was removed" in here("clean")[1] and other.exists()
    monkeypatch.setattr("builtins.input", raising(EOFError()))
    assert "nothing was removed" in here("clean")[1] and other.exists()
    monkeypatch.setattr("builtins.input", raising(KeyboardInterrupt()))
    assert here("clean")[0] == 130 and other.exists()
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert "removed 1" in here("clean")[1] and going_on.exists() and not other.exists()
    assert "nothing to remove (--all" in here("clean", "--yes")[1] and going_on.exists()
    assert "removed 1" in here("clean", "--yes", "--all")[1] and not going_on.exists()
    assert here("clean")[1] == "nothing to remove\n"


def test_what_another_process_works_in_is_not_removed(stopped_work):
    here, going_on, other = stopped_work
    with artifacts.lock(going_on.with_name("tokenizer_pruning")):
        code, out, told = here("clean", "--yes")
    assert code == 2 and "another process" in told and "removed 0" in out and other.exists()


def test_status_reads_alone(here, tmp_path, monkeypatch):
    assert here("status")[0] == 0 and not (tmp_path / "artifacts").exists()
    here("prune-tokenizer")
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", 1)  # it would remember what it has read
    monkeypatch.setattr(artifacts, "write_json", raising(OSError(errno.EROFS, "Read-only file system")))
    code, out, told = here("status")
    assert code == 0 and "done" in out and not told


def notebook(folder, *cells: str):
    nbformat.write(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells))), folder / "book.ipynb")
    return folder / "book.ipynb"


def test_a_cell_counts_by_the_time_it_took_before():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1") for _ in range(3)])
    book.cells.insert(1, nbformat.v4.new_markdown_cell("2"))
    assert notebooks._shares(book) == {0: 1, 2: 1, 3: 1}
    for cell, seconds in zip(book.cells, (1, 0, 8, 3), strict=True):
        begun, ended = "2026-11-27T02:07:00.5Z", f"2026-11-27T02:07:0{seconds}.5Z"
        cell.metadata["execution"] = {"iopub.execute_input": begun, "shell.execute_reply": ended}
    assert notebooks._shares(book) == pytest.approx({0: 0.25, 2: 2, 3: 0.75})


TRAINING = """
import time
from course_utils.progress import Line
with Line("training", 100) as line:
    for step in range(101):
        line.update(step, "training · loss 3.2")
        time.sleep(0.02)
"""


def test_a_running_cells_own_progress_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setattr("course_utils.progress.PLAIN_SECONDS", 0)
    monkeypatch.setattr("course_utils.progress.REDRAW_SECONDS", 0)
    path = notebook(tmp_path, "1", TRAINING)
    notebooks.execute(path, profiles.load("cpu-mini"))
    shown = capsys.readouterr().out
    assert re.search(r"^book, cell 2 of 2 · \d+ % \S+ < \S+ · training · loss 3.2  1/2  50 %", shown, re.M), shown
    assert shown.splitlines()[-1].startswith("book, cell 2 of 2  2/2  100 %")
    (output,) = nbformat.read(tmp_path / "artifacts/cpu-mini/notebooks/book.ipynb", 4).cells[1].outputs
    assert "100%" in output.data["text/plain"] and not output.metadata and "transient" not in output


STOPPABLE = """
import time
open("began", "w").close()
try:
    time.sleep(100)
except KeyboardInterrupt:
    time.sleep(1)
    open("saved", "w").close()
    raise
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_notebook_lets_the_cell_save(tmp_path, number):
    code = "import signal; signal.signal(2, signal.default_int_handler); from course_utils.cli import main; main()"
    command = [sys.executable, "-c", code, "notebooks", notebook(tmp_path, "1", STOPPABLE, "open('next', 'w')")]
    environment = {**os.environ, "COURSE_ARTIFACTS": str(tmp_path / "artifacts")}
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "began").exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(number)
    told = run.communicate()[1]
    assert run.returncode == 128 + number and "stopped in cell 2; what was finished is kept" in told.splitlines()[-1]
    assert (tmp_path / "saved").exists() and not (tmp_path / "next").exists()


def test_a_kernel_that_dies_is_told_with_its_cell(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    with pytest.raises(CourseError, match="its kernel ended in cell 2"):
        notebooks.execute(notebook(tmp_path, "1", "import os\nos._exit(9)"), profiles.load("cpu-mini"))


def test_a_cell_has_no_time_limit(tmp_path):
    assert notebooks._client(nbformat.v4.new_notebook(), tmp_path / "book.ipynb", None).timeout is None
