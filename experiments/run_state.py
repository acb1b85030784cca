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
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import distribute_tensor

from experiments import distributed
from experiments.tasks.base import Answer
from vblora.sharding import is_sharded, whole


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


def held(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that train, by name; of a sharded model this process's parts."""
    _let_go(model)
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def trained(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that train, by name, as they are stored; see `stored`."""
    return stored(held(model))


def stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a file takes them.

    What is sharded becomes whole, on the CPU: every process must ask for it, and the first alone gets it.
    """
    return {
        name: _gathered(tensor) if is_sharded(tensor) else tensor.contiguous()
        for name, tensor in tensors.items()
    }


def _gathered(part: Tensor) -> Tensor:
    found = whole(part)
    return found.cpu() if distributed.is_first() else found.new_empty(0)


@torch.no_grad()
def put_back(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors, parts or whole ones, into the parameters of the same names."""
    _let_go(model)
    for name, parameter in model.named_parameters():
        if name in saved:
            parameter.copy_(_like(parameter, saved[name]))


def _let_go(model: nn.Module) -> None:
    """Put parts in the place of whole parameters, which FSDP2 may keep in a module from its last forward."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _like(parameter: Any, tensor: Tensor) -> Tensor:
    """A whole tensor cut as a sharded parameter is."""
    if is_sharded(tensor) or not is_sharded(parameter):
        return tensor
    there: Tensor = tensor.to(parameter.device)
    return distribute_tensor(there, parameter.device_mesh, parameter.placements)


def optimizer_state(model: nn.Module, optimizer: Any) -> dict[str, Any]:
    """The optimiser's state for a file; where parameters are sharded, see `stored`."""
    if not any(map(is_sharded, held(model).values())):
        return dict(optimizer.state_dict())
    whole_on_cpu = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_optimizer_state_dict(model, optimizer.optimizer, options=whole_on_cpu)


def put_back_sharded(model: nn.Module, optimizer: Any, state: dict[str, Any]) -> None:
    """Give each process its parts of an optimiser's state that `optimizer_state` gathered."""
    options = StateDictOptions(full_state_dict=True)
    set_optimizer_state_dict(model, optimizer.optimizer, state, options=options)


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
