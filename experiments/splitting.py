"""A fused layer as separate ones, so that a library which adapts whole layers can adapt its parts.

GPT-2's c_attn computes query, key and value in one product. vblora takes a part of it as a site; PEFT adapts
whole layers only, so for its methods (LoRA and VeRA on query and value, Table 2) the layer is replaced by one
layer a part, whose outputs are joined again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from vblora.sites import is_conv1d


class SplitError(ValueError):
    """A layer that cannot be split; the message says which and why."""


class Split(nn.Module):
    """A fused linear layer as layers of equal width, whose outputs are joined: the same numbers.

    Args:
        layer: an nn.Linear or a Conv1D.
        parts: names of its parts, in order.
    """

    def __init__(self, layer: nn.Module, parts: Sequence[str]) -> None:
        super().__init__()
        weight, bias = cast(Tensor, layer.weight), cast(Tensor | None, layer.bias)
        rows = weight.mT if is_conv1d(layer) else weight
        if len(rows) % len(parts):
            raise SplitError(f"{len(rows)} outputs do not divide into {len(parts)} parts, {', '.join(parts)}")
        self.conv1d, self.names = is_conv1d(layer), list(parts)
        pieces = zip(rows.chunk(len(parts)), _chunks(bias, len(parts)), strict=True)
        for name, (part, offset) in zip(parts, pieces, strict=True):
            self.add_module(name, _linear(part, offset))

    def forward(self, x: Tensor) -> Tensor:
        """The fused layer's output."""
        return torch.cat([getattr(self, name)(x) for name in self.names], dim=-1)

    def joined(self) -> nn.Module:
        """The fused layer again, with the parts' weights as they are now."""
        parts = [cast(nn.Linear, getattr(self, name)) for name in self.names]
        weight = torch.cat([part.weight.detach() for part in parts])
        outputs, inputs = weight.shape
        whole: Any = Conv1D(outputs, inputs) if self.conv1d else nn.Linear(inputs, outputs)
        whole.weight = nn.Parameter(weight.mT.contiguous() if self.conv1d else weight)
        offsets = [part.bias for part in parts if part.bias is not None]
        whole.bias = nn.Parameter(torch.cat([bias.detach() for bias in offsets])) if offsets else None
        return cast(nn.Module, whole)


def split(model: nn.Module, splits: Mapping[str, Sequence[str]]) -> None:
    """Replace every layer whose name ends as `splits` says by one layer a part, in place.

    Raises:
        SplitError: a layer's outputs do not divide into the parts.
    """
    endings = {
        name: parts for name, _ in model.named_modules() for parts in [_parts_of(name, splits)] if parts
    }
    for name, parts in endings.items():
        _replace(model, name, Split(model.get_submodule(name), parts))


def join(model: nn.Module) -> None:
    """Undo `split`: fused layers with the weights that their parts have now."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Split):
            _replace(model, name, layer.joined())


def _parts_of(name: str, splits: Mapping[str, Sequence[str]]) -> Sequence[str] | None:
    return next((p for end, p in splits.items() if name == end or name.endswith(f".{end}")), None)


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)


def _chunks(bias: Tensor | None, count: int) -> Sequence[Tensor | None]:
    return [None] * count if bias is None else list(bias.chunk(count))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer
