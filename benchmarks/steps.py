"""A step of training, forward, backward and optimizer: adapters beside one another on one model.

Times alternate in one process. The peak of memory is measured apart, in a new process each time: how far the
process grows from before the adapter is attached to the top of its second step, on a GPU what PyTorch has
allocated. So it holds the adapter, its gradients and AdamW's state, and the activations. On a CPU it varies
by some percent from process to process, so it is the median of several, the sides in turn.
"""

import ctypes
import gc
import multiprocessing
import re
import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.presets import CASES, SIDES, Trained

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
PEAKS = 3  # processes for each side's peak


def measure(preset: str, rounds: int, threads: int) -> dict[str, Any]:
    """Every case of the preset."""
    return {title: case(preset, title, rounds, threads) for title in CASES[preset]}


def case(preset: str, title: str, rounds: int, threads: int) -> dict[str, Any]:
    """Time and peak of memory of one case's sides."""
    facts = {side: _peaks(found) for side, found in peaks(preset, title, threads).items()}
    chosen = CASES[preset][title]
    base = presets.built(chosen)
    sides = {side: Side(Trained(chosen, side, base).step, 1) for side in SIDES}
    found = {"unit": "steps", "facts": facts, "sides": alternate(sides, rounds)}
    del sides, base
    gc.collect()
    return found


def peaks(preset: str, title: str, threads: int) -> dict[str, list[int]]:
    """Bytes of each measured peak by side."""
    found: dict[str, list[int]] = {side: [] for side in SIDES}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for _ in range(1 if torch.cuda.is_available() else PEAKS):
            for side in SIDES:
                found[side].append(pool.apply(peak, (preset, title, side, threads)))
    return found


def _peaks(found: list[int]) -> dict[str, int]:
    """Median, least and most, in megabytes."""
    low, middle, high = min(found), statistics.median(found), max(found)
    return {"peak MB": round(middle / 1e6), "least": round(low / 1e6), "most": round(high / 1e6)}


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
    RESET.write_text("5", encoding="utf-8")  # Linux: the top starts again from what is in use
    return _line("VmRSS")


def _top() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _line("VmHWM")


def _line(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
    assert found, f"{STATUS} has no {name}"
    return int(found[1]) * 1024
