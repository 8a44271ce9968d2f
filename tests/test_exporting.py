"""A model that travels is the same elsewhere: weights, vocabulary, template; and its card says what is known."""

import json
import random
import re
from itertools import islice

import gguf
import jinja2
import numpy as np
import pytest
import torch
import yaml
from sentencepiece import SentencePieceProcessor
from sentencepiece import sentencepiece_model_pb2 as pb
from typer.testing import CliRunner

from course_utils import artifacts, cli, merge_and_chat, profiles
from course_utils.errors import CourseError
from course_utils.merge_and_chat import evaluation, exporting
from course_utils.profiles import ModelShape
from course_utils.tokenizer_pruning import load_tokenizer, plain_ids, save_tokenizer
from course_utils.training.pretraining import make_model

from .conftest import data_text

SHAPE = ModelShape(32, 48, 2, 4, 64, tie_word_embeddings=True, initializer_range=0.3, num_key_value_heads=2)
TEXTS = [
    "成都属于哪个省？", " 两个  空格，\n换行\t和制表", "Hello, world! 12+7=19", "▁<0x41>", "𠮷野家🍜", "é e\u0301", "",
    *data_text("demo_questions.jsonl").splitlines(),
]  # fmt: skip
CHAT = [
    {"role": "system", "content": "你是一个百科助手。"}, {"role": "user", "content": "四川的省会是哪里？"},
    {"role": "assistant", "content": "成都。"}, {"role": "user", "content": "那它的简称呢？"},
]  # fmt: skip


def save(folder, tokenizer_folder, shape=SHAPE):
    tokenizer = load_tokenizer(tokenizer_folder)
    model = make_model(shape, tokenizer)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return model


@pytest.fixture(scope="module")
def folder(tokenizer_folder, tmp_path_factory):
    """A Llama with random weights and fewer key than query heads."""
    folder = tmp_path_factory.mktemp("model") / "little"
    save(folder, tokenizer_folder)
    return folder


@pytest.fixture(scope="module")
def exported(folder):
    out = folder.parent / "gguf/little.gguf"
    merge_and_chat.export_gguf(folder, out)
    return out, gguf.GGUFReader(out)


def told(reader, name):
    return reader.fields[name].contents()


def test_the_file_holds_the_shape_and_each_weight_once(folder, exported):
    reader, model = exported[1], merge_and_chat.load(folder)[0]
    expected = {"context_length": 64, "embedding_length": 32, "block_count": 2, "feed_forward_length": 48,
                "attention.head_count": 4, "attention.head_count_kv": 2, "rope.dimension_count": 8}  # fmt: skip
    assert {name: told(reader, f"llama.{name}") for name in expected} == expected
    assert told(reader, "llama.rope.freq_base") == model.config.rope_parameters["rope_theta"]
    assert told(reader, "llama.attention.layer_norm_rms_epsilon") == np.float32(model.config.rms_norm_eps)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert len(tensors) == 2 + 9 * 2 and "output.weight" not in tensors  # tied
    assert sum(tensor.size for tensor in tensors.values()) == model.num_parameters()
    layer = model.model.layers[1]
    assert np.array_equal(tensors["blk.1.ffn_gate.weight"], layer.mlp.gate_proj.weight.detach().numpy())
    assert np.array_equal(tensors["token_embd.weight"], model.lm_head.weight.detach().numpy())


def test_attention_over_neighbouring_pairs_gives_the_scores_of_attention_over_halves(folder, exported):
    """llama.cpp turns rows 2i and 2i + 1 of a head together, `transformers` i and i + half: the same scores."""
    tensors = {tensor.name: tensor.data for tensor in exported[1].tensors}
    model = merge_and_chat.load(folder)[0]
    attention, random_state = model.model.layers[0].self_attn, np.random.default_rng(0).normal(size=32)
    frequencies = told(exported[1], "llama.rope.freq_base") ** (-np.arange(4) / 4)

    def turned(rows, position, together):
        heads = (rows @ random_state).reshape(-1, 8)
        heads = heads[:, [0, 2, 4, 6, 1, 3, 5, 7]] if together == "neighbours" else heads
        pairs = (heads[:, :4] + 1j * heads[:, 4:]) * np.exp(1j * position * frequencies)
        return np.concatenate([pairs.real, pairs.imag], 1)

    def scores(q, k, together):
        return turned(q, 5, together)[::2] @ turned(k, 2, together).T

    ours = [getattr(attention, name).weight.detach().numpy() for name in ("q_proj", "k_proj")]
    theirs = [tensors[f"blk.0.attn_{name}.weight"] for name in "qk"]
    assert np.allclose(scores(*ours, "halves"), scores(*theirs, "neighbours"))
    assert not np.allclose(scores(*ours, "halves"), scores(*ours, "neighbours"))
    assert np.array_equal(exporting.halved(exporting.paired(ours[1], 2), 2), ours[1])


