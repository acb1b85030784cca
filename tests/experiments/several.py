"""One run by several processes, as torchrun starts them, but forked from one that has everything imported."""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killing
import torch
import training_world as world
from killing import Outcome, server
from transformers import TrainerCallback

from experiments import distributed, pipeline
from experiments.composing import load

SECONDS = 600  # some starts of Python on a machine that others keep busy


def start(size: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Start the processes of one run, each with its number as the target's first argument."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    found = [
        server().Process(target=member, args=(rank, size, port, target, arguments)) for rank in range(size)
    ]
    for process in found:
        process.start()
    return found


def member(rank: int, size: int, port: int, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """One process, with what torchrun says to it."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in told.items()}, MASTER_ADDR="localhost")
    torch.set_num_threads(1)
    target(rank, *arguments)


def end(processes: list[Any]) -> list[int]:
    """Wait for all; when one fails, kill the others, as torchrun does. Their exit codes."""
    deadline = time.monotonic() + SECONDS
    while any(process.is_alive() for process in processes):
        if any(process.exitcode for process in processes) or time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.02)
    return [process.exitcode for process in processes]


def train(
    rank: int, folder: str, killed: int | None, point: str | None, call: int, settings: dict[str, Any]
) -> None:
    """Train the small model; one of the processes may be killed at a point (see `killing.POINTS`)."""
    if point and rank == killed:
        killing.kill_at(point, call)
    log = Log()
    with distributed.joined():
        result = world.run(Path(folder), callbacks=[log], **settings)
    found = {name: getattr(result, name) for name in killing.FOUND}
    Path(f"{folder}.{rank}.json").write_text(json.dumps([found, log.kept]), encoding="utf-8")


class Log(TrainerCallback):
    """Keeps what the Trainer logs of training."""

    def __init__(self) -> None:
        self.kept: list[list[float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Keep loss and norm of the gradients: of all, on every process."""
        if "loss" in logs:
            self.kept.append([logs["loss"], logs["grad_norm"]])


def run_small(rank: int, words: list[str], point: str | None = None, call: int = 1) -> None:
    """A whole run of a tiny language model, as the command makes it; the first may be killed."""
    if point and rank == 0:
        killing.kill_at(point, call)
    cfg = load(words)
    if rank == 0:
        pipeline.attempt(cfg)
    else:
        pipeline.follow(cfg)


def outcomes(folder: Path, size: int = 2) -> list[tuple[Outcome, list[list[float]]]]:
    """What each process found, and logged."""
    return [json.loads(Path(f"{folder}.{rank}.json").read_text(encoding="utf-8")) for rank in range(size)]
