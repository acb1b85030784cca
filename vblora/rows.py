"""Another adapter for each row of a batch: requests to many customised models answered in one forward.

For each adapter among the rows, its product is made of its rows alone and added to theirs; a module that the
adapters trained in full runs once for each adapter, with its weights, on its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vblora import heads
from vblora.adapter import Adapter
from vblora.attachment import Attachment, required_attachment
from vblora.errors import AdapterStateError
from vblora.hooks import given
from vblora.product import add_product


@contextmanager
def rows(model: nn.Module, names: Sequence[str | None]) -> Iterator[None]:
    """Let row n of every batch inside the block use the adapter names[n], and its head; None: no adapter.

    The batch is the first axis of what layers are given. Where that is a multiple of len(names), as under
    beam search or where tokens lie in one axis, each name serves as many neighbouring rows.

    Args:
        model: the model that the adapters are attached to, in eval mode.
        names: one for each row.

    Raises:
        AdapterStateError: no such adapter, one is merged, the model trains, or a batch does not fit.
    """
    attachment = required_attachment(model)
    if attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged; unmerge it first")
    if model.training:
        raise AdapterStateError("rows of several adapters are for inference; call model.eval() first")
    adapters = {name: attachment.adapter(name) for name in dict.fromkeys(names) if name is not None}
    before, attachment.rows = attachment.rows, Rows(tuple(names), adapters)
    with ExitStack() as hooks:
        hooks.callback(setattr, attachment, "rows", before)
        for name, module in _head_modules(attachment, adapters.values()).items():
            handle = module.register_forward_hook(_HeadHook(attachment, name), with_kwargs=True)
            hooks.callback(handle.remove)
        yield


def _head_modules(attachment: Attachment, adapters: Any) -> dict[str, nn.Module]:
    """The modules that an adapter of the rows, or the active one, trained in full."""
    active = [] if attachment.active is None else [attachment.adapter()]
    return {name: module for adapter in (*adapters, *active) for name, module in adapter.head}


Places = dict[str | None, Tensor]  # by adapter, its rows


@dataclass(frozen=True)
class Rows:
    """Who serves which row.

    Attributes:
        names: of the rows' adapters.
        adapters: by name.
    """

    names: tuple[str | None, ...]
    adapters: dict[str, Adapter]
    _places: dict[tuple[int, torch.device], Places] = field(default_factory=dict)

    def places(self, given: Tensor) -> Places:
        """By adapter, the rows of a layer's input that it serves; found once for all layers."""
        key = given.shape[0] if given.dim() else 0, given.device
        if key not in self._places:
            self._places[key] = self._found(*key)
        return self._places[key]

    def _found(self, batch: int, device: torch.device) -> Places:
        each, rest = divmod(batch, len(self.names)) if self.names else (0, 0)
        if rest or not each:
            raise AdapterStateError(f"a batch of {batch} rows does not fit the {len(self.names)} names given")
        found: dict[str | None, list[int]] = {}
        for number, name in enumerate(self.names):
            found.setdefault(name, []).extend(range(number * each, (number + 1) * each))
        return {name: torch.tensor(own, device=device) for name, own in found.items()}

    def add(self, layer: str, x: Tensor, output: Tensor) -> Tensor:
        """The layer's output with each row's product added."""
        result = output.clone()
        for name, own in self.places(x).items():
            adapter = None if name is None else self.adapters[name]
            places = [] if adapter is None else adapter.places.get(layer, [])
            if adapter is None or not places:
                continue
            for place in places:
                in_use = adapter.composed(place)
            result[own] = add_product(x[own], output[own], in_use, adapter.sites, places, share=False)
        return result


class _HeadHook:
    """Runs a module once more for each adapter of the rows, with that adapter's weights."""

    def __init__(self, attachment: Attachment, name: str) -> None:
        self.attachment, self.name = attachment, name
        self.running = False

    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Put the answer together from those of the adapters."""
        rows = self.attachment.rows
        if rows is None or self.running or not self.attachment.enabled:
            return None
        if not isinstance(output, Tensor) or len(args) + len(kwargs) != 1:
            raise AdapterStateError(f"{self.name}: only a head with one input and one output can serve rows")
        self.running = True
        try:
            return self._answer(module, rows, given(args, kwargs), output)
        finally:
            self.running, self.attachment.rows = False, rows

    def _answer(self, module: nn.Module, rows: Rows, x: Tensor, output: Tensor) -> Tensor:
        result = torch.empty_like(output)
        for name, own in rows.places(x).items():
            adapter = None if name is None else rows.adapters[name]
            self.attachment.rows = Rows((name,), rows.adapters)  # adapted layers inside get these rows alone
            result[own] = torch.func.functional_call(module, self._weights(adapter), (x[own],))
        return result

    def _weights(self, adapter: Adapter | None) -> dict[str, Tensor]:
        """Those of the adapter, or the model's own where it has none."""
        if adapter is None or self.name not in dict(adapter.head):
            return self.attachment.head_originals[self.name]
        return heads.part(heads.head_weights(adapter), f"{self.name}.")
