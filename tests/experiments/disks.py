"""Disks that are full or can only be read, mounted for one process: with it they are gone."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MOUNT = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-ec"]
BLOCK = 4096
Step = tuple[list[str], str]
"""The words of a run, and what becomes of the disk: "full" or "free" before, "fills" when it has trained."""


def tmpfs(folder: Path, kib: int) -> str:
    """Shell words that put an empty disk of so many KiB in a folder's place."""
    return f"mount -t tmpfs -o size={kib}k none '{folder}'"


def read_only(folder: Path) -> str:
    """Shell words after which a folder can only be read, by root too."""
    return f"mount --bind '{folder}' '{folder}'; mount -o remount,ro,bind '{folder}'"


def run_all(mounts: list[str], disk: Path, steps: list[Step]) -> list[dict[str, Any]]:
    """Run commands one after another in a process with its own mounts: status, texts and trainings of each.

    What is on the disk at the end is copied beside it, to `<disk>.kept`.
    """
    able = subprocess.run([*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True, text=True, check=False)
    if able.returncode:
        pytest.skip(f"no mounts of one's own here: {able.stderr.strip()}")
    paths = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent)]
    command = [sys.executable, "-c", "import disks; disks.child()", json.dumps([str(disk), steps])]
    done = subprocess.run(
        [*MOUNT, "; ".join([*mounts, 'exec "$@"']), "sh", *command],
        **{"capture_output": True, "text": True, "check": False, "timeout": 300},
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def child() -> None:
    """Run every step in this process and print what came of them."""
    from experiments import pipeline

    disk, steps = json.loads(sys.argv[1])
    filler, honest = Path(disk) / "filler", pipeline.training.train

    def train(*arguments: Any, **keywords: Any) -> Any:
        result = honest(*arguments, **keywords)
        trained.append(result.num_resumes)
        if "fills" in what:
            fill(filler)
        return result

    pipeline.training.train, found = train, []
    for words, what in steps:
        trained: list[int] = []
        if "free" in what:
            filler.unlink()
        if "full" in what:
            fill(filler)
        found.append({**called(words), "trained": trained})
    shutil.copytree(disk, f"{disk}.kept")
    print(json.dumps(found))


def fill(path: Path) -> None:
    """Take all the room that a disk has."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(BLOCK))


def called(words: list[str]) -> dict[str, Any]:
    """Call the command: its exit status and what it said."""
    from experiments import progress, run

    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["run.py", *words]
    progress.display = run.progress.display = progress.Display(progress.Console(file=out, width=10_000))
    status: object = 0
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(err):
        warnings.simplefilter("always")
        try:
            run.main()
        except SystemExit as ended:
            status = ended.code
    warned = [str(warning.message) for warning in caught if "no checkpoint" in str(warning.message)]
    return {"status": status, "out": out.getvalue(), "err": err.getvalue(), "warned": warned}
