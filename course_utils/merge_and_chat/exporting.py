"""One file for llama.cpp and Ollama: a Llama with its vocabulary and chat template as GGUF.

In comes the folder of a model; out come ``NAME.gguf`` and a ``Modelfile``, which tells Ollama how to ask it. The file
is read back and held against the model before it is kept. Format and names of tensors:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

The one idea: llama.cpp merges pieces as SentencePiece does, best score first, and the folder's fast tokenizer has the
merges of the pruned SentencePiece model in that order. So a piece's score is minus the rank of the first merge that
makes it. Cost: the model twice in memory, and a disk's time.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import artifacts
from ..errors import CourseError
from ..tokenizer_pruning import bare
from .generation import ADAPTER, Sampling, load

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("f32", "f16")
BYTE = re.compile("<0x[0-9A-F]{2}>")
# Marks for the loss in a template; programs other than `transformers` may not know them.
GENERATION = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")
# What the pieces of a text are made of: spaces become ▁, and nothing else changes.
SPACES_ONLY = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def export_gguf(folder: Path, out: Path, *, dtype: str = "f32", force: bool = False) -> dict[str, int]:
    """Write a Llama as one GGUF file and a ``Modelfile`` beside it. -> numbers of tensors, pieces and bytes.

    ``dtype`` is f32, or f16 for the matrices. Raises CourseError for an adapter, a model or a tokenizer that llama.cpp
    would read otherwise, and where a file exists (unless ``force``)."""
    import gguf
    import numpy as np

    if out.suffix != ".gguf":
        raise CourseError(f"{out}: the name of the file ends in .gguf, as llama.cpp and Ollama want it")
    modelfile, name = out.with_name("Modelfile"), artifacts.shown(folder)
    if dtype not in DTYPES:
        raise CourseError(f"unknown dtype {dtype!r}: choose {' or '.join(DTYPES)}")
    for path in (out, modelfile):
        artifacts.check_new(path, force)
    model, tokenizer = load_whole(folder)
    fields, tensors = hyperparameters(model.config, name), {}
    for key, array, heads in weights(model, name):
        kind = np.float16 if dtype == "f16" and array.ndim > 1 else np.float32
        tensors[key] = (paired(array, heads) if heads else array).astype(kind)
    vocabulary, template = pieces(tokenizer, name), ollama_template(tokenizer, name)
    told = _modelfile(out.name, template, model, tokenizer)  # before anything is written: it may refuse
    if len(vocabulary) != model.config.vocab_size:
        raise CourseError(f"{name}: {len(vocabulary):,} pieces for {model.config.vocab_size:,} rows of the vocabulary")
    partial = out.with_name(f".{out.name}.partial")
    with artifacts.lock(out):
        for path in (out, modelfile):  # once more: another run may have written them meanwhile
            artifacts.check_new(path, force)
        writer = gguf.GGUFWriter(partial, "llama")
        writer.add_name(folder.resolve().name)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32 if dtype == "f32" else gguf.LlamaFileType.MOSTLY_F16)
        try:
            _write(writer, fields, tensors, tokenizer, vocabulary)
            if not is_same(partial, model, vocabulary):
                raise CourseError(f"{name}: the file reads back otherwise than it was written: it was not kept")
            artifacts.sync(partial)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
        artifacts.write_text(modelfile, told)
    return {"tensors": len(tensors), "pieces": len(vocabulary), "bytes": out.stat().st_size}


def load_whole(folder: Path):
    """-> (model, tokenizer) of a folder. Raises CourseError for one that holds an adapter, or no model."""
    if (folder / ADAPTER).is_file():
        name = artifacts.shown(folder)
        raise CourseError(f"{name} is an adapter: merge it first (course merge-lora), and export the merged model")
    return load(folder)


def hyperparameters(config, name: str) -> dict[str, int | float]:
    """The shape of a Llama under GGUF's names (llama.*). Raises CourseError for another kind of model, or positions
    that are scaled."""
    if config.model_type != "llama":
        raise CourseError(f"{name} is a {config.model_type} model: only a Llama can be exported")
    rope = config.rope_parameters
    if rope["rope_type"] != "default":
        raise CourseError(f"{name} has positions of type {rope['rope_type']}: only plain ones can be exported")
    return {
        "context_length": config.max_position_embeddings, "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers, "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads, "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_dim, "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.dimension_count": config.head_dim, "rope.freq_base": float(rope["rope_theta"]),
        "vocab_size": config.vocab_size,
    }  # fmt: skip


def weights(model, name: str) -> Iterator[tuple[str, "np.ndarray", int]]:
    """Each weight of a Llama once, a tied output table not at all: (its name in GGUF, its values in f32, the number of
    heads in q and k, 0 for others). Raises CourseError for a weight that a plain Llama does not have."""
    import gguf

    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue  # llama.cpp takes the input table where there is no other
        if not key.endswith(".weight") or (found := names.get_name(key, (".weight",))) is None:
            raise CourseError(f"{name} has {key}, which is no weight of a plain Llama: it cannot be exported")
        yield found, tensor.float().cpu().numpy(), heads.get(key.split(".")[-2], 0)


def paired(rows: "np.ndarray", heads: int) -> "np.ndarray":
    """The rows of q or k ``(heads × head_dim, hidden)`` in llama.cpp's order. A rotary embedding turns pairs of rows:
    i and i + head_dim/2 of a head in `transformers`, 2i and 2i + 1 in llama.cpp (``LlamaModel.permute`` of its
    convert_hf_to_gguf.py)."""
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def halved(rows: "np.ndarray", heads: int) -> "np.ndarray":
    """What undoes ``paired``."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def pieces(tokenizer, name: str) -> list[tuple[str, float, int]]:
    """The vocabulary by id: (text, score, type of SentencePiece). Raises CourseError for a tokenizer that llama.cpp
    would not follow: not BPE with byte pieces, or one that changes texts."""
    from gguf import TokenType

    rust = json.loads(bare(tokenizer).to_str())
    model, steps = rust["model"], rust["normalizer"] or {}
    plain = model["type"] == "BPE" and steps.get("normalizers", [steps]) == [SPACES_ONLY] and not rust["pre_tokenizer"]
    if not plain or sum(BYTE.fullmatch(text) is not None for text in model["vocab"]) != 256:
        raise CourseError(
            f"{name}: llama.cpp would cut texts otherwise than its tokenizer, which is no plain SentencePiece BPE with "
            "byte pieces: it cannot be exported"
        )
    scores = {}
    for rank, (left, right) in enumerate(model["merges"]):
        scores.setdefault(left + right, -float(rank))
    added, table = tokenizer.added_tokens_decoder, []
    for text, i in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        kind = TokenType.BYTE if BYTE.fullmatch(text) else TokenType.NORMAL
        if i in added:
            kind = TokenType.CONTROL if added[i].special else TokenType.USER_DEFINED
            text = text.replace("▁", " ")  # looked for before spaces become ▁
        kind = TokenType.UNKNOWN if i == tokenizer.unk_token_id else kind
        # No merge makes a character, a byte or a mark: the score is never looked at.
        table.append((text, scores.get(text, 0.0), int(kind)))
    return table


