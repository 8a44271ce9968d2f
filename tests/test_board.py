"""The board's figures are right, say how sure they are, and are of the models that were named."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from course_utils import artifacts, cli, merge_and_chat
from course_utils.errors import CourseError
from course_utils.merge_and_chat import board, evaluation
from course_utils.tokenizer_pruning import load_tokenizer, save_tokenizer
from course_utils.training.pretraining import make_model

from .conftest import REPOSITORY, data_text
from .small_run import SHAPE

TEXTS = ["北京是中国的首都。", "大熊猫吃竹子和竹笋，也吃苹果。" * 3, "成都属于四川省。"]


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_an_interval_is_wilsons(right, of, low, high):
    """The examples of Newcombe 1998 (Stat. Med. 17, 857-872), table I, method 3."""
    assert board.share([True] * right + [False] * (of - right)) == {
        "of": of, "share": round(right / of, 4), "low": low, "high": high,
    }  # fmt: skip


def test_the_readmes_figures_of_c_eval_are_within_chance():
    published = {share: board.share([True] * round(share * 1346) + [False] * (1346 - round(share * 1346)))
                 for share in (0.268, 0.249)}  # fmt: skip
    assert all(found["low"] < 0.25 < found["high"] for found in published.values())
    assert (published[0.268]["low"], published[0.268]["high"]) == (0.2452, 0.2925)


@pytest.mark.parametrize(
    ("text", "round_in_a_circle"),
    [("四川省四川省四川省四川省", True), ("它属于四川。它属于广东。它属于海南。", False), ("哈哈哈哈哈", False),
     ("哈哈哈哈哈哈", True), ("我属于四川，你属于四川，他属于四川", True), ("", False)],
)  # fmt: skip
def test_an_answer_repeats_itself_when_four_characters_come_three_times(text, round_in_a_circle):
    assert board.repeats(text) is round_in_a_circle


@pytest.fixture(scope="module")
def tiny(tokenizer_folder, tmp_path_factory):
    """The folder of a model with random weights and the course's tokenizer."""
    folder, tokenizer = tmp_path_factory.mktemp("models") / "tiny", load_tokenizer(tokenizer_folder)
    make_model(SHAPE, tokenizer).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


def test_perplexity_and_bits_are_those_of_the_models_own_loss(tiny):
    model, tokenizer = merge_and_chat.load(tiny)
    ids = torch.tensor(
        [[2, *(i for text in TEXTS for i in [*tokenizer(text, add_special_tokens=False)["input_ids"], 2])]]
    )
    assert tokenizer.eos_token_id == 2 and ids.shape[1] < 64
    with torch.no_grad():
        loss = model(input_ids=ids, labels=ids).loss.item()
    found = board.foretell(model, tokenizer, {"made": TEXTS}, 64)
    assert found["made: perplexity"] == pytest.approx(math.exp(loss), rel=1e-3) and found["made: unknown tokens"] == 0
    bits = loss * (ids.shape[1] - 1) / math.log(2) / (len("".join(TEXTS)) + 3)
    assert found["made: bits/char"] == pytest.approx(bits, abs=2e-3)
    window = 7  # where the text is longer: each token once, behind the up to 6 before it in its window
    with torch.no_grad():
        starts = range(0, ids.shape[1] - 1, window - 1)
        logits = [model(input_ids=ids[:, start : start + window]).logits[0, :-1] for start in starts]
    part = torch.nn.functional.cross_entropy(torch.cat(logits)[: ids.shape[1] - 1], ids[0, 1:]).item()
    assert board.foretell(model, tokenizer, {"made": TEXTS}, window)["made: perplexity"] == pytest.approx(
        math.exp(part), rel=1e-3
    )


