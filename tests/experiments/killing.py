"""Runs of the small model in processes of their own that are killed: at a named point, or at any time."""

import json
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import training_world as world

from experiments import checkpoints
from experiments.checkpoints import Folder
from experiments.trainer import GroupTrainer

Outcome = dict[str, Any]
FOUND = ("history", "best_epoch", "scores", "last_scores", "answers", "num_steps", "num_resumes")


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_half_a_file(partial: Path, *_: object) -> None:
    (partial / "trained.safetensors").write_bytes(b"half a file")
    die()


# point: what is replaced, and what happens at its n-th call; None: the call is made, then the process dies
POINTS: dict[str, tuple[Any, str, Callable[..., None] | None]] = {
    "before a step": (GroupTrainer, "training_step", die),
    "in an evaluation": (GroupTrainer, "prediction_step", die),
    "after an evaluation, before its checkpoint": (GroupTrainer, "_grade", None),
    "before the first file": (GroupTrainer, "_fill", die),
    "in half a file": (GroupTrainer, "_fill", lambda trainer, partial, *_: in_half_a_file(partial)),
    "before the manifest": (Folder, "_publish", die),
    "between manifest and rename": (checkpoints.Path, "rename", die),
    "after the rename, before the old are deleted": (checkpoints, "_sync_folder", None),
    "after training, before the record": (GroupTrainer, "count_seconds", None),
}


def kill_at(point: str, call: int) -> None:
    """Arrange the death of this process at the n-th call of a point."""
    place, name, instead = POINTS[point]
    original, count = getattr(place, name), [0]

    def counted(*arguments: Any, **keywords: Any) -> Any:
        count[0] += 1
        if count[0] == call and instead:
            instead(*arguments)
        result = original(*arguments, **keywords)
        if count[0] == call:
            die()
        return result

    setattr(place, name, counted)


def child(folder: str, found: str, point: str | None, call: int, settings: dict[str, Any]) -> None:
    """Train to the end, unless killed, and write the outcome."""
    torch.set_num_threads(1)
    if point:
        kill_at(point, call)
    result = world.run(Path(folder), **settings)
    Path(found).write_text(json.dumps({name: getattr(result, name) for name in FOUND}), encoding="utf-8")


def limited_child(folder: str, found: str, limit: int) -> None:
    """Train where no file may grow past a limit: the write raises OSError, as on a full disk."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = world.run(Path(folder), "stsb", save_seconds=0.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    refused = sum("no checkpoint of step" in str(warning.message) for warning in caught)
    Path(found).write_text(json.dumps([result.history, refused]), encoding="utf-8")


def on_a_full_disk(folder: Path, limit: int) -> tuple[list[Any], int]:
    """The history of a run whose checkpoints cannot be written, and how many it warned of."""
    found = folder.with_suffix(".json")
    process = server().Process(target=limited_child, args=(str(folder), str(found), limit))
    process.start()
    process.join(120)
    history, refused = json.loads(found.read_text(encoding="utf-8"))
    return history, refused


def server() -> Any:
    """Processes forked from one that has everything imported, so that they start at once."""
    paths = [str(Path(__file__).parent), *sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(os.path.abspath(path) for path in paths))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    return context


def start(folder: Path, point: str | None = None, call: int = 1, **settings: Any) -> Any:
    """Start a run in a process of its own."""
    arguments = (str(folder), str(folder.with_suffix(".json")), point, call, settings)
    process = server().Process(target=child, args=arguments)
    process.start()
    return process


def finish(folder: Path, **settings: Any) -> Outcome:
    """Run to the end, continuing whatever lies in the folder; its outcome."""
    process = start(folder, **settings)
    process.join(120)
    assert process.exitcode == 0
    return dict(json.loads(folder.with_suffix(".json").read_text(encoding="utf-8")))
