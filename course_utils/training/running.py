"""What pretraining and fine-tuning share: precision, Trainer settings, and a run that ends right or says what is wrong.

Training runs on the Hugging Face ``Trainer``, so several GPUs are ``torchrun`` with the same command. Checkpoints lie
in the stage's unfinished folder; ``artifacts.build`` hands the same folder to the next run of the same work.
"""

import gc
import importlib.util
import math
import os
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import artifacts, parameter_budgeting, processes
from ..errors import CourseError, Stopped
from ..parameter_budgeting import device_name, has_fast_bf16
from ..profiles import ModelShape, Training
from ..progress import say
from ..tokenizer_pruning import save_tokenizer
from . import checkpoints

if TYPE_CHECKING:
    from datasets import Dataset

SEED = 42
NEW_TOKENS = 300  # of an answer, where nobody says another number: the reference project's
CHECKPOINTS = "checkpoints"
SHARDED = "pytorch_model_fsdp.bin"  # in a checkpoint of FSDP
EVALUATION_TOKENS = 2_000_000  # of the held-out text, at most
EVALUATION_SHARE = 0.01  # of the time; reading without learning is a third of a step's work
EVALUATIONS = 8, 50  # in a training: enough for a curve, few enough to be cheap
LOG_ENTRIES = 60  # in a training, at least: a curve
WAIT = timedelta(days=7)  # for another process: one prepares the data while the others wait


def attention() -> str:
    """The faster attention for the device: short blocks on a CPU gain about a quarter from plain matrix products."""
    return "eager" if device_name() == "cpu" else "sdpa"


def load_model(folder: Path, *, bits: int = 0):
    """A trained Llama, to be asked or trained on; with ``bits`` 4 or 8 its linear layers are held in so many a weight,
    frozen. Raises CourseError where the package for that is missing, or the folder is not whole."""
    from transformers import AutoModelForCausalLM

    how = {"local_files_only": True, "use_safetensors": True, "attn_implementation": attention()}
    how |= {"trust_remote_code": False, "ignore_mismatched_sizes": True, "output_loading_info": True}
    if bits:
        if not importlib.util.find_spec("bitsandbytes"):
            raise CourseError(f"bits = {bits} needs the package bitsandbytes: install it, or set bits = 0")
        from transformers import BitsAndBytesConfig

        small = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
        small["bnb_4bit_compute_dtype"] = "bfloat16" if has_fast_bf16() else "float16"
        how["quantization_config"] = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8, **small)
    with quiet_libraries(), artifacts.whole(folder):
        model, told = AutoModelForCausalLM.from_pretrained(folder, **how)
    check_weights(model, folder, *(told[f"{kind}_keys"] for kind in ("missing", "unexpected", "mismatched")))
    return model


def check_weights(model, folder: Path, *strange: Iterable) -> None:
    """Raises CourseError where weights of a folder are not those of its config, which the libraries leave out or draw
    at random, or are no numbers."""
    if some := [str(name) for names in strange for name in names]:
        told = f"{len(some)} weights are missing, or not those of its config, {some[0]} for one"
    elif not all(weight.isfinite().all() for weight in model.parameters()):
        told = "some weights are infinite or no numbers (NaN)"
    else:
        return
    raise CourseError(f"{artifacts.shown(folder)} cannot be used: {told}: make it or fetch it again")


def precision(settings: Training) -> str:
    """'bf16', 'fp16' or 'fp32': what the settings ask for, 'auto' being the fastest that the device has. Raises
    CourseError for fp16 without a GPU."""
    if settings.precision == "auto":
        return "bf16" if has_fast_bf16() else "fp16" if device_name() == "cuda" else "fp32"
    if settings.precision == "fp16" and device_name() != "cuda":
        raise CourseError("precision = 'fp16' needs an NVIDIA GPU: take 'auto', 'bf16' or 'fp32'")
    return settings.precision


