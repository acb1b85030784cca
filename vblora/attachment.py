"""Attaching adapters to a model and taking them off again.

The model stays the user's: every layer keeps its class and its keys. An adapter adds its product in a forward
hook. All adapters of a model live in one submodule of its root, `model.vblora`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from vblora import heads, quantizer
from vblora.adapter import Adapter, AdapterConfig
from vblora.errors import AdapterStateError
from vblora.hooks import LayerHook
from vblora.sharding import is_loaded_sharded, refuse_sharded
from vblora.sites import RESERVED, find_sites

if TYPE_CHECKING:
    from vblora.rows import Rows


class Attachment(nn.ModuleDict):
    """The adapters of one model by name, of which one at most is active."""

    def __init__(self, model: nn.Module) -> None:
        """Hook the root, so that its forwards compose once, and make a quantised model ready."""
        super().__init__()
        self.active: str | None = None
        self.enabled = True
        self.rows: Rows | None = None  # adapters by row of the batch, in place of the active one
        self.merged: str | None = None
        self.backups: dict[str, Tensor | nn.Module] = {}  # a merged layer's weight, or the layer it replaced
        self.notes: list[quantizer.Notes] = []
        self.packing = quantizer.prepare(model)
        self.head_originals: dict[str, heads.Weights] = {}
        self.required_grad = {name: p.requires_grad for name, p in model.named_parameters()}
        self.hooked: set[str] = set()
        self.handles: list[Any] = [
            model.register_forward_pre_hook(self._open),
            model.register_forward_hook(self._close, always_call=True),
        ]

    def forward(self, x: Any) -> Any:
        """Return what it is given: a root that is a Sequential calls this submodule after its layers."""
        return x

    def adapter(self, name: str | None = None) -> Adapter:
        """The adapter of this name, by default the active one.

        Raises:
            AdapterStateError: there is no such adapter.
        """
        name = self.active if name is None else name
        if name is None or name not in self:
            raise AdapterStateError(f"no adapter {name!r} is attached; attached: {', '.join(self) or 'none'}")
        return cast(Adapter, self[name])

    def current(self) -> Adapter | None:
        """The adapter whose product the layers must add now."""
        if not self.enabled or self.merged is not None or self.active is None:
            return None
        return cast(Adapter, self[self.active])

    def in_use(self) -> list[Adapter]:
        """The adapters whose products layers may ask for now."""
        if self.rows is not None and self.enabled:
            return list(self.rows.adapters.values())
        adapter = self.current()
        return [] if adapter is None else [adapter]

    # No count of open forwards is kept: after Ctrl-C inside one, torch does not call `_close`.
    def _open(self, model: nn.Module, args: Any) -> None:
        for adapter in self.in_use():
            adapter.begin()

    def _close(self, model: nn.Module, args: Any, output: Any) -> None:
        for adapter in self.in_use():
            adapter.end()

    def rest(self) -> None:
        """Let no adapter be active; the head's modules get back the model's own weights."""
        if self.active is not None:
            heads.park(self.head_originals, self.adapter())
            self.active = None

    def hook(self, model: nn.Module, adapter: Adapter) -> None:
        """Hook those layers of the adapter that have no hook yet."""
        for name in adapter.places:
            if name not in self.hooked:
                layer = model.get_submodule(name)
                handle = layer.register_forward_hook(LayerHook(self, name), with_kwargs=True)
                self.handles.append(handle)
                self.hooked.add(name)

    def remove_hooks(self) -> None:
        """Take every hook off the model."""
        for handle in self.handles:
            handle.remove()


def attach(
    model: nn.Module,
    config: AdapterConfig,
    name: str = "default",
    also_train: Sequence[str] = (),
) -> Adapter:
    """Attach an adapter to the model in place and make it the active one.

    Everything else is frozen, other adapters too until `activate`: only the new adapter and the modules in
    `also_train` train.

    Args:
        model: the root module; it keeps its class, its layers and its keys.
        config: what to attach and where.
        name: tells several adapters of one model apart.
        also_train: endings of names of modules that train in full beside the adapter, such as ["classifier"].

    Returns:
        The adapter, a submodule of `model.vblora`.

    Raises:
        TargetError: the targets match nothing, or something that is not linear.
        VBLoRAError: a value in the configuration is impossible.
        AdapterStateError: the name is taken or unusable, an adapter is merged, or the model is compiled or
            sharded. Nothing is changed in any of these cases.
    """
    check_free(model, name)
    if also_train:
        refuse_sharded(model, "also_train needs a whole model")
    config = config.checked()
    sites = find_sites(model, config.targets, config.splits)
    head = heads.find_heads(model, also_train)
    return install(model, config.build(model, sites), name, head)


def install(model: nn.Module, adapter: Adapter, name: str, head: heads.Heads) -> Adapter:
    """Put a ready adapter on the model, freeze the rest, and make it the active one; nothing here can fail.

    Args:
        model: checked by `check_free`.
        adapter: built for this model's sites.
        name: checked by `check_free`.
        head: the modules that train in full beside it.
    """
    attachment = attachment_of(model) or Attachment(model)
    for parameter_name, parameter in model.named_parameters():
        if RESERVED not in parameter_name.split("."):
            parameter.requires_grad_(False)
    adapter.train(model.training)
    model.add_module(RESERVED, attachment)
    attachment[name] = adapter
    attachment.hook(model, adapter)
    attachment.rest()
    heads.claim(attachment.head_originals, adapter, head)
    return activate(model, name)


def check_free(model: nn.Module, name: str) -> None:
    """Refuse a name that an adapter of this model cannot take.

    Raises:
        AdapterStateError: the name is taken or unusable, an adapter is merged, or the model is compiled or
            sharded.
    """
    attachment = attachment_of(model)
    if hasattr(model, "_orig_mod"):
        raise AdapterStateError("the model is compiled; attach to the model itself, then call torch.compile")
    if attachment is not None and name in attachment:
        raise AdapterStateError(
            f"an adapter {name!r} is attached already; detach it first or choose another name"
        )
    if not can_name(name):
        raise AdapterStateError(
            f"{name!r} cannot name an adapter; use letters, digits, _ and -, and no name of vblora's own"
        )
    if attachment is not None and attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged; unmerge it first")
    if not is_loaded_sharded(model):
        refuse_sharded(model, "attach and load before fully_shard, which must shard the adapter too")


def can_name(name: str) -> bool:
    """Whether an adapter on a model can have this name: that of a submodule, and none that it has itself."""
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name)) and not hasattr(
        Attachment(nn.Identity()), name
    )


def attachment_of(model: nn.Module) -> Attachment | None:
    """The attachment of this root, or None.

    Raises:
        AdapterStateError: the model has another submodule of that name.
    """
    found = getattr(model, RESERVED, None)
    if found is not None and not isinstance(found, Attachment):
        raise AdapterStateError(
            f"the model has an attribute {RESERVED!r} of its own; adapters cannot be attached to it"
        )
    return found


def required_attachment(model: nn.Module) -> Attachment:
    """The attachment of this root.

    Raises:
        AdapterStateError: no adapter is attached.
    """
    attachment = attachment_of(model)
    if attachment is None:
        raise AdapterStateError(
            f"no adapter is attached to this {type(model).__name__}; call vblora.attach or vblora.load"
        )
    return attachment


def activate(model: nn.Module, name: str) -> Adapter:
    """Let the layers add this adapter's product. It trains with its head; the other adapters are frozen.

    The head's modules get the weights that they had when this adapter was last active. So the model's
    `state_dict` holds the head of the active adapter alone; `vblora.save` writes each adapter with its own.

    Raises:
        AdapterStateError: no such adapter, one is merged, or the model is sharded.
    """
    attachment = required_attachment(model)
    chosen = attachment.adapter(name)
    if attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged; unmerge it first")
    if attachment.active != name:
        if not is_loaded_sharded(model):
            refuse_sharded(model, "activate before fully_shard")
        attachment.rest()
    for other in attachment.values():
        other.requires_grad_(False)
        for _, module in cast(Adapter, other).head:
            module.requires_grad_(False)
    heads.unpark(chosen)
    chosen.requires_grad_(chosen.trainable)
    for _, module in chosen.head:
        module.requires_grad_(True)
    attachment.active = name
    return chosen


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Run the model without any adapter inside the block. A trained head stays as it is.

    Raises:
        AdapterStateError: an adapter is merged, so that the weights themselves hold it.
    """
    attachment = required_attachment(model)
    if attachment.merged is not None:
        raise AdapterStateError(f"adapter {attachment.merged!r} is merged into the weights; unmerge it first")
    before, attachment.enabled = attachment.enabled, False
    try:
        yield
    finally:
        attachment.enabled = before


