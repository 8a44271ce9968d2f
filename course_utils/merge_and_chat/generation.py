"""Let models answer: greedy, by beam search or drawn at random, for lists of questions and as a stream for a chat.

In comes the folder of a model, or of an adapter beside its base; out come texts. Questions are batched by length, and
no answer goes on beyond the positions that the model was made for.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from .. import artifacts
from ..corpora import reading
from ..errors import CourseError
from ..parameter_budgeting import device_name
from ..tokenizer_pruning import encode_chats, load_tokenizer, plain_ids
from ..training import adapters
from ..training.full_vs_lora_sft import conversation
from ..training.running import NEW_TOKENS, check_weights, load_model, quiet_libraries

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SMALLEST, MOST_BEAMS = 1e-6, 100  # what scores are divided by: less gives infinities; each beam is an answer in memory


@dataclass(frozen=True)
class Sampling:
    """How an answer is found. Raises CourseError for values that make no sense.

    ``temperature`` 0 takes the likeliest token each time (greedy), or searches with ``beams``. Above 0 tokens are
    drawn, of the likeliest that make up ``top_p`` (nucleus sampling, Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751). ``repetition_penalty`` divides the scores of tokens that the question or the
    answer has already (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); 1 is none, the reference project takes
    1.4.
    """

    max_new_tokens: int = NEW_TOKENS
    temperature: float = 0.0
    top_p: float = 1.0
    beams: int = 1
    repetition_penalty: float = 1.0
    seed: int = 42

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, (int, type(field.default))) or not -(2**63) <= value < 2**63:  # nor NaN
                raise CourseError(f"{field.name}: {value!r} is no number that can be counted with")
        if self.max_new_tokens < 1 or not 1 <= self.beams <= MOST_BEAMS:
            raise CourseError(f"an answer has at least one token, and a search 1 to {MOST_BEAMS} beams")
        if 0 != self.temperature < SMALLEST or not 0 < self.top_p <= 1 or self.repetition_penalty < SMALLEST:
            least = f"temperature is 0 or at least {SMALLEST}, repetition_penalty at least {SMALLEST}"
            raise CourseError(f"{least}, top_p above 0 and at most 1")
        if self.temperature and self.beams > 1:
            raise CourseError("tokens are drawn (temperature above 0) or searched for (several beams), not both")

    @classmethod
    def of(cls, model, **given) -> "Sampling":
        """What is given and not None, else what the model's ``generation_config.json`` says, else the defaults."""
        config, names = model.generation_config, {"beams": "num_beams"}
        told = {field.name: getattr(config, names.get(field.name, field.name), None) for field in fields(cls)}
        if not config.do_sample:
            told |= {"temperature": None, "top_p": None}
        told |= {name: value for name, value in given.items() if value is not None}
        return cls(**{name: value for name, value in told.items() if value is not None})

    @property
    def options(self) -> dict:
        """The arguments of ``model.generate``, but for the number of new tokens. It refuses whole numbers, such as a
        temperature of 1 in JSON, where a float belongs."""
        drawn = {"do_sample": True, "temperature": float(self.temperature), "top_p": float(self.top_p), "top_k": 0}
        how = drawn if self.temperature else {"do_sample": False}
        return {"num_beams": self.beams, "repetition_penalty": float(self.repetition_penalty), **how}


def load(folder: Path):
    """-> (model in evaluation mode, tokenizer) of a model folder, or of an adapter folder with its base. Loads
    safetensors from local files alone. Raises CourseError when the folder holds no model, or an adapter whose base is
    not the one it was trained on."""
    base = base_of(folder)
    if base != folder:
        adapters.check(folder, base)
    model = load_model(base) if base == folder else with_adapter(load_model(base), folder)
    tokenizer = load_tokenizer(folder)
    if tokenizer.eos_token is None:
        raise CourseError(f"{artifacts.shown(folder)}: its tokenizer has no end-of-text token: no answer would end")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise CourseError(f"{artifacts.shown(folder)}: its tokenizer has more tokens than the model: it is of another")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token  # many of others have none
    return model.to(device_name()).eval(), tokenizer


