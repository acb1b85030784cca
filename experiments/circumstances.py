"""Where and when a run happened: the part of a record that is not the same when the run is repeated."""

import functools
import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from experiments import distributed, processor

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "vblora",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "numpy",
    "scipy",
)


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def here() -> dict[str, Any]:
    """Code, versions and machine, as they are now."""
    changing = {"num_threads": torch.get_num_threads(), "tf32": tf32(), "device": device()}
    return {**_constant(), **changing, "num_processes": distributed.size()}


def tf32() -> bool:
    """Whether a GPU multiplies float32 matrices in TF32, with 10 bits of mantissa instead of 23."""
    return bool(torch.backends.cuda.matmul.fp32_precision == "tf32")


def device() -> str:
    """What the Trainer computes on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


@functools.cache
def _constant() -> dict[str, Any]:
    """What cannot change while a process lives."""
    changes = _git("status", "--porcelain")
    return {
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        # torch's own word names the build (2.13.0+cu130), which the metadata of PyPI's wheels leaves out.
        "versions": {name: _version(name) for name in PACKAGES} | {"torch": str(torch.__version__)},
        "python": platform.python_version(),
        "platform": platform.platform(),
        # What decides the speed of products, and their last digits.
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_bfloat16": processor.bfloat16_instructions(),
    }


def _git(*arguments: str) -> str | None:
    """What git says, or None where there is no git or no repository."""
    command = ["git", "-C", str(PROJECT), *arguments]
    try:
        said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.decode(errors="replace").strip()  # names of files are in any encoding


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