def _write(writer, fields: dict, tensors: dict, tokenizer, vocabulary: list[tuple[str, float, int]]) -> None:
    for key, value in fields.items():
        (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(f"llama.{key}", value)
    texts, scores, types = zip(*vocabulary, strict=True)
    writer.add_tokenizer_model("llama")  # SentencePiece BPE
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    for mark in ("bos", "eos", "unk", "pad"):
        if (i := getattr(tokenizer, f"{mark}_token_id")) is not None:
            getattr(writer, f"add_{mark}_token_id")(i)
    around = bare(tokenizer).encode("").ids  # of the course's tokenizers nothing: the template writes the marks
    writer.add_add_bos_token(tokenizer.bos_token_id in around)
    writer.add_add_eos_token(tokenizer.eos_token_id in around)
    writer.add_add_space_prefix(False)
    writer.add_remove_extra_whitespaces(False)
    writer.add_chat_template(GENERATION.sub("", tokenizer.chat_template))
    for key, tensor in tensors.items():
        writer.add_tensor(key, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def is_same(path: Path, model, vocabulary: list[tuple[str, float, int]]) -> bool:
    """Whether a GGUF file holds each weight of the model, as its type can hold it, no other, and the vocabulary."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(path)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    for key, array, heads in weights(model, path.name):
        stored = found.pop(key)
        if not np.array_equal(halved(stored, heads) if heads else stored, array.astype(stored.dtype)):
            return False
    told = (reader.fields[f"tokenizer.ggml.{part}"].contents() for part in ("tokens", "scores", "token_type"))
    return not found and list(zip(*told, strict=True)) == vocabulary


def ollama_template(tokenizer, name: str) -> str:
    """The chat template in Go's syntax, as Ollama reads it (https://docs.ollama.com/modelfile): what the tokenizer's
    own template writes for a turn of each role. Raises CourseError where a turn depends on others."""
    from jinja2 import TemplateError

    roles = ("system", "user", "assistant")

    def rendered(*turns: str, reply: bool = False) -> str:
        chat = [{"role": role, "content": "{{ .Content }}"} for role in turns]
        return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=reply)

    chat = (*roles, *roles[1:], "user")
    with suppress(ValueError, TemplateError):  # there is none, or it refuses turns in this order
        first = rendered("user")
        turns = {role: rendered("user", role).removeprefix(first) for role in roles}
        head, reply = first.removesuffix(turns["user"]), rendered("user", reply=True).removeprefix(first)
        if rendered(*chat, reply=True) == head + "".join(turns[role] for role in chat) + reply:
            cases = "{{ else ".join(f'if eq .Role "{role}" }}}}{text}' for role, text in turns.items())
            return f"{head}{{{{ range .Messages }}}}{{{{ {cases}{{{{ end }}}}{{{{ end }}}}{reply}"
    raise CourseError(f"{name} has no chat template that writes a turn the same after all others: Ollama needs one")


def _modelfile(file: str, template: str, model, tokenizer) -> str:
    """The lines that tell Ollama how to ask: an answer is found as the model's generation_config.json says."""
    how = Sampling.of(model)
    parameters = {
        "num_ctx": model.config.max_position_embeddings, "num_predict": how.max_new_tokens,
        "temperature": how.temperature, "top_p": how.top_p, "repeat_penalty": how.repetition_penalty,
    }  # fmt: skip
    begins = (tokenizer.unk_token, tokenizer.bos_token, tokenizer.pad_token)
    marks = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    lines = [f"FROM ./{file}", f'TEMPLATE """{template}"""']
    lines += [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    return "\n".join(lines + [f'PARAMETER stop "{mark}"' for mark in marks if mark not in begins]) + "\n"
