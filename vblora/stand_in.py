"""A model with the layers that an adapter needs and no weights, so that files can be read without the model.

Each linear layer has its sizes and a single number in the place of its weight; a head has the tensors that it
is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vblora import peft_files
from vblora.adapter_file import FILE_NAME, Header, read_all, read_header
from vblora.banks import read_bank
from vblora.encoding import Mixtures, decoded
from vblora.errors import AdapterFileError
from vblora.peft_adapters import attach_checkpoint
from vblora.sites import RESERVED
from vblora.storage import load_from

Sizes = Mapping[str, tuple[int, int]]  # by layer: in_features, out_features


def read(path: str | os.PathLike[str], bank: str | os.PathLike[str] | None = None) -> nn.Module:
    """A stand-in model that has the adapter of a file of ours or of a folder of PEFT's, to be saved anew.

    Args:
        path: a file or folder that `vblora.save` wrote, or a folder that PEFT wrote.
        bank: as of `vblora.load`.

    Raises:
        AdapterFileError: it is damaged or of another method, or needs the model's weights (LoRA-XS).
    """
    folder = Path(path)
    if peft_files.is_peft(folder):
        return _read_peft(folder)
    file = folder / FILE_NAME if folder.is_dir() else folder
    header = read_header(file)
    if header.method == "lora_xs":
        raise AdapterFileError(f"{file}: LoRA-XS cannot be read without the weights of its model")
    tensors = decoded(read_all(file, header.sha256))
    head = {key.removeprefix("head."): value for key, value in tensors.items() if key.startswith("head.")}
    model = stand_in(_sizes(header), head)
    load_from(model, file, "default", None if bank is None else read_bank(bank))
    return model


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


def _read_peft(folder: Path) -> nn.Module:
    checkpoint = peft_files.read(folder)
    b = checkpoint.bank.shape[1]
    rank = checkpoint.config.get("r", 4)
    sizes = {}
    for layer in sorted(checkpoint.sides, key=_natural):  # a file may have any order
        inputs, outputs = (_rows(side) * b // max(rank, 1) for side in checkpoint.sides[layer])
        sizes[layer] = inputs, outputs
    model = stand_in(sizes, checkpoint.head)
    attach_checkpoint(model, checkpoint, "default")
    return model


def _rows(side: Tensor | Mixtures) -> int:
    """Sub-vectors of one factor: r times its tiles."""
    return len(side.columns) if isinstance(side, Mixtures) else side.shape[0] * side.shape[1]


def _natural(name: str) -> list[tuple[int, str]]:
    """Layer 10 behind layer 9; query before key before value, as models call them."""
    order = {word: f"{number:04}" for number, word in enumerate(CALLED)}
    return [(int(part), "") if part.isdigit() else (-1, order.get(part, part)) for part in name.split(".")]


CALLED = (
    "query",
    "key",
    "value",
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)


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
    for part in name.split(".") if name else ():
        if part not in module._modules:
            _put(module, part, nn.Module())
        module = module.get_submodule(part)
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
