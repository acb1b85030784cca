"""What PyTorch holds at the peak of a step of training: what trains, AdamW's state, and the step's own.

Counted from the allocations that torch.profiler lists, so it is the same every time, and without what the C
library's allocator keeps beside it, which `steps` measures with the whole process. The frozen model does not
count. It is the second step, when AdamW's state is there. Large gradients come from PyTorch's allocator here,
as the profiler does not see the pages that `vblora.memory` asks the system for.
"""

import gc
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import presets
from benchmarks.presets import CASES, SIDES, Trained


def measure(preset: str) -> dict[str, Any]:
    """Every case of the preset on every side."""
    return {
        title: {"facts": {side: _facts(preset, title, side) for side in SIDES}} for title in CASES[preset]
    }


def _facts(preset: str, title: str, side: str) -> dict[str, float]:
    chosen = CASES[preset][title]
    trained = Trained(chosen, side, presets.built(chosen))
    trained.step()
    held, step = kept(trained), peak(trained)
    del trained
    gc.collect()
    return {"kept, MB": _megabytes(held), "step, MB": _megabytes(step), "peak, MB": _megabytes(held + step)}


def _megabytes(size: int) -> float:
    return round(size / 1e6, 1)


def kept(trained: Trained) -> int:
    """Bytes of what trains and of the optimizer's state."""
    state = [value for group in trained.optimizer.state.values() for value in group.values()]
    tensors = [*trained.parameters, *(value for value in state if torch.is_tensor(value))]
    return sum(tensor.nbytes for tensor in tensors)


def peak(trained: Trained) -> int:
    """Bytes by which a step rises above what is there before it."""
    listing = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with mock.patch("vblora.memory.zeros", torch.zeros_like), listing as profiler:
        trained.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]" and _here(e)
    )
    total = highest = 0
    for _, size in changes:
        total += size
        highest = max(highest, total)
    return highest


def _here(event: dict[str, Any]) -> bool:
    """In main memory, or on the GPU that trains."""
    return bool(event["args"]["Device Type"] == (1 if torch.cuda.is_available() else 0))
