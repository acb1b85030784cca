"""The forward hook through which a layer gets an adapter's product added to its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812  # PyTorch's own convention
from torch import Tensor, nn

from vblora.errors import AdapterStateError
from vblora.product import add_product

if TYPE_CHECKING:
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
        rows = self.attachment.rows
        if rows is not None and self.attachment.enabled:
            return rows.add(self.layer, given(args, kwargs), output)
        adapter = self.attachment.current()
        places = adapter.places.get(self.layer) if adapter else None
        if adapter is None or places is None:
            return None
        if getattr(module, "_is_replica", False):
            raise AdapterStateError(
                "torch.nn.DataParallel is not supported; use DistributedDataParallel, one process a device"
            )
        x = given(args, kwargs)
        for place in places:
            in_use = adapter.composed(place)
        drops = adapter.training and adapter.config.dropout > 0
        if drops:
            x = F.dropout(x, adapter.config.dropout)
        return add_product(x, output, in_use, adapter.sites, places, share=not drops)


def given(args: Any, kwargs: Any) -> Tensor:
    """The input that a layer was called with."""
    x: Tensor = args[0] if args else next(iter(kwargs.values()))
    return x