def test_the_vocabulary_cuts_texts_as_the_tokenizer_does(folder, exported, tokenizer_folder):
    """Asked of SentencePiece itself, whose way of merging llama.cpp follows."""
    reader, model = exported[1], pb.ModelProto()
    model.ParseFromString((tokenizer_folder / "tokenizer.model").read_bytes())
    types = [piece.type for piece in model.pieces]
    marks = [i for i, piece in enumerate(model.pieces) if piece.piece.startswith("<|")]
    assert told(reader, "tokenizer.ggml.tokens") == [piece.piece for piece in model.pieces]
    assert told(reader, "tokenizer.ggml.token_type") == [3 if i in marks else kind for i, kind in enumerate(types)]
    for piece, score in zip(model.pieces, told(reader, "tokenizer.ggml.scores"), strict=True):
        piece.score = score
    processor, tokenizer = SentencePieceProcessor(model_proto=model.SerializeToString()), load_tokenizer(folder)
    signs = sorted(
        {sign for text in TEXTS for sign in text} | {piece.piece for piece in model.pieces if piece.type == 1}
    )
    draw = random.Random(0)
    texts = [*TEXTS, *("".join(draw.choices(signs, k=20)).replace("▁", " ") for _ in range(500))]
    assert processor.encode(texts) == plain_ids(tokenizer, texts)
    flags = ("add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces")
    assert not any(told(reader, f"tokenizer.ggml.{flag}") for flag in flags)
    for name in ("bos", "eos", "unknown", "padding"):
        attribute = {"unknown": "unk", "padding": "pad"}.get(name, name)
        assert told(reader, f"tokenizer.ggml.{name}_token_id") == getattr(tokenizer, f"{attribute}_token_id")


def test_the_template_writes_the_same_in_plain_jinja_and_in_ollama(folder, exported):
    tokenizer = load_tokenizer(folder)
    expected = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    template = jinja2.Environment().from_string(told(exported[1], "tokenizer.chat_template"))
    marks = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token}
    assert template.render(messages=CHAT, add_generation_prompt=True, **marks) == expected
    modelfile = (exported[0].parent / "Modelfile").read_text(encoding="utf-8")
    assert modelfile.startswith("FROM ./little.gguf\n")
    assert 'PARAMETER stop "</s>"\n' in modelfile and "PARAMETER num_ctx 64\n" in modelfile
    # Go's template in Jinja's words.
    go = re.search('TEMPLATE """(.*?)"""', modelfile, re.DOTALL)[1]
    go = go.replace("{{ range .Messages }}", "{% for turn in chat %}").replace("{{ .Content }}", "{{ turn.content }}")
    go = re.sub(r'{{ (\w+|else if) eq \.Role "(\w+)" }}', r"{% \1 turn.role == '\2' %}", go).replace("else if", "elif")
    go = go.replace("{{ end }}{{ end }}", "{% endif %}{% endfor %}")
    assert jinja2.Environment(keep_trailing_newline=True).from_string(go).render(chat=CHAT) == expected


def test_half_precision_is_half_the_size_and_norms_stay(folder, exported, tmp_path):
    exporting.export_gguf(folder, tmp_path / "half.gguf", dtype="f16")
    sizes = {tensor.name: tensor.data.dtype for tensor in gguf.GGUFReader(tmp_path / "half.gguf").tensors}
    assert sizes["blk.0.attn_q.weight"] == np.float16 and sizes["output_norm.weight"] == np.float32
    weights = [sum(t.n_bytes for t in gguf.GGUFReader(path).tensors) for path in (tmp_path / "half.gguf", exported[0])]
    assert weights[0] < 0.51 * weights[1]


def test_an_untied_output_travels_too(tokenizer_folder, tmp_path):
    model = save(tmp_path / "untied", tokenizer_folder, ModelShape(**vars(SHAPE) | {"tie_word_embeddings": False}))
    exporting.export_gguf(tmp_path / "untied", tmp_path / "x.gguf")
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    assert np.array_equal(tensors["output.weight"], model.lm_head.weight.detach().numpy())