def with_adapter(model, folder: Path):
    """A model with the adapter of a folder beside its weights. Raises CourseError where that is not whole, or not in
    safetensors: PEFT would read a pickle, which may hold a program."""
    from peft import PeftModel

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise CourseError(f"{artifacts.shown(folder)} holds no adapter's weights: it should contain {ADAPTER_WEIGHTS}")
    with quiet_libraries(), artifacts.whole(folder):
        model = PeftModel.from_pretrained(model, folder, local_files_only=True)
        told = model.load_adapter(folder, "default", local_files_only=True)  # the first time it does not tell
    check_weights(model, folder, told.missing_keys, told.unexpected_keys)
    return model


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter is added to; of a model, its own. Raises CourseError where there is no
    such model."""
    adapter, name = folder / ADAPTER, artifacts.shown(folder)
    if not adapter.is_file() and not (folder / "config.json").is_file():
        raise CourseError(f"{name} holds no model: name the folder of a trained model or adapter")
    with artifacts.whole(folder):
        base = folder / json.loads(adapter.read_bytes())["base_model_name_or_path"] if adapter.is_file() else folder
    if not (base / "config.json").is_file():
        raise CourseError(f"{name}: its base model {artifacts.shown(base)} is missing: pretrain it again")
    if not any(folder.glob("tokenizer*")):
        raise CourseError(f"{name} holds no tokenizer: copy its tokenizer's files there")
    return base


def as_prompts(tokenizer, questions: Sequence[str | list[dict]], chat: bool) -> list[str]:
    """Prompts in the chat template, to be read; a question may be a text, or a conversation that ends with the user. A
    base model never learned to chat: it gets the bare question behind what stands between two documents of its
    training, the end-of-text token; it has met no other beginning."""
    if not chat:
        return [tokenizer.eos_token + (q if isinstance(q, str) else q[-1]["content"]) for q in questions]
    how = {"tokenize": False, "add_generation_prompt": True}
    return [tokenizer.apply_chat_template(_turns(question), **how) for question in questions]


def prompt_ids(tokenizer, questions: Sequence[str | list[dict]], chat: bool) -> list[list[int]]:
    """The ids of the same prompts; what people write is text in them, even where it looks like a mark."""
    if chat:
        return [asked.ids for asked in encode_chats(tokenizer, list(map(_turns, questions)), reply=True)]
    texts = [reading.LONE.sub("\ufffd", q if isinstance(q, str) else q[-1]["content"]) for q in questions]
    return [[tokenizer.eos_token_id, *ids] for ids in plain_ids(tokenizer, texts)]


def _turns(question: str | list[dict]) -> list[dict]:
    return conversation(question) if isinstance(question, str) else question


def room(model, prompt: Sequence[int], sampling: Sampling) -> int:
    """How many tokens an answer to a prompt may have. Raises CourseError where the prompt leaves no place for one."""
    positions = model.config.max_position_embeddings
    if not prompt:
        raise CourseError("the chat template writes nothing: there is no prompt to answer")
    if len(prompt) >= positions:
        raise CourseError(
            f"a prompt of {len(prompt):,} tokens is too long: the model reads {positions:,} with its answer"
        )
    return min(sampling.max_new_tokens, positions - len(prompt))


def _batch(model, tokenizer, prompts: list[list[int]]) -> dict:
    """Prompts padded on the left, so that each ends where its answer begins: int64 ``(prompts, longest)``."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), tokenizer.pad_token_id)
    for row, prompt in zip(ids, prompts, strict=True):
        row[longest - len(prompt) :] = torch.tensor(prompt)
    lengths = torch.tensor([[len(prompt)] for prompt in prompts])
    mask = (torch.arange(longest) >= longest - lengths).long()
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device), **ends}


