"""Composing every factor of a model, forward and backward: PEFT's VB-LoRA layer by layer, ours in one go.

Real shapes, no model: layers have their sizes and no weights. Beside the time, the bytes that operators other
than views read and write, the same on every machine.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import peft
import torch
from torch import Tensor, nn

import vblora
from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.operators import Dispatched

# Layers, sides (in, out) of each layer's sites, h.
Shapes = tuple[int, Sequence[tuple[int, int]], int]


def _block(width: int, between: int, gates: int = 1) -> list[tuple[int, int]]:
    return [(width, width)] * 4 + [(width, between)] * gates + [(between, width)]


CASES: dict[str, Shapes] = {
    "RoBERTa-base qv": (12, [(768, 768)] * 2, 90),
    "RoBERTa-large all": (24, _block(1024, 4096), 90),
    "GPT-2 medium all": (24, [(1024, 3072), (1024, 1024), (1024, 4096), (4096, 1024)], 256),
    "Llama 2 7B, 8 of 32 blocks": (8, _block(4096, 11008, 2), 2048),
    "Llama 2 7B": (32, _block(4096, 11008, 2), 2048),
}


class Layers(nn.Module):
    """Linear layers of given sizes, each with a single number in the place of its weight."""

    def __init__(self, num_layers: int, sides: Sequence[tuple[int, int]]) -> None:
        """Make them under the names 0.0, 0.1 and so on."""
        super().__init__()
        for number in range(num_layers):
            self.add_module(str(number), nn.ModuleList(map(_hollow, sides)))


def _hollow(sides: tuple[int, int]) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(*sides, bias=False)
    weight = torch.zeros(1, device=presets.device()).expand(layer.weight.shape)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def measure(rounds: int) -> dict[str, Any]:
    """Every case."""
    return {title: case(*shapes, rounds) for title, shapes in CASES.items()}


def case(num_layers: int, sides: Sequence[tuple[int, int]], num_vectors: int, rounds: int) -> dict[str, Any]:
    """Time, operators and bytes of one case."""
    ways = {
        "PEFT VB-LoRA": _theirs(num_layers, sides, num_vectors),
        "vblora": _ours(num_layers, sides, num_vectors),
    }
    facts = {}
    for name, way in ways.items():
        way()
        with Dispatched() as seen:
            way()
        facts[name] = {"operators": seen.operators, "MB moved": round(seen.moved / 1e6, 1)}
    timed = alternate({name: Side(way, 1) for name, way in ways.items()}, rounds, warm_up=False)
    return {"unit": "compositions", "facts": facts, "sides": timed}


def _theirs(num_layers: int, sides: Sequence[tuple[int, int]], num_vectors: int) -> Callable[[], None]:
    model = Layers(num_layers, sides)
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    config = peft.VBLoRAConfig(
        r=presets.RANK, num_vectors=num_vectors, vector_length=256, topk=presets.TOPK, target_modules=names
    )
    wrapped: Any = peft.get_peft_model(cast(Any, model), config)
    layers = [module for module in wrapped.modules() if hasattr(module, "vblora_logits_A")]
    return lambda: _pass(
        [factor for layer in layers for factor in layer._get_lora_matrices("default")], wrapped
    )


def _ours(num_layers: int, sides: Sequence[tuple[int, int]], num_vectors: int) -> Callable[[], None]:
    model = Layers(num_layers, sides)
    config = vblora.VBLoRAConfig(
        rank=presets.RANK, num_vectors=num_vectors, topk=presets.TOPK, targets=r"\d+\.\d+"
    )
    adapter = vblora.attach(model, config)

    def way() -> None:
        factors = adapter.compose().factors(presets.device(), torch.float32)
        _pass([*(down.A for down in factors.downs), *(up.Bt for up in factors.ups)], model)

    return way


def _pass(factors: Sequence[Tensor], model: nn.Module) -> None:
    """Backward from all factors, as the layers' products would start it."""
    torch.autograd.backward(factors, [torch.ones_like(factor) for factor in factors])
    model.zero_grad()
    presets.wait()