def test_a_file_that_reads_back_otherwise_is_not_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "paired", lambda rows, heads: rows)
    with pytest.raises(CourseError, match="reads back otherwise"):
        exporting.export_gguf(folder, tmp_path / "x.gguf")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(folder, tmp_path):
    out, modelfile = tmp_path / "x.gguf", tmp_path / "Modelfile"
    for path in (out, modelfile):
        path.write_text("mine")
        with pytest.raises(CourseError, match=f"{path.name} exists: name another place, or write over it with --force"):
            exporting.export_gguf(folder, out)
        assert path.read_text() == "mine"
        path.unlink()
    out.write_text("mine")
    exporting.export_gguf(folder, out, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Modelfile", "x.gguf"]


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "file, old, new, problem",
    [
        ("config.json", '"llama"', '"mistral"', "is a mistral model: only a Llama"),
        ("config.json", '"rope_type": "default"', '"rope_type": "linear", "factor": 2.0', "positions of type linear"),
        ("tokenizer.json", '"pre_tokenizer": null', '"pre_tokenizer": {"type": "Whitespace"}', "cut texts otherwise"),
        ("chat_template.jinja", "message['content'] + '\\n'", "message['content'] + '\\n' * loop.index", "template"),
    ],
)
def test_what_llama_cpp_would_read_otherwise_is_refused(tokenizer_folder, tmp_path, file, old, new, problem):
    save(tmp_path / "model", tokenizer_folder)
    path = tmp_path / "model" / file
    path.write_text(changed(path.read_text(encoding="utf-8"), old, new), encoding="utf-8")
    with pytest.raises(CourseError, match=problem):
        exporting.export_gguf(tmp_path / "model", tmp_path / "out/x.gguf")
    assert not (tmp_path / "out").exists()