@contextmanager
def _drawing(model, sampling: Sampling) -> Iterator[None]:
    """Within this context tokens are drawn from the seed; the process' own random numbers are as before after it."""
    import torch

    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(sampling.seed)
        with quiet_libraries():
            yield


def answer(
    model, tokenizer, questions: Sequence[str | list[dict]], *, chat: bool = True, batch_size: int = 128, **settings
) -> list[str]:
    """The model's answers, in the asked order. ``settings`` are those of ``Sampling``; what is not given, the model's
    ``generation_config.json`` says. Raises CourseError for a question that is longer than the model can read."""
    return [text for text, _ in answer_with_ids(model, tokenizer, questions, chat, batch_size, **settings)]


def answer_with_ids(
    model, tokenizer, questions: Sequence[str | list[dict]], chat: bool, batch_size: int = 128, **settings
) -> list[tuple[str, list[int]]]:
    """The same answers, each with its ids: they end with the end-of-text token, unless the limit cut them off."""
    sampling, prompts = Sampling.of(model, **settings), prompt_ids(tokenizer, questions, chat)
    limits = [room(model, prompt, sampling) for prompt in prompts]
    order, answers = sorted(range(len(prompts)), key=lambda i: len(prompts[i])), [[]] * len(prompts)
    while order:
        limit = limits[order[0]]  # the longer the prompt, the less room: those of one limit stand together
        rows = [i for i in order[:batch_size] if limits[i] == limit]  # none goes on beyond the model's positions
        del order[: len(rows)]
        batch = _batch(model, tokenizer, [prompts[i] for i in rows])
        with _drawing(model, sampling):
            ids = model.generate(**batch, **sampling.options, max_new_tokens=limit)[:, batch["input_ids"].shape[1] :]
        for i, row in zip(rows, ids.tolist(), strict=True):
            end = row.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in row else len(row)
            answers[i] = row[:end]
    return [(tokenizer.decode(ids, skip_special_tokens=True).strip(), ids) for ids in answers]


def streamed(model, **settings) -> Sampling:
    """How a streamed answer is found: with one beam, whatever the model's own settings say of beams. Raises CourseError
    where more are asked for."""
    sampling = Sampling.of(model, **{"beams": 1, **settings})
    if sampling.beams > 1:
        raise CourseError("a search with beams knows its answer only at the end: stream with one beam")
    return sampling


def stream_answer(
    model, tokenizer, question: str | list[dict], *, ids: list[int] | None = None, **settings
) -> Iterator[str]:
    """The answer, piece by piece as it is generated; whoever stops listening stops the model. ``ids`` becomes the
    answer's tokens, with the end mark if it came to it."""
    from threading import Event, Thread

    from transformers import StoppingCriteriaList, TextIteratorStreamer

    sampling = streamed(model, **settings)
    (prompt,), left, failure = prompt_ids(tokenizer, [question], chat=True), Event(), []
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    asked = {**_batch(model, tokenizer, [prompt]), **sampling.options, "max_new_tokens": room(model, prompt, sampling)}

    def stops(so_far, scores, **_) -> bool:
        if ids is not None:
            ids[:] = so_far[0, len(prompt) :].tolist()
        return left.is_set()

    asked["stopping_criteria"] = StoppingCriteriaList([stops])

    def work() -> None:
        try:
            with _drawing(model, sampling):
                model.generate(**asked, streamer=streamer)
        except Exception as error:  # shown where the answer is read
            failure.append(error)
            streamer.end()

    worker = Thread(target=work, daemon=True)
    worker.start()
    try:
        yield from filter(None, streamer)
    finally:
        left.set()
        worker.join()
    if failure:
        raise failure[0]


def longest_seen(folder: Path) -> int | None:
    """Tokens of the longest conversation that a fine-tuned model of the course was trained on, if its folder says."""
    manifest = artifacts.read_manifest(folder)
    return manifest.summary.get("longest_conversation") if manifest else None


def system_turn(text: str) -> list[dict]:
    """The beginning of a conversation under a system turn; without a text, of one without."""
    return [{"role": "system", "content": text}] if text else []
