"""Worker processes that end with their parent, and which process of a training this one is.

joblib and `datasets` make the processes; here alone they are told to end when the process that made them was killed.
Otherwise they wait for work, or work on, for minutes. Cost: one look a second, in a thread.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread

LOOK_SECONDS = 1.0


def cores() -> int:
    """How many workers there are where nobody says how many: one a core."""
    return os.cpu_count() or 1


def is_main() -> bool:
    """False in all but one of the processes that `torchrun` or `accelerate launch` start for one training."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """How many processes train together: as many as `torchrun` or `accelerate launch` started, else 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


def pool(workers: int, **options):
    """A ``joblib.Parallel`` of ``workers`` processes (-1: as many as the cluster has) that end with this one.
    ``options`` are joblib's. Tasks are work enough to be sent one by one."""
    import joblib

    guard = {"initializer": end_with, "initargs": (os.getpid(),)} if workers > 0 else {}
    return joblib.Parallel(workers, batch_size=1, **guard, **options)


@contextmanager
def ending_with_this() -> Iterator[None]:
    """Within this context the processes that `datasets` starts (``num_proc``) end with this one. `datasets` makes them
    by `multiprocess`, by fork on Linux; its manager process, which no function of ours runs in, would else outlive a
    killed command for good."""
    import multiprocess.util

    hook = partial(end_with, os.getpid())
    multiprocess.util.register_after_fork(hook, lambda hook: hook())
    yield  # the register holds it weakly: it goes with this frame


def end_with(parent: int) -> None:
    """Let this process end when the process ``parent`` has."""

    import psutil

    def watch() -> None:
        while os.getppid() == parent and psutil.pid_exists(parent):  # an orphan of Windows keeps its parent's id
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
