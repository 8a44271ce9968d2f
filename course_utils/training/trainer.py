"""The `Trainer` with what a training of days needs: whole checkpoints, an end at the first loss that is no number, a
log with speed and memory, and a text of the model at each evaluation.
"""

import math
from pathlib import Path

import torch
from transformers import Trainer, TrainerState
from transformers.trainer_pt_utils import get_length_grouped_indices

from .. import processes
from ..errors import CourseError
from ..profiles import Training
from . import checkpoints, optimizers
from .monitoring import Log, Meter, agreed

SAMPLE_TOKENS = 40  # of the text at each evaluation


class Order(torch.utils.data.Sampler):
    """The order of the examples in an epoch: random, or with ``lengths`` those of about one length side by side. It
    depends on seed and epoch alone, so a stopped run goes on in it, also when the batch is shared in another way."""

    def __init__(self, count: int, lengths: list[int] | None, batch: int, seed: int):
        self.count, self.lengths, self.batch, self.seed, self.epoch = count, lengths, batch, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        dice = torch.Generator().manual_seed(self.seed + self.epoch)
        if self.lengths is None:
            return iter(torch.randperm(self.count, generator=dice).tolist())
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=dice))


class CourseTrainer(Trainer):
    """``settings`` name the optimizer; a step sees ``whole_batch`` examples, in all processes together; ``prompt`` are
    the ids that the sample text goes on from; ``meter`` and ``log`` are of the run that begins."""

    def __init__(
        self, *, settings: Training, whole_batch: int, title: str, prompt: list[int], tokenizer, log: Log,
        meter: Meter, **options,
    ):  # fmt: skip
        self.settings, self.whole_batch = settings, whole_batch
        super().__init__(**options)
        self.title, self.prompt, self.tokenizer, self.growing_log, self.meter = title, prompt, tokenizer, log, meter
        self.bad = torch.zeros((), dtype=torch.bool, device=self.args.device)
        self.saving = self.stepping = False

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            self.optimizer = optimizers.make(model or self.model, self.settings)
        return self.optimizer

    # The order of the examples

    def _get_train_sampler(self, train_dataset=None):
        lengths = self.train_dataset["length"][:] if self.args.train_sampling_strategy == "group_by_length" else None
        self.order = Order(len(self.train_dataset), lengths, self.whole_batch, self.args.data_seed)
        return self.order

    def _run_epoch(self, *args, **kwargs):
        self.order.epoch = kwargs["epoch"]
        return super()._run_epoch(*args, **kwargs)

    # A loss that is no number

    def training_step(self, *args, **kwargs):
        loss = super().training_step(*args, **kwargs)
        self.bad |= ~torch.isfinite(loss)
        return loss

    def _get_grad_norm(self, *args, **kwargs):
        norm = super()._get_grad_norm(*args, **kwargs)
        if hasattr(norm, "full_tensor"):  # FSDP: each process has a part
            norm = norm.full_tensor()
        # fp16 finds its scale by overflows: such a step is skipped, and costs nothing but itself.
        if self.accelerator.scaler is None:
            self.bad |= ~torch.isfinite(torch.as_tensor(norm, device=self.bad.device))
        if any(agreed([int(self.bad)], self.args)):  # met by one process, it ends all of them
            raise self.not_finite("the loss or its gradient is not finite")
        self.stepping = True
        return norm

    def _maybe_log_save_evaluate(self, *args, **kwargs) -> None:
        self.stepping = False  # the weights are of one step again
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def not_finite(self, what: str) -> CourseError:
        rate, step = self._get_learning_rate(), self.state.global_step + 1
        self.growing_log.write({"step": step, "loss": math.nan, "learning_rate": rate})
        last = checkpoints.newest(Path(self.args.output_dir))
        good = "there is no checkpoint yet"
        if last:
            good = f"the last good checkpoint is that of step {checkpoints.step_of(last):,}"
        return CourseError(
            f"{self.title}: {what} at step {step:,} of {self.state.max_steps:,} (learning rate {rate:.3g}); {good}. "
            "Try a lower learning_rate, a longer warmup_fraction, or precision = 'fp32' in profiles.toml"
        )

    # Checkpoints

    def _get_output_dir(self, trial) -> str:
        folder = super()._get_output_dir(trial)
        return str(Path(folder) / checkpoints.WRITING) if self.saving else folder

    def _save_checkpoint(self, model, trial) -> None:
        folder = Path(self.args.output_dir)
        self.wait()
        if processes.is_main():
            with checkpoints.writing(folder, self.state.global_step, self.checkpoint_bytes()):
                self.write_whole(model, trial)
                self.wait()  # for the others' random numbers
        else:
            self.write_whole(model, trial)
            self.wait()
        self.wait()

    def write_whole(self, model, trial) -> None:
        self.saving = True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.saving = False

    def _load_scaler(self, checkpoint) -> None:
        if self.accelerator.scaler is not None:  # else it was begun in fp16 and goes on in another precision
            super()._load_scaler(checkpoint)

    def take_as_finished(self, checkpoint: Path) -> None:
        """Load the checkpoint of the last step, from which there is nothing to train."""
        self._load_from_checkpoint(str(checkpoint))
        self.state = TrainerState.load_from_json(str(checkpoint / checkpoints.STATE))

    def checkpoint_bytes(self) -> int:
        """Of one checkpoint: 12 bytes for each weight that trains (itself and AdamW's two moments), and a little."""
        return 12 * sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad) + 2**20

    def wait(self) -> None:
        if self.args.world_size > 1:
            torch.distributed.barrier()

    # What it tells

    def log(self, logs: dict, start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= self.meter.read(self.state.global_step)
        super().log(logs, start_time)
        entry = dict(self.state.log_history[-1])
        if "eval_runtime" in entry:
            entry["eval_seconds"] = entry["eval_runtime"]
        if entry.keys() & {"loss", "eval_loss", "sample"}:
            self.growing_log.write(entry)

    def evaluate(self, *args, **kwargs):
        measured = super().evaluate(*args, **kwargs)
        if not math.isfinite(measured["eval_loss"]):
            raise self.not_finite("the held-out loss is not finite")
        if self.prompt and not self.is_fsdp_enabled:  # one process alone cannot ask a model that is in parts
            self.log({"sample": self.sample()})
        return measured

    @torch.no_grad()
    def sample(self) -> str:
        """What the model makes of the prompt, greedily."""
        model, ids = self.accelerator.unwrap_model(self.model), torch.tensor([self.prompt], device=self.args.device)
        model.eval()
        end = {"pad_token_id": self.tokenizer.pad_token_id, "eos_token_id": self.tokenizer.eos_token_id}
        made = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=SAMPLE_TOKENS, do_sample=False, **end
        )
        model.train()
        return self.tokenizer.decode(made[0], skip_special_tokens=True)
