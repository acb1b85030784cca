"""A model with the layers that an adapter needs and no weights, so that files can be read without the model.

Each linear layer has its sizes and a single number in the place of its weight; a head has the tensors that it
is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vblora import peft_files
from vblora.adapter_file import MOST_FEATURES, Header, Source, read_all, read_header
from vblora.encoding import decoded
from vblora.errors import AdapterFileError
from vblora.heads import part
from vblora.places import Place
from vblora.sites import RESERVED

Sizes = Mapping[str, tuple[int, int]]  # by layer: in_features, out_features


def read(place: Place) -> nn.Module:
    """A stand-in model that has the adapter of a place, to be saved anew.

    Raises:
        AdapterFileError: it is damaged or of another method, or needs the model's weights (LoRA-XS).
    """
    model = _for_peft(Path(str(place.source))) if place.peft else _for_ours(place.source)
    place.attach(model)
    return model


def _for_ours(source: Source) -> nn.Module:
    header = read_header(source)
    if header.method == "lora_xs":
        raise AdapterFileError(f"{source}: LoRA-XS cannot be read without the weights of its model")
    head = part(decoded(read_all(source, header.sha256)), "head.") if header.head else {}
    return stand_in(_sizes(header), head)


def _sizes(header: Header) -> dict[str, tuple[int, int]]:
    """The layers of the sites; a slice belongs to a layer with as many parts as `splits` says."""
    found, splits = {}, header.config.get("splits")
    for name, inputs, outputs in header.sites:
        layer, _, part = name.rpartition(".")
        parts = _parts(splits, layer)
        found[layer if part in parts else name] = inputs, outputs * len(parts) if part in parts else outputs
    return found


def _parts(splits: Any, layer: str) -> list[Any]:
    """The names of a layer's parts; none if `splits` are not of their form, which loading refuses."""
    for ending, parts in splits.items() if isinstance(splits, dict) else ():
        if isinstance(parts, list) and (layer == ending or layer.endswith(f".{ending}")):
            return parts
    return []


def _for_peft(folder: Path) -> nn.Module:
    checkpoint = peft_files.read(folder)
    b = checkpoint.bank.shape[1]
    sizes = {layer: (A[0].shape[1] * b, B[0].shape[1] * b) for layer, (A, B) in checkpoint.sides.items()}
    return stand_in(sizes, checkpoint.head)


def stand_in(sizes: Sizes, head: Mapping[str, Tensor]) -> nn.Module:
    """Build the model.

    Args:
        sizes: of the linear layers.
        head: tensors of other modules by full name.

    Raises:
        AdapterFileError: a name or a size is impossible.
    """
    root = nn.Module()
    for name, (inputs, outputs) in sizes.items():
        if outputs >= MOST_FEATURES:
            raise AdapterFileError(f"{name}: {outputs} outputs are more than any layer has")
        _put(root, name, _hollow(inputs, outputs))
    for name, tensor in head.items():
        module, _, own = name.rpartition(".")
        _keep(_reach(root, module), own, tensor)
    return root


def _hollow(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    layer.in_features, layer.out_features = inputs, outputs
    layer.weight = nn.Parameter(torch.zeros(1).expand(outputs, inputs), requires_grad=False)
    return layer


def _reach(root: nn.Module, name: str) -> nn.Module:
    """The module of this name, made with all above it if it is missing."""
    module = root
    for own in name.split(".") if name else ():
        if own not in module._modules:
            _put(module, own, nn.Module())
        module = module.get_submodule(own)
    return module


def _put(root: nn.Module, name: str, module: nn.Module) -> None:
    above, _, own = name.rpartition(".")
    parent = _reach(root, above)
    if not own or own == RESERVED or hasattr(parent, own) or isinstance(parent, nn.Linear):
        raise AdapterFileError(f"{name!r} cannot be the name of a layer")
    parent.add_module(own, module)


def _keep(module: nn.Module, name: str, tensor: Tensor) -> None:
    if not name or hasattr(module, name):
        raise AdapterFileError(f"{name!r} cannot be the name of a tensor")
    if tensor.is_floating_point():
        module.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    else:
        module.register_buffer(name, tensor)
