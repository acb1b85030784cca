"""The forward hook through which a layer gets an adapter's product added to its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own convention
from torch import Tensor, nn

from vblora.errors import AdapterStateError
from vblora.sites import Site

if TYPE_CHECKING:
    from vblora.adapter import Adapter
    from vblora.attachment import Attachment


class LayerHook:
    """Adds x Aᵀ Bᵀ to the output of one layer.

    An object, not a closure, so that the hook of a deepcopied model refers to the copy's adapter.
    """

    def __init__(self, attachment: Attachment, layer: str) -> None:
        """Serve `layer` for whichever adapter is active."""
        self.attachment, self.layer = attachment, layer

    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor | None:
        """Return the layer's output with the product of the active adapter added, or None for "as it was"."""
        adapter = self.attachment.current()
        places = adapter.places.get(self.layer) if adapter else None
        if adapter is None or places is None:
            return None
        if getattr(module, "_is_replica", False):
            raise AdapterStateError(
                "torch.nn.DataParallel is not supported; use DistributedDataParallel, one process a device"
            )
        x = args[0] if args else next(iter(kwargs.values()))
        return _add(adapter, places, F.dropout(x, adapter.config.dropout, adapter.training), output)


def _add(adapter: Adapter, places: Sequence[int], x: Tensor, output: Tensor) -> Tensor:
    factors = adapter.composed(places[0])
    for place in places[1:]:
        factors = adapter.composed(place)
    if adapter.sites[places[0]].whole:
        return _add_product(x, output, *factors[places[0]])
    result = output.clone()
    for place in places:
        part = result[..., _columns(adapter.sites[place])]
        part += _product(x, *factors[place])
    return result


def _columns(site: Site) -> slice:
    return slice(site.start, site.start + site.out_features)


def _low(x: Tensor, A: Tensor) -> Tensor:
    return F.linear(x, A.to(x.device, x.dtype))


def _product(x: Tensor, A: Tensor, Bt: Tensor) -> Tensor:
    return _low(x, A) @ Bt.to(x.device, x.dtype)


def _add_product(x: Tensor, output: Tensor, A: Tensor, Bt: Tensor) -> Tensor:
    """Compute output + x Aᵀ Bᵀ in two matrix products: the sum is part of the second.

    Under autocast a 4-bit layer answers in its input's type and not in that of the products, and a layer may
    answer in another type than its input's: then the sum is made in the wider and rounded to the output's.
    """
    low, Bt = _low(x, A), Bt.to(x.device, x.dtype)
    if low.dtype != output.dtype:
        return (output + low @ Bt).to(output.dtype)
    flat = output.reshape(-1, output.shape[-1])
    return torch.addmm(flat, low.reshape(-1, A.shape[0]), Bt).view(output.shape)
