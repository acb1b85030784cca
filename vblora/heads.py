"""Modules that train in full beside an adapter: each adapter has its own weights for them.

The modules stay the model's own. While an adapter is active they hold its weights; when another takes over,
the weights are parked with the adapter and the modules get back the model's own, which were kept when they
were first claimed.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from vblora.adapter import Adapter
from vblora.errors import TargetError, VBLoRAError
from vblora.quantized import is_packed
from vblora.sharding import whole
from vblora.sites import RESERVED

Weights = dict[str, Tensor]
Heads = list[tuple[str, nn.Module]]


def find_heads(model: nn.Module, also_train: Sequence[str]) -> Heads:
    """The modules whose names end in one of `also_train`, parts of adapters left out.

    Raises:
        TargetError: an ending matches no module, or one that holds 4- or 8-bit weights.
        VBLoRAError: `also_train` is a text and no list.
    """
    if isinstance(also_train, str):
        raise VBLoRAError(f"also_train is the text {also_train!r}; give a list of module names")
    heads: Heads = []
    modules = [(n, m) for n, m in model.named_modules() if n and RESERVED not in n.split(".")]
    for wanted in also_train:
        found = [(n, m) for n, m in modules if wanted and (n == wanted or n.endswith(f".{wanted}"))]
        if not found:
            known = ", ".join(dict(model.named_children()))
            raise TargetError(f"also_train: no module is named {wanted!r}; the model has {known}")
        heads += found
    check_trainable(heads)
    return heads


def check_trainable(heads: Heads) -> None:
    """Refuse modules whose weights cannot train in full.

    Raises:
        TargetError: a weight is 4- or 8-bit, or offloaded.
    """
    for name, module in heads:
        hooked = any(hasattr(part, "_hf_hook") for part in module.modules())
        if hooked and any(weight.is_meta for weight in module.parameters()):
            raise TargetError(
                f"also_train: accelerate keeps the weights of {name} elsewhere; leave it out of offloading"
            )
        if any(map(is_packed, module.parameters())):
            raise TargetError(
                f"also_train: {name} holds 4- or 8-bit weights, which cannot train in full; load the model"
                " with this module left out of quantisation, or adapt its layers"
            )


def claim(originals: dict[str, Weights], adapter: Adapter, heads: Heads) -> None:
    """Give the modules to an adapter; what they hold now is kept in `originals` unless it was before.

    No adapter may be active, so that what they hold is the model's own.
    """
    adapter.head = list(heads)
    for name, module in heads:
        if name not in originals:
            originals[name] = _copied(module.state_dict())


def head_weights(adapter: Adapter) -> Weights:
    """The adapter's own weights of its head by full name, whether it is active or not."""
    if adapter.parked is not None:
        return adapter.parked
    # FSDP2's `state_dict` gives shards, and lets go of all that `sharding.gathered` holds.
    return {
        f"{name}.{key}": whole(value)
        for name, module in adapter.head
        for key, value in module.state_dict().items()
    }


def park(originals: Mapping[str, Weights], adapter: Adapter) -> None:
    """Keep the adapter's weights with it, and put the model's own into the modules."""
    adapter.parked = _copied(head_weights(adapter))
    restore(originals, adapter)


def restore(originals: Mapping[str, Weights], adapter: Adapter) -> None:
    """Put the model's own weights into the modules of this adapter's head."""
    for name, module in adapter.head:
        module.load_state_dict(originals[name])


def adopt(originals: dict[str, Weights], model: nn.Module) -> None:
    """Take what the modules hold now as the model's own."""
    for name in originals:
        originals[name] = _copied(model.get_submodule(name).state_dict())


def unpark(adapter: Adapter) -> None:
    """Put the adapter's weights into the modules."""
    if adapter.parked is not None:
        fill(adapter, adapter.parked)
        adapter.parked = None


def fill(adapter: Adapter, weights: Mapping[str, Tensor]) -> None:
    """Copy weights, given by full name, into the modules of the adapter's head."""
    for name, module in adapter.head:
        module.load_state_dict(part(weights, f"{name}."))


def part(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    """Those whose names begin so, without it."""
    return {key.removeprefix(prefix): t for key, t in weights.items() if key.startswith(prefix)}


@torch.no_grad()
def _copied(weights: Mapping[str, Tensor]) -> Weights:
    return {key: value.detach().clone() for key, value in weights.items()}
