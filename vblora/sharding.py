"""Models whose parameters PyTorch's FSDP2 (`fully_shard`) spreads over processes.

There are two ways. An adapter is attached first and sharded with the model: it trains as it is; to be
written, its parameters are gathered for a moment. Or transformers shards the model as it loads it
(`from_pretrained(distributed_config=…)`), and the adapter is attached afterwards: it stays whole in every
process, and transformers' Trainer averages its gradients. What rewrites weights needs a whole model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from vblora.adapter import Adapter
from vblora.errors import AdapterStateError


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds a part only, a DTensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """The tensor with all its parts; every process must ask for it."""
    found: Tensor = getattr(tensor, "full_tensor", lambda: tensor)()
    return found


def is_loaded_sharded(model: nn.Module) -> bool:
    """Whether transformers sharded the model as it loaded it, so that what is attached now stays whole."""
    return bool(getattr(model, "is_distributed_loading_by_transformers", False))


def refuse_sharded(model: nn.Module, what: str) -> None:
    """Raise if the model is sharded.

    Args:
        model: the root module.
        what: cannot be done then, as a sentence.

    Raises:
        AdapterStateError: a parameter is sharded.
    """
    if any(map(is_sharded, model.parameters())):
        raise AdapterStateError(f"the model is sharded by FSDP: {what}")


@contextmanager
def gathered(model: nn.Module, adapter: Adapter) -> Iterator[None]:
    """Let an adapter's parameters be whole inside the block; every process must enter it if they are not.

    They are gone when the block ends, or when the `state_dict` of a sharded module is asked for: copy them.
    """
    if not any(map(is_sharded, adapter.parameters())):
        yield
        return
    modules = dict(model.named_modules())
    own = next(name for name, module in modules.items() if module is adapter)
    sharding = [name for name, module in modules.items() if hasattr(module, "unshard")]
    parts: list[Any] = [modules[name] for name in sharding if _holds(name, own)]
    for part in parts:
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()


def _holds(name: str, wanted: str) -> bool:
    """Whether a module is above another one, inside it, or it."""
    return f"{wanted}.".startswith(f"{name}." if name else "") or name.startswith(f"{wanted}.")