def test_how_answers_were_given(tiny):
    model, tokenizer = merge_and_chat.load(tiny)
    questions = [
        {"question": "北京的简称是什么？"},
        {"question": "它呢？", "history": [{"role": "user", "content": "你好"}]},
    ]
    texts, figures = board.examine(model, tokenizer, questions, chat=True, max_new_tokens=9)
    assert figures["cut off, %"]["share"] == 1.0 and figures["tokens"] == 9.0 and figures["tokens/s"] > 0
    assert figures["characters"] == pytest.approx(sum(map(len, texts)) / 2, abs=0.05)
    prompt = torch.tensor(merge_and_chat.prompt_ids(tokenizer, ["北京的简称是什么？"], True))
    with torch.no_grad():
        state = model.model(input_ids=prompt).last_hidden_state[0, -1]
    model.lm_head.weight.data[tokenizer.eos_token_id] = 1e3 * state  # the likeliest token behind this prompt
    texts, figures = board.examine(model, tokenizer, questions[:1], chat=True, max_new_tokens=9)
    assert texts == [""] and figures["cut off, %"]["share"] == 0.0 and figures["tokens"] == 0.0


def foreign(folder):
    """Another's model: words for tokens, neither chat template nor padding, and little that it knows."""
    words = {"<unk>": 0, "<|endoftext|>": 1, "北京": 2, "。": 3}
    rust = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rust, unk_token="<unk>", eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    tokenizer.bos_token_id = tokenizer.pad_token_id = 1
    model = make_model(SHAPE, tokenizer)
    model.generation_config.update(do_sample=True, temperature=5.0)  # a board asks all models in one way
    model.save_pretrained(folder)


@pytest.fixture
def few(walked, tmp_path):
    """The tiny profile with a few questions of each kind of the exam."""
    rows, some = list(map(json.loads, data_text("evaluation.jsonl").splitlines())), {}
    for row in rows:
        some.setdefault((row["domain"], row["fact"], row["phrasing"]), []).append(row)
    few = [row for kind in some.values() for row in kind[:2]]
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few), encoding="utf-8")
    return replace(walked[0], evaluation=tmp_path / "exam.jsonl")


def test_a_board_is_of_the_models_that_were_named(few, walked, tiny, tmp_path, capsys):
    foreign(tmp_path / "foreign")
    base, lora = (walked[0].dir(*place) for place in (("pretraining", "common"), ("full_vs_lora_sft", "common-lora")))
    chosen = {"common": base, "lora": lora, "foreign": tmp_path / "foreign"}
    out = tmp_path / "out"
    evaluation.evaluate(few, chosen, out)
    assert "foreign has no chat template: asked as a base model" in capsys.readouterr().out
    found = board.read(out)
    assert list(found["models"]) == ["common (asked as base)", "lora", "foreign (asked as base)"]
    assert found["exam"]["questions"] == 48 and found["device"] and found["versions"]["torch"]
    weights = [list(model["weights"].values()) for model in found["models"].values()]
    assert weights[0] == [artifacts.digest(base / "model.safetensors")]
    assert set(weights[1]) == {*weights[0], artifacts.digest(lora / "adapter_model.safetensors")}
    figures = found["models"]["foreign (asked as base)"]["figures"]
    told = figures["held-out text"]
    assert told["wiki: unknown tokens"] > 10 and told["wiki: bits/char"] is None, "it only looks foretold"
    assert found["models"]["lora"]["figures"]["held-out text"]["wiki: unknown tokens"] == 0
    splits = {split for model in evaluation.read_board(out).values() for split in model}
    assert sum(len(figures[f"{domain} questions"]) for domain in ("common", "medical")) == len(splits) == 24
    text = (out / "board.md").read_text(encoding="utf-8")
    assert all(text.count(f"| {name} |") == 7 for name in found["models"]) and "only read, new wording (n=2)" in text
    assert (out / "board.png").read_bytes().startswith(b"\x89PNG")
    before = [row for row in evaluation.read_answers(out) if row["model"] == "foreign"]
    with pytest.raises(CourseError, match="out holds the board of other models"):
        evaluation.evaluate(few, {"foreign": tmp_path / "foreign"}, out)
    assert board.read(out) == found
    evaluation.evaluate(few, {"foreign": tmp_path / "foreign"}, out, force=True)
    assert evaluation.read_answers(out) == before, "greedy, whatever its generation_config.json says"
    (tmp_path / "foreign/chat_template.jinja").write_text("{{ messages[-1]['content'] }}")
    evaluation.evaluate(few, {"foreign": tmp_path / "foreign"}, out)
    assert list(board.read(out)["models"]) == ["foreign"]