def detach(model: nn.Module, name: str | None = None) -> None:
    """Take one adapter off, or all of them.

    Without any left, the model is as it was, its head and `requires_grad` included. A merged adapter and its
    head stay in the weights: `merge` then `detach` leaves a plain, adapted model.

    Raises:
        AdapterStateError: no adapter is attached, or none of this name; or the model is sharded.
    """
    attachment = required_attachment(model)
    refuse_sharded(model, "save the adapter, and detach nothing")
    for gone in [name] if name is not None else list(attachment):
        adapter = attachment.adapter(gone)
        if attachment.active == gone:
            _leave(model, attachment, adapter)
        del attachment[gone]
    if not len(attachment):
        _restore(model, attachment)


def _leave(model: nn.Module, attachment: Attachment, adapter: Adapter) -> None:
    """The active adapter goes: the head is the model's own again, or stays if the adapter is merged."""
    for _, module in adapter.head:
        module.requires_grad_(False)
    if attachment.merged is None:
        heads.restore(attachment.head_originals, adapter)
    else:
        heads.adopt(attachment.head_originals, model)
        attachment.merged, attachment.backups, attachment.notes = None, {}, []
    attachment.active = None


def _restore(model: nn.Module, attachment: Attachment) -> None:
    attachment.remove_hooks()
    delattr(model, RESERVED)
    quantizer.restore(model, attachment.packing)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(attachment.required_grad.get(name, parameter.requires_grad))
