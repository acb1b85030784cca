"""Offline runs in the terminal, by `wandb leet`, the viewer that comes with W&B.

Given a folder it lists the runs beside the curves of those chosen; given one run it shows that one alone. In
it `h` shows the keys and `q` leaves.
"""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

from experiments.dashboards.errors import DashboardError

FOLDER = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+")
MAKES_ONE = "python -m experiments.run row=vblora_qv task=cola tracker=wandb"
MOST_NAMES = 8


def show(cache: Path, wanted: str = "") -> int:
    """Open the viewer and wait until it is left. Returns its exit status.

    Args:
        cache: the runs' `paths.cache`.
        wanted: a part of a run's run_id, whose newest run is opened; empty for all runs.

    Raises:
        DashboardError: there is no such run, no terminal, or no wandb.
    """
    path = find(cache, wanted)
    if importlib.util.find_spec("wandb") is None:
        raise DashboardError("the viewer comes with wandb, which is not installed: pip install wandb")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = shlex.join([sys.executable, "-m", "wandb", "leet", "inspect", "--summary", str(path)])
        raise DashboardError(f"the viewer needs a terminal; as text, without one: {text}")
    return subprocess.run([sys.executable, "-m", "wandb", "leet", str(path)], check=False).returncode


def find(cache: Path, wanted: str) -> Path:
    """The folder of all runs, or of the newest whose run_id has a part.

    Raises:
        DashboardError: there is none.
    """
    found = runs(cache)
    if not found:
        raise DashboardError(f"no runs of W&B under {cache}/wandb; this makes one: {MAKES_ONE}")
    if not wanted:
        return cache / "wandb"
    part = wanted.replace("/", ".")
    fitting = [path for path in found if part in path.name]
    if not fitting:
        names = "\n  ".join(path.name for path in found[-MOST_NAMES:])
        raise DashboardError(f"no run {wanted!r} under {cache}/wandb; the newest are\n  {names}")
    return fitting[-1]


def runs(cache: Path) -> list[Path]:
    """The folders of all runs, the last written to last; `latest-run` is a link to one of them."""
    files = [path for path in cache.glob("wandb/*/*.wandb") if FOLDER.fullmatch(path.parent.name)]
    return [path.parent for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path))]
