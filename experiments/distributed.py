"""One run by several processes, one a device, that torchrun starts.

Each process trains on its share of every batch (`batches.Share`) and gradients are averaged, so the run is
that of one process up to rounding, and up to dropout, whose noise every process draws for itself.

The first process (rank 0) holds the run's lock, reads and writes its files, shows it, and answers at the end.
What depends on files or on a clock it decides alone, and `agreed` tells the others; they train and end.
"""

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

# torch and accelerate are imported where several processes need them: a run that is skipped does not.
LINGER = 10.0  # seconds; the launcher ends all processes as soon as one has failed
# The others wait while the first writes or verifies a large checkpoint: NCCL's own 10 minutes are too short.
PATIENCE = timedelta(hours=6)
# What `accelerate config` may turn on for all that is launched: it would wrap the model, which is done here.
FOREIGN = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")
T = TypeVar("T")
_parted = False  # whether this process goes on alone


class LaunchError(RuntimeError):
    """The command was started in a way that it does not support; the message says how to start it."""


def size() -> int:
    """Processes of this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0")) if size() > 1 else 0


def is_first() -> bool:
    """Whether this process decides and writes."""
    return rank() == 0


def require_one_run() -> None:
    """Refuse a sweep by several processes, each of which would start every run.

    Raises:
        LaunchError: there are several.
    """
    if size() > 1:
        raise LaunchError(
            f"a sweep (-m) was started by {size()} processes. Start one run at a time on several devices, "
            "without -m; or several runs side by side, without torchrun: -m launcher=joblib or launcher=slurm"
        )


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes of this run can talk to each other; nothing for a run of one.

    Raises:
        LaunchError: they do not find each other, or accelerate is told to wrap models in its own way.
    """
    wrapped = [name for name in FOREIGN if os.environ.get(name, "").lower() in ("1", "true", "yes")]
    if wrapped:
        raise LaunchError(f"{wrapped[0]} is set, as by `accelerate config`; start the run by torchrun")
    if size() > 1:
        _join()
    try:
        yield
    except BaseException:
        give_up()
        raise
    leave()


def _join() -> None:
    import torch
    from accelerate import PartialState

    # Of accelerate's own call; what it suggests would send all buffers around before every forward.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    found = PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)
    if (found.num_processes, found.process_index) != (size(), rank()):
        raise LaunchError(
            f"WORLD_SIZE is {size()}, but {found.num_processes} found each other; start them by torchrun"
        )
    _set_parted(False)


def leave() -> None:
    """Part from the other processes in good order, before the first goes on alone."""
    if size() == 1 or _parted:
        return
    import torch
    from accelerate.state import AcceleratorState

    _set_parted(True)
    torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)


def give_up() -> None:
    """Go on alone after an error. The others may wait for this process, and only its end can tell them."""
    _set_parted(True)


def _set_parted(parted: bool) -> None:
    global _parted
    _parted = parted


def agreed(value: T) -> T:
    """The first process's value, in all that have not parted. Each must call it, in the same order."""
    if size() == 1 or _parted:
        return value
    from accelerate.utils import broadcast_object_list

    told: list[T] = broadcast_object_list([value])
    return told[0]


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """The first process runs the block before the others, which find what it has made there."""
    if not is_first():
        agreed(None)
    yield
    if is_first():
        agreed(None)


def linger() -> None:
    """Let the first process write and say why the run failed: it is killed as soon as this one has ended."""
    if not is_first():
        time.sleep(LINGER)
