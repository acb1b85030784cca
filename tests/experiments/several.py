"""One run by several processes, as torchrun starts them, but forked from one that has everything imported."""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killing
import pytest
import text_world
import torch
from killing import Outcome, server

from experiments import distributed, pipeline
from experiments.composing import load

SECONDS = 120


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
    with distributed.joined():
        killing.child(folder, f"{folder}.{rank}.json", point if rank == killed else None, call, settings)


def run_small(rank: int, words: list[str], point: str | None = None, call: int = 1) -> None:
    """A whole run of a language model of `text_world`, as the command makes it; the first may be killed."""
    if point and rank == 0:
        killing.kill_at(point, call)
    text_world.shrink(pytest.MonkeyPatch())
    cfg = load(words)
    if rank == 0:
        pipeline.attempt(cfg)
    else:
        pipeline.follow(cfg)


def outcomes(folder: Path, size: int = 2) -> list[Outcome]:
    """What each process found."""
    return [json.loads(Path(f"{folder}.{rank}.json").read_text()) for rank in range(size)]