def test_changed_weights_are_asked_again_although_their_manifest_is_old(few, walked, tmp_path):
    folder = shutil.copytree(walked[0].dir("full_vs_lora_sft", "common-full"), tmp_path / "mine")
    first = evaluation.evaluate(few, {"mine": folder}, tmp_path / "out")
    assert evaluation.evaluate(few, {"mine": folder}, tmp_path / "out") == first
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.model.norm.weight.data *= -1
    model.save_pretrained(folder)
    before = board.read(tmp_path / "out")["models"]["mine"]
    evaluation.evaluate(few, {"mine": folder}, tmp_path / "out")
    after = board.read(tmp_path / "out")["models"]["mine"]
    assert before["weights"] != after["weights"]
    assert before["figures"]["held-out text"] != after["figures"]["held-out text"]


def test_a_profiles_board_has_the_scoreboards_figures(walked):
    folder = walked[0].dir("merge_and_chat", "scoreboard")
    scores, found = evaluation.read_board(folder), board.read(folder)
    assert list(found["models"]) == list(scores) and found["exam"]["questions"] == 1204
    for name, model in found["models"].items():
        stable = model["figures"]["common questions"]["five wordings, all right"]
        assert stable["share"] == scores[name]["common stable"] and stable["low"] <= stable["share"] <= stable["high"]


def test_the_command_prints_the_board(few, walked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli.console, "_width", 200)
    folder = walked[0].dir("full_vs_lora_sft", "common-full")
    cli.evaluate([str(folder)], None, few, False)
    printed = capsys.readouterr().out
    assert "common questions, %" in printed and "bits/char" in printed and "(n=2)" in printed
    assert (few.dir("merge_and_chat", "board-common-full") / "board.json").exists()
    with pytest.raises(CourseError, match="have the same name"):
        cli.evaluate([str(folder)] * 2, None, few, False)
    with pytest.raises(CourseError, match="-o goes with -m"):
        cli.evaluate(None, tmp_path, few, False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="holds no model"):
        cli.evaluate([str(tmp_path / "empty")], None, few, False)


QUESTIONS = [["四川省的省会是____。", "成都", "重庆", "昆明", "贵阳", "A"],
             ["下列动物中，属于哺乳动物的是____。", "青蛙", "鲤鱼", "蓝鲸", "企鹅", "C"]]  # fmt: skip


@pytest.mark.trial
def test_lm_eval_asks_a_model_of_the_course_with_the_task_file_of_the_readme(tiny, tmp_path):
    """Its log-probabilities of A, B, C, D behind a question are the model's own."""
    pytest.importorskip("lm_eval", reason="lm-eval is no part of the course: pip install 'lm-eval[hf]'")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    task = textwrap.dedent(re.search(r"\n((?: {4}.+\n)*? {4}task: ceval-local\n(?: {4}.+\n)+)", readme)[1])
    task = task.replace("/path/to/questions.csv", str(tmp_path / "questions.csv"))
    (tmp_path / "ceval-local.yaml").write_text(task, encoding="utf-8")
    with (tmp_path / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question", "A", "B", "C", "D", "answer"], *QUESTIONS])
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tiny}", "--tasks",
               "ceval-local", "--include_path", tmp_path, "--device", "cpu", "--log_samples", "--output_path",
               tmp_path / "out"]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").rglob("samples_*.jsonl")
    model, tokenizer = merge_and_chat.load(tiny)
    right = 0
    for row, line in zip(QUESTIONS, path.read_text(encoding="utf-8").splitlines(), strict=True):
        ids = tokenizer("{}\nA. {}\nB. {}\nC. {}\nD. {}\n答案：".format(*row[:5]), return_tensors="pt")["input_ids"]
        spaced = [f"▁{letter}" for letter in "ABCD"]
        with torch.no_grad():
            told = model(input_ids=ids).logits[0, -1].log_softmax(-1)[tokenizer.convert_tokens_to_ids(spaced)]
        sample = json.loads(line)
        assert [float(answer[0]) for answer in sample["filtered_resps"]] == pytest.approx(told.tolist(), abs=1e-3)
        right += "ABCD"[told.argmax()] == row[5]
    (results,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(results.read_text())["results"]["ceval-local"]["acc,none"] == right / 2
