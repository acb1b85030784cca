"""A model that PEFT adapted with VB-LoRA, taken over in place."""

from __future__ import annotations

from typing import Any

from torch import nn

from vblora.attachment import activate, check_free
from vblora.errors import AdapterStateError, VBLoRAError
from vblora.peft_adapters import attach_checkpoint
from vblora.peft_files import Checkpoint, sorted_out


def take_over(model: nn.Module) -> nn.Module:
    """Replace all VB-LoRA adapters of a `PeftModel` by this library's, with the same values.

    PEFT's wrappers are taken off; do not use its `PeftModel` any more, nor an optimizer made for it. The
    modules of `modules_to_save` get back the model's own weights, and each adapter its own of them. What
    PEFT froze stays frozen after `detach`.

    Args:
        model: what `peft.get_peft_model` or `PeftModel.from_pretrained` gave.

    Returns:
        The model that it wraps, with the adapters attached and the same one active.

    Raises:
        VBLoRAError: it is no `PeftModel`, or one of its adapters is of another method.
        AdapterStateError: adapters are merged, off, or several active at once. Nothing is changed then.
    """
    if not isinstance(model, _peft().PeftModel):
        raise VBLoRAError(f"a {type(model).__name__} is no PeftModel; load PEFT's files with load_peft")
    wrapped: Any = model
    _check(wrapped)
    active = wrapped.active_adapters[0]
    base: nn.Module = wrapped.get_base_model()
    for name in wrapped.peft_config:
        check_free(base, name)
    found = {name: _checkpoint(wrapped, name) for name in wrapped.peft_config}
    _unwrap(base)
    for name, checkpoint in found.items():
        attach_checkpoint(base, checkpoint, name)
    activate(base, active)
    return base


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise VBLoRAError("peft is not installed, so there is no PeftModel to take over") from error
    return peft


def _check(model: Any) -> None:
    for name, config in model.peft_config.items():
        if config.peft_type != "VBLORA":
            raise VBLoRAError(f"adapter {name!r} is of type {config.peft_type.value}, not VBLORA")
    layers = [module for module in model.modules() if hasattr(module, "vblora_logits_A")]
    if any(layer.merged for layer in layers):
        raise AdapterStateError("an adapter is merged; call unmerge_adapter() first")
    if any(layer.disable_adapters for layer in layers):
        raise AdapterStateError("the adapters are disabled; call enable_adapter_layers() first")
    if len(model.active_adapters) != 1:
        raise AdapterStateError(f"{len(model.active_adapters)} adapters are active; set_adapter to one")


def _checkpoint(model: Any, name: str) -> Checkpoint:
    """One adapter as PEFT would save it: with its logits, unless they came from a top-k file."""
    config = model.peft_config[name]
    before = config.save_only_topk_weights
    config.save_only_topk_weights = _from_topk(model, name)
    try:
        tensors = _peft().get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    finally:
        config.save_only_topk_weights = before
    return sorted_out(tensors, config.to_dict())


def _unwrap(base: nn.Module) -> None:
    """Put the model's own layers and heads back; PEFT's `unload` fails on a head of several layers."""
    heads = _peft().utils.ModulesToSaveWrapper
    for name, module in reversed(list(base.named_modules())):  # what lies inside first
        wrapper: Any = module
        if hasattr(module, "vblora_logits_A"):
            base.set_submodule(name, wrapper.base_layer)
        elif isinstance(module, heads):
            base.set_submodule(name, wrapper.original_module)
    if hasattr(base, "peft_config"):
        del base.peft_config


def _from_topk(model: Any, name: str) -> bool:
    layers = (m for m in model.modules() if hasattr(m, "vblora_logits_A") and name in m.vblora_logits_A)
    return any(bool(layer.vblora_logits_A[name].isinf().any()) for layer in layers)
