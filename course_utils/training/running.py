"""What pretraining and fine-tuning share: precision, Trainer settings, progress, and going on after a kill.

Training runs on the Hugging Face ``Trainer``, so several GPUs are ``torchrun`` with the same command. Checkpoints lie
in the stage's unfinished folder; ``artifacts.build`` hands the same folder to the next run of the same work.
"""

import json
import os
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..parameter_budgeting import device_name, has_fast_bf16
from ..progress import Line

if TYPE_CHECKING:
    from datasets import Dataset

SEED = 42
LOG = "log.json"
CHECKPOINTS = "checkpoints"


def attention() -> str:
    """The faster attention for the device: short blocks on a CPU gain about a quarter from plain matrix products."""
    return "eager" if device_name() == "cpu" else "sdpa"


def arguments(folder: Path, settings, *, total_steps: int, evaluations: int):
    """``TrainingArguments`` from a profile's settings. Deterministic: one seed for weights, order and dropout."""
    import transformers

    hush_libraries()  # our progress line shows more
    cuda, bf16 = device_name() == "cuda", has_fast_bf16()
    return transformers.TrainingArguments(
        output_dir=str(folder / CHECKPOINTS), save_strategy="steps", save_total_limit=2,
        save_steps=10**9,  # the clock decides, see progress()
        per_device_train_batch_size=settings.batch_size, per_device_eval_batch_size=2 * settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps, num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate, lr_scheduler_type="cosine",
        warmup_steps=max(1, round(settings.warmup_fraction * total_steps)),
        optim="adamw_torch_fused", weight_decay=settings.weight_decay, adam_beta2=0.95, max_grad_norm=1.0,
        use_cpu=device_name() == "cpu", bf16=bf16, fp16=cuda and not bf16, dataloader_pin_memory=cuda,
        eval_strategy="steps", eval_steps=max(1, total_steps // evaluations), logging_steps=max(1, total_steps // 60),
        report_to="none", disable_tqdm=True, seed=SEED, data_seed=SEED, remove_unused_columns=False,
    )  # fmt: skip


def hush_libraries() -> None:
    """Switch off what tells a learner nothing: bars that count a small file's tensors, chatter about defaults, and two
    warnings of PEFT 0.21 (transformers' old name of an attribute; a base sought where the adapter does not say)."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file", category=UserWarning)


def optimizer(model, settings):
    """AdamW (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101) with a learning rate of its own for the token
    embeddings, and weight decay on matrices alone. A row of the embedding learns only when its token occurs, and tied
    it also carries the logits' scale, so small models learn many times faster when it may move in larger steps:
    `benchmarks/embedding_rate.py`."""
    import torch

    table = model.get_input_embeddings().weight
    others = [weight for weight in model.parameters() if weight.requires_grad and weight is not table]
    groups = [
        {"params": [table], "lr": settings.embedding_learning_rate, "weight_decay": 0.0},
        {"params": [w for w in others if w.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [w for w in others if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)


def together():
    """Wait for the other processes of this training, if `torchrun` or `accelerate launch` started any. -> accelerate's
    ``PartialState``, whose ``main_process_first()`` is a context."""
    from accelerate import PartialState

    state = PartialState(cpu=device_name() == "cpu")
    state.wait_for_everyone()
    return state


def world_size() -> int:
    """How many processes train together: as many as `torchrun` or `accelerate launch` started, else 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


def batch(settings) -> int:
    """Examples that one optimizer step sees, in all processes together."""
    return settings.batch_size * settings.gradient_accumulation_steps * world_size()


def steps_in(examples: int, settings) -> int:
    """Optimizer steps of a whole training."""
    return max(1, round(-(-examples // batch(settings)) * settings.epochs))


def progress(title: str, total_steps: int, tokens_per_step: float, save_minutes: float):
    """A Trainer callback: a progress line with loss, tokens/s and time left; a checkpoint every ``save_minutes``."""
    from transformers import TrainerCallback

    class Shown(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.started, self.first, self.saved = time.perf_counter(), state.global_step, time.monotonic()
            self.line, self.loss = Line(title, total_steps, state.global_step), None

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.loss = (logs or {}).get("loss", self.loss)

        def on_step_end(self, args, state, control, **kwargs):
            speed = (state.global_step - self.first) * tokens_per_step / (time.perf_counter() - self.started)
            shown = f"{title} · loss {float(self.loss):.3f}" if self.loss is not None else title
            self.line.update(state.global_step, f"{shown} · {speed:,.0f} tokens/s")
            if self.agreed(time.monotonic() - self.saved > 60 * save_minutes, args.device):
                self.saved, control.should_save = time.monotonic(), True

        def agreed(self, wish, device):
            """The main process's wish: a checkpoint is written by all processes or by none."""
            if world_size() == 1:
                return wish
            import torch

            flag = torch.tensor([wish], dtype=torch.int32, device=device)
            torch.distributed.broadcast(flag, src=0)
            return bool(flag.item())

        def on_train_end(self, args, state, control, **kwargs):
            self.line.close()

    return Shown()


def train(
    model, tokenizer, rows: "Dataset", held_out: "Dataset", settings, folder: Path,
    *, title: str, tokens: float, collate: Callable, evaluations: int, save_minutes: float,
    optimizer=None, sampling: str = "random",
) -> float:  # fmt: skip
    """Train to the end, from the newest whole checkpoint in ``folder`` if a killed run left one. -> held-out loss.
    ``tokens`` is how many the model will see, all epochs; without ``optimizer`` it is the Trainer's AdamW. The main
    process writes model or adapter (safetensors), tokenizer, and ``log.json``, whose entries have ``step``, ``epoch``
    and ``loss`` or ``eval_loss`` (nats per token); then it removes the checkpoints."""
    from transformers import PrinterCallback, Trainer

    steps = steps_in(len(rows), settings)
    args = arguments(folder, settings, total_steps=steps, evaluations=evaluations)
    args.train_sampling_strategy = sampling
    trainer = Trainer(
        model=model, args=args, train_dataset=rows, eval_dataset=held_out, data_collator=collate,
        optimizers=(optimizer, None), callbacks=[progress(title, steps, tokens / steps, save_minutes)],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)  # the progress line shows the loss
    trainer.train(resume_from_checkpoint=newest_checkpoint(folder / CHECKPOINTS))
    told = ("step", "epoch", "loss", "eval_loss", "learning_rate")
    entries = (entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry)
    log = [{key: entry[key] for key in told if key in entry} for entry in entries]
    if processes.is_main():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / LOG).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]


def newest_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint: a run may be killed while it writes one, and the Trainer writes its state last."""
    for path in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True):
        with suppress(FileNotFoundError, json.JSONDecodeError):
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            return str(path)
    return None


def read_log(folder: Path) -> list[dict]:
    """The log of a finished training."""
    return json.loads((folder / LOG).read_text(encoding="utf-8"))
