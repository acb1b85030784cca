"""A step of training, forward, backward and optimizer: adapters beside one another on one model.

Times alternate in one process. The peak of memory is measured apart, each side in a process of its own: how
far the process grows from before the adapter is attached to the top of its second step, on a GPU what PyTorch
has allocated. So it holds the adapter, its gradients and AdamW's state, and the activations.
"""

import ctypes
import gc
import multiprocessing
import re
from pathlib import Path
from typing import Any

import torch

from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.presets import CASES, SIDES, Trained

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def measure(preset: str, rounds: int, threads: int) -> dict[str, Any]:
    """Every case of the preset."""
    return {title: case(preset, title, rounds, threads) for title in CASES[preset]}


def case(preset: str, title: str, rounds: int, threads: int) -> dict[str, Any]:
    """Time and peak of memory of one case's sides."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = {side: pool.apply(peak, (preset, title, side, threads)) for side in SIDES}
    chosen = CASES[preset][title]
    base = presets.built(chosen)
    sides = {side: Side(Trained(chosen, side, base).step, 1) for side in SIDES}
    facts = {side: {"peak MB": round(found / 1e6)} for side, found in peaks.items()}
    found = {"unit": "steps", "facts": facts, "sides": alternate(sides, rounds)}
    del sides, base
    gc.collect()
    return found


def peak(preset: str, title: str, side: str, threads: int) -> int:
    """Bytes by which one side's training raises the top of the memory in use."""
    torch.set_num_threads(threads)
    case = CASES[preset][title]
    base = presets.built(case)
    gc.collect()
    before = _start()
    trained = Trained(case, side, base)
    for _ in range(2):
        trained.step()
    return _top() - before


def _start() -> int:
    """Bytes in use now, from which the top is counted anew."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    ctypes.CDLL(None).malloc_trim(0)  # glibc: else what building the model freed would be used again unseen
    RESET.write_text("5")  # Linux: the top starts again from what is in use
    return _line("VmRSS")


def _top() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _line("VmHWM")


def _line(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert found, f"{STATUS} has no {name}"
    return int(found[1]) * 1024
