"""What would fail on Windows, or on a Mac, is found on Linux: encodings, fork, locks, orphans, Apple's GPUs."""

import ast
import os
import subprocess
import sys
import time

import pytest
import torch

from course_utils import parameter_budgeting, profiles
from course_utils.training import running

from .conftest import REPOSITORY

CODE = [REPOSITORY / "tasks.py", *(REPOSITORY / "course_utils").rglob("*.py"), *(REPOSITORY / "data").rglob("*.py")]
LINUX_ALONE = {"fork", "forkpty", "sched_getaffinity", "fcntl", "resource", "killpg", "setsid", "geteuid", "mkfifo"}
TEXT = ("open", "read_text", "write_text")


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, getattr(node.func, "attr", getattr(node.func, "id", ""))


def without_encoding(path) -> list[int]:
    """Lines that open a text file in whatever encoding the machine prefers: GBK on a Chinese Windows."""
    found = []
    for node, name in calls(path):
        owner = getattr(getattr(node.func, "value", None), "id", "")
        ours = name == "write_text" and (isinstance(node.func, ast.Name) or owner == "artifacts")
        if name not in TEXT or ours or owner in ("os", "indexed_bzip2"):
            continue
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        binary = name == "open" and any(set(text) <= set("rwabx+") and "b" in text for text in texts)
        named = any(word.arg == "encoding" for word in node.keywords) or "utf-8" in texts
        if not (
            binary or named or name == "open" and owner in ("bz2", "gzip") and not any("t" in text for text in texts)
        ):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_text_file_is_opened_with_its_encoding(path):
    assert not without_encoding(path), f"lines {without_encoding(path)}"


def test_a_file_without_an_encoding_would_be_found(tmp_path):
    lines = [
        "open('a')",
        "p.read_text()",
        "p.open('w')",
        "open('a', 'rb')",
        "p.read_text('utf-8')",
        "gzip.open(p, 'rt')",
    ]
    (tmp_path / "a.py").write_text("\n".join(lines), encoding="utf-8")
    assert without_encoding(tmp_path / "a.py") == [1, 2, 3, 6]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_is_called_that_linux_alone_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    assert not names & LINUX_ALONE


def test_workers_are_started_as_windows_and_macs_start_them(tmp_path):
    """By spawn, in a Python whose own encoding is ASCII: two processes read a corpus and turn it into tokens."""
    script = tmp_path / "spawning.py"
    script.write_text(
        "import json, multiprocess, sys\n"
        "from pathlib import Path\n"
        "from course_utils import profiles, tokenizer_pruning\n"
        "from course_utils.corpora import loading\n"
        "def main(out):\n"
        "    loading.BYTES_A_WORKER = 1000\n"
        "    course = profiles.load('cpu-mini')\n"
        "    words, hidden = course.retain_words, course.model.hidden_size\n"
        "    tokenizer_pruning.prune_tokenizer(course.tokenizer_model, out / 'pruned', words, hidden_size=hidden)\n"
        "    row = json.dumps({'text': '成都是四川省的省会。' * 9}, ensure_ascii=False) + chr(10)\n"
        "    (out / 'rows.jsonl').write_text(row * 400, encoding='utf-8')\n"
        "    made = tokenizer_pruning.tokenize_files([out / 'rows.jsonl'], out / 'ids', out / 'pruned', workers=2)\n"
        "    print(made.summary)\n"
        "if __name__ == '__main__':\n"
        "    multiprocess.set_start_method('spawn')\n"
        "    main(Path(sys.argv[1]))\n",
        encoding="utf-8",
    )
    there = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "0", "PYTHONIOENCODING": "gbk", "LC_ALL": "C",
             "PYTHONCOERCECLOCALE": "0", "COURSE_ARTIFACTS": str(tmp_path / "artifacts")}  # fmt: skip
    done = subprocess.run([sys.executable, script, tmp_path], env=there, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    assert b"400" in done.stdout


def test_an_orphan_ends_where_nobody_adopts_it():
    """Windows goes on telling the id of a parent that is gone."""
    code = (
        "import os, time; from course_utils import processes\n"
        "gone = int(os.environ['GONE']); os.getppid = lambda: gone\n"
        "processes.LOOK_SECONDS = 0.05; processes.end_with(gone); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    there = {**os.environ, "GONE": str(parent.pid), "PYTHONPATH": str(REPOSITORY)}
    orphan = subprocess.Popen([sys.executable, "-c", code], env=there)
    time.sleep(2)
    assert orphan.poll() is None
    parent.kill()
    parent.wait()
    assert orphan.wait(30) == 1


def test_apples_gpu_trains_in_fp32_and_falls_back_to_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert parameter_budgeting.device_name() == "mps" and running.attention() == "sdpa"
    assert running.precision(profiles.load("cpu-mini").pretraining) == "fp32"
    told = "import course_utils, os, sys; print('torch' in sys.modules, os.environ['PYTORCH_ENABLE_MPS_FALLBACK'])"
    there = {name: value for name, value in os.environ.items() if name != "PYTORCH_ENABLE_MPS_FALLBACK"}
    there["PYTHONPATH"] = str(REPOSITORY)
    assert subprocess.run([sys.executable, "-c", told], env=there, capture_output=True, text=True).stdout == "False 1\n"
