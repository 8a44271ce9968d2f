"""The loss of the next token: plain, in our chunks, in checkpointed chunks, and by torch's `linear_cross_entropy`.

Each runs in a process of its own, forward and backward, at the 92 M model's vocabulary. Printed are the time, the peak
memory over what there was before (a GPU's, else the process' resident memory), and how far value and gradients are from
the plain loss in fp32.

    python benchmarks/losses.py [TOKENS]      (default 6144; some minutes on two cores; writes results/losses.json)
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import results
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from course_utils.parameter_budgeting import CHUNK_ENTRIES, device_name, has_fast_bf16
from course_utils.training import losses

VOCABULARY, HIDDEN = 36_448, 768
MINI = 5_259, 256, 1_024  # vocabulary, hidden size and tokens a step of cpu-mini


def plain(states, matrix, labels):
    return functional.cross_entropy(functional.linear(states, matrix).float(), labels, reduction="sum")


def checkpointed(states, matrix, labels):
    """Our chunks the simple way: the logits of a chunk are computed again for its gradient, a fourth product more."""
    size = max(64, CHUNK_ENTRIES // len(matrix))
    parts = zip(states.split(size), labels.split(size), strict=True)
    return sum(checkpoint(plain, some, matrix, right, use_reentrant=False) for some, right in parts)


def of_torch(states, matrix, labels):
    """It ignores autocast: states and matrix are cast for it, and it rounds the loss as they are."""
    kind = states.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        states, matrix = states.to(dtype), matrix.to(dtype)
    options = torch.nn.LinearCrossEntropyOptions()
    with torch.autocast(kind, enabled=False):
        return functional.linear_cross_entropy(states, matrix, labels, reduction="sum", options=options).float()


KINDS = {"plain": plain, "chunked": losses.chunked_cross_entropy, "checkpointed": checkpointed, "torch": of_torch,
         "liger": losses.liger_cross_entropy}  # fmt: skip


class Peak(threading.Thread):
    """The largest resident memory of this process while a context is open, bytes."""

    def __enter__(self):
        self.process, self.open = psutil.Process(), True
        self.before = self.most = self.process.memory_info().rss
        self.start()
        return self

    def run(self):
        while self.open:
            self.most = max(self.most, self.process.memory_info().rss)
            time.sleep(0.002)

    def __exit__(self, *error):
        self.open = False
        self.join()


def measure(kind: str, precision: str, vocabulary: int, hidden: int, tokens: int, folder: Path) -> dict:
    device, dtype = device_name(), {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    random = torch.Generator().manual_seed(0)
    states = torch.randn(tokens, hidden, generator=random).to(device).requires_grad_()
    matrix = (torch.randn(vocabulary, hidden, generator=random) * 0.02).to(device).requires_grad_()
    labels = torch.randint(vocabulary, (tokens,), generator=random).to(device)
    seconds, cuda = [], device == "cuda"
    for _ in range(3):
        states.grad = matrix.grad = None
        if cuda:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        started = time.perf_counter()
        with Peak() as peak:
            with torch.autocast(device, dtype, enabled=dtype is not None):
                loss = KINDS[kind](states, matrix, labels) / tokens
            loss.backward()
            if cuda:
                torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        if len(seconds) == 1:  # later the allocator has it already
            used = torch.cuda.max_memory_allocated() - before if cuda else peak.most - peak.before
    found = [loss.detach().cpu(), states.grad.cpu(), matrix.grad.cpu()]
    reference = folder / "plain.pt"
    if not reference.exists():
        torch.save(found, reference)
    right = torch.load(reference, weights_only=True)
    errors = [((a - b).norm() / b.norm()).item() for a, b in zip(found, right, strict=True)]
    return {"loss": kind, "precision": precision, "vocabulary": vocabulary, "tokens": tokens,
            "seconds": round(min(seconds), 3), "peak_MB": round(used / 1e6),
            "error_of_loss": errors[0], "error_of_gradients": max(errors[1:])}  # fmt: skip


def main(tokens: int = 6_144) -> None:
    fast = "fp16" if device_name() == "cuda" and not has_fast_bf16() else "bf16"
    precisions, rows = ["fp32", *([fast] if device_name() == "cuda" or has_fast_bf16() else [])], []
    for vocabulary, hidden, count in ((VOCABULARY, HIDDEN, tokens), MINI):
        with tempfile.TemporaryDirectory() as folder:
            for precision in precisions:
                for kind in KINDS:
                    how = [kind, precision, str(vocabulary), str(hidden), str(count), folder]
                    done = subprocess.run([sys.executable, __file__, *how], capture_output=True, text=True)
                    if done.returncode:
                        print(kind, precision, done.stderr.strip().splitlines()[-1])
                        continue
                    rows.append(json.loads(done.stdout))
                    print(*(f"{name} {value:.1e}" if isinstance(value, float) and value < 1e-2 else f"{name} {value}"
                            for name, value in rows[-1].items()), sep="  ", flush=True)  # fmt: skip
    print("written:", results.write("losses", {"hidden": HIDDEN}, rows))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        given = sys.argv[1:]
        print(json.dumps(measure(*given[:2], *map(int, given[2:5]), Path(given[5]))))
    else:
        main(*map(int, sys.argv[1:]))