def test_an_adapter_is_to_be_merged_first(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    for export in (lambda out: exporting.export_gguf(tmp_path, out),
                   lambda out: merge_and_chat.write_card(profiles.load("cpu-mini"), tmp_path, out)):  # fmt: skip
        with pytest.raises(CourseError, match="is an adapter: merge it first"):
            export(tmp_path / "out.gguf")


@pytest.fixture
def course(tokenizer_folder, tmp_path, monkeypatch):
    """A function that makes a stage of a course in an empty folder: a model of random weights, with its manifest."""
    monkeypatch.setenv("COURSE_ARTIFACTS", str(tmp_path / "artifacts"))
    profile = profiles.load("cpu-mini")

    def make(stage: str, part: str, inputs, summary, folder=None, name=None):
        def work(out):
            save(out, tokenizer_folder)
            (out / "note.txt").write_text(part)  # else all would be one
            return summary

        folder = folder or profile.dir(stage, part)
        artifacts.build(folder, work, stage=name or f"{stage}/{part}", settings={"learning_rate": 6e-4}, inputs=inputs)
        return folder

    return profile, make


def card(folder, *options) -> tuple[dict, str]:
    """-> (header, text) of a model's card, by the command."""
    result = CliRunner().invoke(cli.app, ["export", "card", "-m", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    header, text = (folder / "README.md").read_text(encoding="utf-8").removeprefix("---\n").split("---\n", 1)
    return yaml.safe_load(header), text


def test_a_card_says_what_the_manifests_know(course):
    profile, make = course
    base = make("pretraining", "medical", [profile.medical[0]], {"held_out_perplexity": 12.34, "tokens_seen": 5_000})
    summary = {"held_out_loss": float(np.log(1.5))}
    lora = make("full_vs_lora_sft", "medical-lora", [base, *profile.instructions["medical"]], summary)
    merged = make(
        "merge_and_chat", "medical-merged", [base, lora], {"same_answers": "5 of 5"}, name="merge_and_chat/merge"
    )
    header, text = card(merged)
    assert header == {"language": ["zh"], "license": "apache-2.0", "library_name": "transformers",
                      "pipeline_tag": "text-generation", "base_model": "medical"}  # fmt: skip
    model = merge_and_chat.load(merged)[0]
    assert f"| parameters | {model.num_parameters():,} |" in text
    assert (
        "12.34 (text) after pretraining/medical" in text and "1.50 (answers) after full_vs_lora_sft/medical-l" in text
    )
    assert '"tokens_seen": 5000' in text and '"learning_rate": 0.0006' in text and f"torch {torch.__version__}" in text
    assert f"`data/medical/finetune.jsonl`, SHA-256 `{artifacts.sha256(profile.instructions['medical'][0])}`" in text
    assert "Not medical advice" in text and "not known: the course's exam" in text
    assert "What came before" not in text


def test_a_card_names_no_place_of_this_machine(course, tmp_path):
    texts = [tmp_path / place / "mine.jsonl" for place in "ab"]
    for path in texts:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    header, text = card(course[1]("pretraining", "common", texts, {}))
    assert text.count("  - `mine.jsonl`") == 2 and str(tmp_path) not in text
    assert header["license"] == "unknown" and "What came before is not known" in text


def test_a_common_model_has_no_medical_notice_and_a_changed_base_is_not_known(course):
    profile, make = course
    base = make("pretraining", "common", [profile.baike[0]], {"held_out_perplexity": 9.0})
    tuned = make("full_vs_lora_sft", "common-full", [base], {})
    text = card(tuned)[1]
    assert "medical" not in text.lower() and "9.0 (text)" in text
    manifest = artifacts.read_manifest(base)
    (base / "note.txt").write_text("another")
    artifacts.write_json(base / "manifest.json", vars(manifest) | {"outputs": {"note.txt": "another"}})
    header, text = card(tuned, "--force")
    assert "9.0 (text)" not in text and "What came before is not known" in text and header["license"] == "unknown"


def test_a_folder_from_elsewhere_gets_a_card_of_what_can_be_seen(folder, tmp_path, monkeypatch):
    header, text = card(folder)
    assert header["license"] == "unknown" and "base_model" not in header
    assert text.count("not known") >= 5 and "| positions | 64 |" in text
    (folder / "README.md").write_text("mine")
    with pytest.raises(CourseError, match="README.md exists"):
        merge_and_chat.write_card(profiles.load("cpu-mini"), folder, folder / "README.md")
    assert (folder / "README.md").read_text() == "mine"


def test_a_folder_that_is_not_whole_gets_no_card_and_no_file(tokenizer_folder, tmp_path):
    save(tmp_path / "model", tokenizer_folder)
    with pytest.raises(CourseError, match="ends in .gguf"):
        exporting.export_gguf(tmp_path / "model", tmp_path / "model/model.safetensors", force=True)
    (tmp_path / "model/generation_config.json").write_text('{"do_sample": true, "temperature": "hot"}')
    with pytest.raises(CourseError, match="temperature: 'hot'"):
        exporting.export_gguf(tmp_path / "model", tmp_path / "out/x.gguf")
    (tmp_path / "model/model.safetensors").write_bytes(b"half")
    with pytest.raises(CourseError, match="model cannot be loaded"):
        merge_and_chat.write_card(profiles.load("cpu-mini"), tmp_path / "model", tmp_path / "out/x.md")
    assert not (tmp_path / "out").exists()


def test_a_card_shows_the_models_row_of_the_board(course, monkeypatch):
    profile, make = course
    tuned = make("full_vs_lora_sft", "common-full", [profile.baike[0]], {})
    monkeypatch.setattr(evaluation, "models", lambda profile: [("untrained", None, True), ("common full", tuned, True)])
    board = {"untrained": {"common seen new": 0.0}, "common full": {"common seen new": 0.876, "common declined": 0.02}}
    artifacts.build(profile.dir("merge_and_chat", "scoreboard"), stage="merge_and_chat/scoreboard", settings={},
                    make=lambda out: artifacts.write_json(out / "scoreboard.json", board), inputs=[tuned])  # fmt: skip
    text = card(tuned)[1]
    assert "| common seen new | 88 |" in text and "| common declined | 2 |" in text


@pytest.mark.trial
@pytest.mark.parametrize("tied", [True, False])
def test_llama_cpp_cuts_texts_and_answers_as_transformers_does(tokenizer_folder, tmp_path, tied):
    """20 prompts, greedy, 48 tokens each: the same. Random weights answer with a new word each time, where a small
    difference shows; llama.cpp's cache in f32, as f16 rounds."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="it is built from source: pip install '.[llama-cpp]'")
    shape = ModelShape(**vars(SHAPE) | {"max_position_embeddings": 256, "tie_word_embeddings": tied})
    save(tmp_path / "model", tokenizer_folder, shape)
    merge_and_chat.export_gguf(tmp_path / "model", tmp_path / "x.gguf")
    model, tokenizer = merge_and_chat.load(tmp_path / "model")
    cache = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32}
    elsewhere = llama_cpp.Llama(str(tmp_path / "x.gguf"), n_ctx=0, verbose=False, **cache)
    assert elsewhere.n_ctx() == 256
    asked = [json.loads(line)["question"] for line in data_text("evaluation.jsonl").splitlines()]
    signs, draw = sorted({sign for text in TEXTS + asked for sign in text}), random.Random(0)
    texts = [*TEXTS, *asked, *data_text("retain_en.txt").split()[:500]]
    texts += ["".join(draw.choices(signs, k=30)) for _ in range(500)]
    for text, ids in zip(texts, plain_ids(tokenizer, texts), strict=True):
        assert elsewhere.tokenize(text.encode(), special=False) == ids, text
    questions = asked[::60][:20]
    written = merge_and_chat.as_prompts(tokenizer, questions, chat=True)
    assert len(questions) == 20
    for text, prompt in zip(written, merge_and_chat.prompt_ids(tokenizer, questions, chat=True), strict=True):
        assert elsewhere.tokenize(text.encode(), special=True) == prompt
        ids = torch.tensor([prompt])
        answer = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48)[0]
        expected = answer[len(prompt) :].tolist()
        found = list(islice(elsewhere.generate(prompt, temp=0.0, repeat_penalty=1.0), len(expected)))
        assert found == expected, text
        assert len(set(expected)) > 20
