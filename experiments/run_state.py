"""The state of a run in training: what it has found so far, its trained tensors, its random generators."""

import io
import random
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.tasks.base import Answer


@dataclass
class Progress:
    """What a run has found so far; part of every checkpoint."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    num_resumes: int = 0
    checkpoint_bytes: int = 0

    def add(
        self, epoch: int, step: int, scores: dict[str, float], answers: list[Answer], metric: str
    ) -> None:
        """Note an evaluation; of equal epochs the first is the best."""
        self.history.append({"epoch": epoch, "step": step, "scores": scores})
        if not self.best_epoch or scores[metric] > self.scores[metric]:
            self.best_epoch, self.scores, self.answers = epoch, scores, answers


def trained(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that train, by name, as they are stored."""
    return {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def put_back(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into the parameters of the same names."""
    for name, parameter in model.named_parameters():
        if name in saved:
            parameter.copy_(saved[name])


def packed(state: Any) -> bytes:
    """The bytes of torch.save; made in memory, so that a full disk raises OSError and nothing else."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def random_states() -> dict[str, Any]:
    """All generators' states, in the form the stock Trainer reads."""
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def peak_bytes() -> int:
    """Most memory held: on a GPU that allocated since the last reset, else that of the process so far."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts kibibytes
