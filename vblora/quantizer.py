"""What transformers notes on a quantised model, and what changes there while adapters are attached or merged.

- Its Trainer refuses a quantised model without PEFT's adapters (`validate_quantization_for_training`), unless
  the quantizer says that it can be trained.
- A saved model says in its configuration how it is quantised. Merged layers no longer are and must be listed
  among those to be left alone.

transformers is not imported: a model that it quantised has an attribute `hf_quantizer`.
"""

import copy
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from vblora import quantized
from vblora.errors import VBLoRAError

NOTED = ("hf_quantizer", "quantization_method", "is_quantized", "is_loaded_in_4bit", "is_loaded_in_8bit")
UNMARKED = "_vblora_unmarked"  # of a marked quantizer: its class before
PACKING = "support_avx512bf16_for_cpu"  # of a 4-bit layer: infer on such a CPU from another storage


@functools.cache
def _marked(kind: Any) -> Any:
    """A class of quantizers like this one that also says that it can be trained."""

    def reduce(self: Any, protocol: Any) -> tuple[Any, tuple[Any, dict[str, Any]]]:
        return _marked_copy, (kind, self.__dict__)  # copies and pickles are marked too

    own = {"__module__": kind.__module__, "is_qat_trainable": True, "__reduce_ex__": reduce, UNMARKED: kind}
    return type(kind.__name__, (kind,), own)


def _marked_copy(kind: Any, state: dict[str, Any]) -> Any:
    quantizer = kind.__new__(kind)
    quantizer.__dict__.update(state)
    quantizer.__class__ = _marked(kind)
    return quantizer


def prepare(model: nn.Module) -> list[str]:
    """Make a quantised model ready for training an adapter; does nothing to another model.

    Its quantizer is marked as trainable. 4-bit layers keep their stored form also when they infer on the CPU
    (see `quantized.unpack`).

    Returns:
        The names of the layers whose packing was switched off, for `restore`.
    """
    for _, owner in _owners(model):
        quantizer: Any = owner.hf_quantizer
        if not getattr(quantizer, "is_qat_trainable", False):
            kind: Any = type(quantizer)
            quantizer.__class__ = _marked(kind)
    packing = [name for name, layer in model.named_modules() if vars(layer).get(PACKING)]
    for name in packing:
        layer = model.get_submodule(name)
        quantized.unpack(layer)
        setattr(layer, PACKING, False)
    return packing


def restore(model: nn.Module, packing: Sequence[str]) -> None:
    """Undo `prepare`."""
    for _, owner in _owners(model):
        quantizer: Any = owner.hf_quantizer
        quantizer.__class__ = getattr(quantizer, UNMARKED, type(quantizer))
    for name in packing:
        layer = model.get_submodule(name)
        if PACKING in vars(layer):
            setattr(layer, PACKING, True)


def _owners(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Models that transformers quantised: the root, or parts of it, with a prefix for the names inside."""
    for name, module in model.named_modules():
        if vars(module).get("hf_quantizer") is not None:
            yield (f"{name}." if name else ""), module


@dataclass
class Notes:
    """What transformers had noted on one model before layers of it were replaced."""

    prefix: str
    attributes: dict[str, Any]
    config: Any


def check_noted(model: nn.Module) -> None:
    """Refuse to replace layers of a part, whose configuration speaks of a larger model.

    Raises:
        VBLoRAError: the model is such a part.
    """
    inner = getattr(getattr(model, "config", None), "quantization_config", None) is not None
    if inner and vars(model).get("hf_quantizer") is None:
        raise VBLoRAError(
            f"this {type(model).__name__} is part of a quantised model, whose configuration must tell which"
            " layers are merged; attach and merge on the whole model"
        )


def note_dense(model: nn.Module, names: Sequence[str], notes: list[Notes]) -> None:
    """Write down that these layers are dense now, so that a saved model is loaded as it is.

    A model without any quantised layer left is noted as one that was never quantised. Else its configuration
    lists the layers among those that are not to be quantised.

    Args:
        model: the root.
        names: full names of its layers that were replaced.
        notes: gets what was noted before, for `note_back`.
    """
    for prefix, owner in _owners(model):
        inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        config: Any = owner.config
        if not inside:
            continue
        attributes = {name: vars(owner)[name] for name in NOTED if name in vars(owner)}
        notes.append(Notes(prefix, attributes, config.quantization_config))
        if any(map(quantized.is_packed, owner.parameters())):
            config.quantization_config = _skipping(config.quantization_config, owner.hf_quantizer, inside)
            continue
        del config.quantization_config
        for name in attributes:
            delattr(owner, name)


def _skipping(config: Any, quantizer: Any, names: Sequence[str]) -> Any:
    """A copy that skips these layers too. Without a list, transformers skips by rules (the head)."""
    listed = config.llm_int8_skip_modules
    skipped = quantizer.modules_to_not_convert if listed is None else listed
    changed = copy.copy(config)
    changed.llm_int8_skip_modules = [*dict.fromkeys([*(skipped or []), *names])]
    return changed


def note_back(model: nn.Module, notes: Sequence[Notes]) -> None:
    """Undo `note_dense`."""
    for note in notes:
        owner = model.get_submodule(note.prefix.removesuffix("."))
        for name, value in note.attributes.items():
            setattr(owner, name, value)
        config: Any = owner.config
        config.quantization_config = note.config