def arguments(folder: Path, settings: Training, *, total_steps: int, evaluations: int):
    """``TrainingArguments`` from a profile's settings. Deterministic: one seed for weights, order and dropout."""
    import torch
    import transformers

    kind, cuda, many = precision(settings), device_name() == "cuda", processes.world_size() > 1
    has_tf32 = cuda and torch.version.cuda and torch.cuda.get_device_capability()[0] >= 8
    sharded = settings.parallel == "fsdp" and many and device_name() != "cpu"
    if settings.parallel == "fsdp" and many and not sharded:
        say("accelerate shares a model in parts among GPUs alone: these processes train with ddp")
    made = transformers.TrainingArguments(
        output_dir=str(folder / CHECKPOINTS), save_strategy="steps", save_steps=10**9,  # the clock decides
        per_device_train_batch_size=settings.batch_size, per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps, num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate, lr_scheduler_type=settings.schedule,
        warmup_steps=max(1, round(settings.warmup_fraction * total_steps)), max_grad_norm=1.0,
        use_cpu=device_name() == "cpu", bf16=kind == "bf16", fp16=kind == "fp16", dataloader_pin_memory=cuda,
        tf32=settings.tf32 if has_tf32 else None, torch_compile=settings.torch_compile,
        eval_strategy="steps", eval_steps=-(-total_steps // evaluations), prediction_loss_only=True,
        logging_steps=max(1, total_steps // LOG_ENTRIES), logging_nan_inf_filter=False,
        report_to=reporters(settings), run_name=folder.name,
        disable_tqdm=True, seed=settings.seed, data_seed=settings.seed, remove_unused_columns=False,
        neftune_noise_alpha=getattr(settings, "neftune_alpha", 0) or None,
        ddp_timeout=int(WAIT.total_seconds()), ddp_find_unused_parameters=False if many else None,
        fsdp=sharded or None,
        fsdp_config={"transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]} if sharded else None,
    )  # fmt: skip
    made._n_gpu = min(made.n_gpu, 1)  # several GPUs are torchrun's; DataParallel would train N times the batch in fp32
    return made


def reporters(settings: Training) -> list[str]:
    """The Trainer's ``report_to``. Raises CourseError for one whose package is missing; TensorBoard, which nobody asked
    for, is left out with a line."""
    from transformers.integrations import get_available_reporting_integrations

    name = settings.report_to
    if name == "none" or not processes.is_main():
        return []
    if name == "tensorboard":
        try:
            import torch.utils.tensorboard  # noqa: F401  found is not yet importable
        except ImportError:
            say("no TensorBoard: the log alone is written (`pip install tensorboard` brings it)")
            return []
    if name in get_available_reporting_integrations():
        return [name]
    raise CourseError(f"report_to = {name!r} needs the package {name}: install it, or take 'tensorboard' or 'none'")


@contextmanager
def left_as_found() -> Iterator[None]:
    """Within this context training and the libraries may change what belongs to the process: seeds, the environment,
    precision of products, verbosity and warnings. After it they are as before."""
    import torch
    from accelerate.state import AcceleratorState, GradientState

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(torch.backends, "fp32_precision"):  # torch 2.9; to ask by the old name as well is an error there
        flag, places = "fp32_precision", (torch.backends, matmul, cudnn.conv, cudnn.rnn)
    else:
        flag, places = "allow_tf32", (matmul, cudnn)
    products = [getattr(place, flag) for place in places]
    environment, numbers = dict(os.environ), (random.getstate(), np.random.get_state())
    with torch.random.fork_rng(range(torch.cuda.device_count())), quiet_libraries():
        try:
            yield
        finally:
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)
            random.setstate(numbers[0])
            np.random.set_state(numbers[1])
            for place, value in zip(places, products, strict=True):
                setattr(place, flag, value)
            AcceleratorState._reset_state()  # else the next training would have the precision of this one
            GradientState._reset_state()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within this context nothing is shown that tells a learner nothing: bars that count a small file's tensors,
    chatter about defaults, and three warnings of PEFT 0.21 (transformers' old name of an attribute; a base sought where
    the adapter does not say; missing weights, which ``check_weights`` refuses)."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            for text, kind in (("`is_gradient_checkpointing` is deprecated", FutureWarning),
                               ("Could not find a config file", UserWarning),
                               ("Found missing adapter keys", UserWarning)):  # fmt: skip
                warnings.filterwarnings("ignore", message=text, category=kind)
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def together():
    """Wait for the other processes of this training, if `torchrun` or `accelerate launch` started any. -> accelerate's
    ``PartialState``, whose ``main_process_first()`` is a context."""
    from accelerate import PartialState

    state = PartialState(cpu=device_name() == "cpu", timeout=WAIT)
    state.wait_for_everyone()
    return state


def batch(settings: Training) -> int:
    """Examples that one optimizer step sees, in all processes together."""
    return settings.batch_size * settings.gradient_accumulation_steps


def steps_in(examples: int, settings: Training) -> int:
    """Optimizer steps of a whole training."""
    return max(1, math.ceil(-(-examples // batch(settings)) * settings.epochs))


def shared(settings: Training, at_most: int | None = None) -> Training:
    """The settings for each of the processes that share one batch, ``at_most`` so many examples at a time: the product
    of processes, batch size and accumulation stays. Raises CourseError where the batch cannot be shared evenly."""
    whole, count = batch(settings), processes.world_size()
    if whole % count:
        raise CourseError(f"{count} processes cannot share a batch of {whole}: start a number that divides it")
    size = max(n for n in range(1, (at_most or settings.batch_size) + 1) if whole // count % n == 0)
    return replace(settings, batch_size=size, gradient_accumulation_steps=whole // count // size)


def evaluations(tokens: float, held_out: int, block: float) -> tuple[int, int]:
    """-> (evaluations in a training of ``tokens`` tokens, held-out examples of ``block`` tokens that each reads), so
    that they cost ``EVALUATION_SHARE`` of the time."""
    affordable = 3 * EVALUATION_SHARE * tokens
    most = min(held_out * block, EVALUATION_TOKENS)
    count = int(min(max(affordable // most, EVALUATIONS[0]), EVALUATIONS[1]))
    return count, max(1, min(held_out, int(min(most, affordable / count) // block)))


def train(
    model, tokenizer, rows: "Dataset", held_out: "Dataset", settings: Training, folder: Path,
    *, title: str, tokens: float, collate: Callable, prompt: Sequence[int] = (), sampling: str = "random",
) -> float:  # fmt: skip
    """Train to the end, from the newest whole checkpoint in ``folder`` if a stopped run left one. -> held-out loss,
    nats a token, the mean of its examples. ``tokens`` is how many the model will see, all epochs; the sample texts go
    on from ``prompt``.

    The main process writes model or adapter (safetensors) and tokenizer; ``monitoring`` says what the log holds. Where
    one process trains, a micro-batch that does not fit the memory is halved, and the batch of a step stays. Raises
    Stopped after Ctrl-C or SIGTERM, when all is saved, and CourseError where the loss is no number, or the disk or
    memory too small.
    """
    from . import monitoring

    if not len(rows) or not len(held_out):
        raise CourseError(f"{title}: there is nothing to train on, or nothing to hold out: name a file with more")
    run = _Run(model, tokenizer, rows, held_out, settings, folder, title, tokens, collate, list(prompt), sampling)
    with left_as_found(), monitoring.asked_to_stop() as stop:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / artifacts.LOGS)  # the Trainer asks for it
        say(f"{title}: the log grows in {artifacts.shown(folder / artifacts.LOGS)}")
        split = shared(settings)
        while not (trainer := run(split, stop)):
            split = run.halved(split)
        state = trainer.state
        if state.global_step >= state.max_steps:
            run.save(trainer)
        if stop.signal:
            raise Stopped(
                f"{title}: stopped by {stop.name} at step {state.global_step:,} of {state.max_steps:,}; all is saved, "
                "and the same command goes on from there", 128 + stop.signal,
            )  # fmt: skip
    gc.collect()  # Windows cannot move a folder while something in it is open
    return [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry][-1]


@dataclass
class _Run:
    """What stays the same when a training is begun again with smaller micro-batches."""

    model: object
    tokenizer: object
    rows: "Dataset"
    held_out: "Dataset"
    settings: Training
    folder: Path
    title: str
    tokens: float
    collate: Callable
    prompt: list[int]
    sampling: str

    def __call__(self, split: Training, stop):
        """Train with ``split`` of the batch. -> the trainer when it has come to the end or was told to stop, None when
        memory did not suffice; what it had learned is in a checkpoint."""
        from . import losses

        place, enough = self.folder / CHECKPOINTS, False
        plain = split.loss == "plain"
        with nullcontext() if plain else losses.without_logits(self.model, split.loss):
            with together().main_process_first():  # it sets damaged ones aside
                place.mkdir(parents=True, exist_ok=True)
                start = checkpoints.newest(place)
            trainer = self.trainer(split, stop, checkpoints.step_of(start) if start else 0)
            checkpoints.check_room(place, trainer.checkpoint_bytes())
            if start and (start / SHARDED).exists() != bool(trainer.is_fsdp_enabled):
                raise CourseError(
                    f"{self.title}: its checkpoints are of the other kind of `parallel`: set that again in "
                    "profiles.toml, or begin anew after `course clean --all`"
                )
            try:
                if start and checkpoints.step_of(start) >= trainer.watch.total and not trainer.is_fsdp_enabled:
                    trainer.take_as_finished(start)
                else:
                    trainer.train(resume_from_checkpoint=str(start) if start else None)
                enough = True
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            finally:
                trainer.watch.close()
                trainer.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
            if not enough:  # out here the error has let go of the tensors
                self.keep(trainer)
        return trainer if enough else None

    def trainer(self, split: Training, stop, step: int):
        from transformers import PrinterCallback

        from .monitoring import Log, Meter, Watch
        from .trainer import CourseTrainer

        block = self.tokens / self.settings.epochs / len(self.rows)
        count, sample = evaluations(self.tokens, len(self.held_out), block)
        held_out = self.held_out.select(np.linspace(0, len(self.held_out) - 1, sample).round().astype(int))
        steps = steps_in(len(self.rows), self.settings)
        args = arguments(self.folder, split, total_steps=steps, evaluations=count)
        args.train_sampling_strategy = self.sampling
        if split.gradient_checkpointing:
            _recompute_activations(self.model)
        watch = Watch(self.title, steps, stop, split.save_minutes)
        meter = Meter(self.tokens / steps, _flops_per_token(self.model, block), _device_flops(), step)
        trainer = CourseTrainer(
            model=self.model, args=args, train_dataset=self.rows, eval_dataset=held_out, data_collator=self.collate,
            callbacks=[watch], settings=split, whole_batch=batch(self.settings), title=self.title,
            prompt=self.prompt, tokenizer=self.tokenizer, meter=meter, log=Log(self.folder / artifacts.LOGS, step),
        )  # fmt: skip
        trainer.watch = watch
        trainer.remove_callback(PrinterCallback)  # the progress line shows the loss
        return trainer

    def keep(self, trainer) -> None:
        """Save what was learned before memory ran out. Weights that the optimizer was just changing are of no use: then
        the run goes on from the newest checkpoint."""
        import torch
        from accelerate.state import GradientState

        trainer.model.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        start = checkpoints.newest(self.folder / CHECKPOINTS)
        size = trainer.args.per_device_train_batch_size
        if processes.world_size() > 1 or size == 1 or (trainer.stepping and not start):
            raise CourseError(
                f"{self.title}: out of memory with {size} examples at a time. Set "
                "a smaller batch_size and a larger gradient_accumulation_steps, loss = 'chunked' or "
                "gradient_checkpointing = true in profiles.toml; the run goes on from its last checkpoint"
            )
        if trainer.state.global_step > (checkpoints.step_of(start) if start else 0) and not trainer.stepping:
            trainer._save_checkpoint(trainer.model, None)
        GradientState._reset_state()  # it still holds the reader of the run that has ended

    def halved(self, split: Training) -> Training:
        import torch

        gc.collect()  # the trainer that is gone held the optimizer's states
        torch.cuda.empty_cache()
        small = shared(self.settings, split.batch_size // 2)
        say(f"{self.title}: out of memory with {split.batch_size} examples at a time: goes on with {small.batch_size}, "
            f"accumulated {small.gradient_accumulation_steps} times; a step still sees {batch(self.settings)}. "
            f"batch_size = {small.batch_size} in profiles.toml saves the attempt")  # fmt: skip
        return small

    def save(self, trainer) -> None:
        """Write the model and its tokenizer; of a model in parts all processes give theirs."""
        state = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
        if processes.is_main():
            size = 4 * sum(weight.numel() for weight in self.model.parameters())
            with checkpoints.to_disk(self.folder / CHECKPOINTS, "the model", size):
                self.model.generation_config.max_new_tokens = NEW_TOKENS
                self.model.save_pretrained(self.folder, state_dict=state)
                save_tokenizer(self.tokenizer, self.folder)


def _is_out_of_memory(error: Exception) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, MemoryError) or "out of memory" in str(error) or should_reduce_batch_size(error)


def _recompute_activations(model) -> None:
    """Gradient checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174) by the library's old or new name."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _flops_per_token(model, block: float) -> float:
    config = model.config
    shape = ModelShape(**{field.name: getattr(config, field.name) for field in fields(ModelShape)})
    flops = parameter_budgeting.flops_per_token(shape, config.vocab_size, block)
    # A frozen matrix needs no gradient of its own: of forward, backward to its input and to itself two are left.
    return flops * 2 / 3 if hasattr(model, "peft_config") else flops


def _device_flops() -> float:
    """Of all processes' devices together, as a product of matrices reaches it."""
    import torch

    cuda = device_name() == "cuda"
    flops = processes.world_size() * parameter_budgeting.measure_matmul_flops(*((8192, 8) if cuda else (1024, 24)))
    if cuda:  # the matrices are no part of the training's peak
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return flops


def read_log(folder: Path) -> list[dict]:
    """The log of a finished training; ``monitoring`` says what is in an entry."""
    from . import monitoring

    return monitoring.read(folder / artifacts.LOGS / monitoring.LOG)
