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


def optimizer_state(optimizer: Any) -> dict[str, Any]:
    """The optimiser's state for a file, the same whether parameters are sharded or not; see `stored`."""
    state = dict(optimizer.state_dict())
    of_each = state["state"].items()
    found = {i: {key: _whole(value) for key, value in values.items()} for i, values in of_each}
    return state | {"state": found}


def put_back_optimizer(optimizer: Any, saved: dict[str, Any]) -> None:
    """Give the optimiser a state that `optimizer_state` made, each process its parts."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for i, values in saved["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameters[i].shape:
                values[key] = _like(parameters[i], value)
    optimizer.load_state_dict(saved)


def _whole(value: Any) -> Any:
    return _gathered(value) if isinstance(value, Tensor) and is_sharded(value) else value


def packed(state: Any) -> memoryview:
    """The bytes of torch.save; made in memory, so that a full disk raises OSError and nothing else."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def random_states(*, of_all: bool = False) -> dict[str, Any]:
    """All generators' states, in the form the stock Trainer reads.

    Args:
        of_all: of all GPUs, as it expects where a launcher such as torchrun started the process.
    """
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all() if of_all else torch.cuda.get_rng_state()
    return states


def peak_bytes() -> int:
    """Most memory held: on a GPU that allocated since the last reset, else that of the process so far."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts kibibytes
