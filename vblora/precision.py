"""Keeps an adapter's parameters float32 when other code casts them.

TRL's trainers cast all that trains on a 4-bit model to bfloat16, whose steps near 1 are 0.008: small steps of
logits and bank would be lost. A cast assigns new data to the same parameter, so the float32 values live on in
the old data as long as someone refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Float32:
    """The float32 data that parameters had when last seen."""

    def __init__(self) -> None:
        """Know of no parameter yet."""
        self._data: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Float32:
        """A copied adapter has data of its own."""
        return Float32()

    def __reduce__(self) -> tuple[type[Float32], tuple[()]]:
        """A pickled adapter's data stand in its parameters."""
        return Float32, ()

    def hold(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Note the data of float32 parameters, and give it back to those that were cast since."""
        for name, parameter in parameters:
            known = self._data.get(name)
            if parameter.dtype != torch.float32:
                parameter.data = _uncast(parameter.data, known)
            elif known is None or known.data_ptr() != parameter.data_ptr():
                self._data[name] = parameter.data


def _uncast(cast: Tensor, known: Tensor | None) -> Tensor:
    """The data before the cast; the cast itself in float32 if it was changed or moved since."""
    if known is None or (known.device, known.shape) != (cast.device, cast.shape):
        return cast.float()
    return known if torch.equal(known.to(cast.dtype), cast) else cast.float()
