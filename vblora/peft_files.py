"""PEFT's VB-LoRA checkpoints: a folder with adapter_config.json and adapter_model.safetensors.

PEFT names tensors `base_model.model.<layer>.vblora_logits_A` (r, i/b, h) and `…_B` (o/b, r, h): B with our
two first axes swapped. With `save_only_topk_weights` each is two tensors, `…_topk_indices` (…, k) and
`…_topk_weights` (…, k-1). The bank is `base_model.vblora_vector_bank` (h, b), modules that train in full keep
their names behind the prefix. Source: peft 0.21, tuners/vblora/model.py.

PEFT restores the last weight of a mixture as 1 - Σ of the others. For k of 3 and more, rounding can make it
negative and its logarithm NaN; what is written here leaves it positive, what is read is not below 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vblora import heads
from vblora.adapter import Adapter
from vblora.adapter_file import FILE_NAME, write
from vblora.counting import peft_index_bytes
from vblora.encoding import LOWEST
from vblora.errors import AdapterFileError, VBLoRAError
from vblora.sites import is_conv1d

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
BANK = "base_model.vblora_vector_bank"
SIDES = ("vblora_logits_A", "vblora_logits_B")
INDICES, SHARES = "_topk_indices", "_topk_weights"
MOST_CONFIG_BYTES = 2**24
MARGIN = 1e-6  # what PEFT must find left for the last weight, above float32's rounding of a sum


Side = tuple[Tensor, ...]


@dataclass(frozen=True)
class Checkpoint:
    """What a folder of PEFT's holds.

    Attributes:
        config: adapter_config.json.
        bank: (h, b) in float32.
        sides: by layer, its A and its B: each (logits,) as (r, tiles, h), or (columns, scores) as
            (r, tiles, k), the largest weight first.
        head: tensors of modules that train in full, by full name.
    """

    config: dict[str, Any]
    bank: Tensor
    sides: dict[str, tuple[Side, Side]]
    head: dict[str, Tensor]

    @property
    def kind(self) -> str:
        """As of `vblora.save`."""
        A, _ = next(iter(self.sides.values()))
        return "topk" if len(A) == 2 else "trained"


def is_peft(path: Path) -> bool:
    """Whether this is a folder that PEFT wrote, and not we."""
    return (path / CONFIG).is_file() and not (path / FILE_NAME).exists()


def read(folder: Path) -> Checkpoint:
    """Read a folder.

    Raises:
        AdapterFileError: a file is missing or damaged, is pickled, or is of another method.
    """
    config = _read_config(folder / CONFIG)
    path = folder / WEIGHTS
    if not path.is_file():
        raise AdapterFileError(
            f"{path}: no such file; a pickled adapter_model.bin is not read, let PEFT save safetensors"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AdapterFileError(
            f"{path}: not a whole safetensors file ({error}); it may be cut off"
        ) from error
    try:
        return sorted_out(tensors, config)
    except AdapterFileError as error:
        raise AdapterFileError(f"{path}: {error}") from error


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise AdapterFileError(f"{path}: no such file; PEFT's save_pretrained writes it")
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MOST_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterFileError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(found, dict) or found.get("peft_type") != "VBLORA":
        kind = found.get("peft_type") if isinstance(found, dict) else None
        raise AdapterFileError(f"{path}: a PEFT adapter of type {kind!r}, not VBLORA")
    return found


def sorted_out(tensors: Mapping[str, Tensor], config: dict[str, Any]) -> Checkpoint:
    """Tell bank, layers and head apart in PEFT's state dict.

    Raises:
        AdapterFileError: something is missing, does not belong, has an impossible shape or is not finite.
    """
    left = dict(tensors)
    for key, value in left.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise AdapterFileError(f"tensor {key} holds NaN or infinity")
    bank = _taken(left, BANK).float()
    if bank.dim() != 2:
        raise AdapterFileError(f"tensor {BANK} is {list(bank.shape)}, expected (h, b)")
    endings = tuple(f".{SIDES[0]}{ending}" for ending in ("", INDICES))
    layers = [key.rpartition(".")[0] for key in left if key.endswith(endings)]
    if not layers:
        raise AdapterFileError("no layer has logits")
    sides = {
        layer.removeprefix(PREFIX): (_side(left, layer, 0, len(bank)), _side(left, layer, 1, len(bank)))
        for layer in layers
    }
    for key in left:
        if "vblora_" in key or not key.startswith(PREFIX):
            raise AdapterFileError(f"tensor {key} does not belong to a VB-LoRA adapter")
    head = {key.removeprefix(PREFIX): value for key, value in left.items()}
    return Checkpoint(config, bank, sides, head)


def _taken(left: dict[str, Tensor], key: str) -> Tensor:
    if key not in left:
        raise AdapterFileError(f"tensor {key} is missing")
    return left.pop(key)


def _side(left: dict[str, Tensor], layer: str, side: int, h: int) -> Side:
    """One factor as logits, or as columns and scores, with the axes [ρ, tile]."""
    key = f"{layer}.{SIDES[side]}"
    if key in left:
        logits = _three_axes(key, left.pop(key), side)
        if logits.shape[2] != h:
            raise AdapterFileError(f"tensor {key} has {logits.shape[2]} logits for a bank of {h} vectors")
        return (logits.float(),)
    columns = _three_axes(key + INDICES, _taken(left, key + INDICES), side)
    shares = _three_axes(key + SHARES, _taken(left, key + SHARES), side)
    expected = (*columns.shape[:2], columns.shape[2] - 1)
    if columns.is_floating_point() or not shares.is_floating_point() or shares.shape != expected:
        raise AdapterFileError(f"tensor {key}: indices and weights do not fit one another")
    return _mixtures(key, columns.long(), shares, h)


def _three_axes(key: str, tensor: Tensor, side: int) -> Tensor:
    if tensor.dim() != 3 or 0 in tensor.shape[:2]:
        raise AdapterFileError(f"tensor {key} is {list(tensor.shape)}, expected three axes")
    return tensor.transpose(0, 1) if side else tensor


def _mixtures(key: str, columns: Tensor, shares: Tensor, h: int) -> Side:
    """Columns and scores, the last weight restored as 1 - Σ of the others."""
    if bool(((columns < 0) | (columns >= h)).any()):
        raise AdapterFileError(f"tensor {key}: an index points beyond the {h} vectors of the bank")
    rest = 1 - shares.float().sum(-1, keepdim=True)
    rounding = columns.shape[2] * torch.finfo(shares.dtype).eps
    if bool((shares < 0).any()) or bool((rest < -rounding).any()):
        raise AdapterFileError(f"tensor {key}: the weights of a sub-vector are below 0 or sum to more than 1")
    weights = torch.cat([shares.float(), rest.clamp_min(0)], -1)
    scores, order = weights.log().clamp_min(LOWEST).sort(dim=-1, descending=True, stable=True)
    return columns.gather(-1, order), scores


def written(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a folder that PEFT loads: each file in one step, the configuration last."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    for key, value in plain.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise VBLoRAError(f"tensor {key} holds NaN or infinity; nothing was saved")
    write(folder / WEIGHTS, save(plain, {"format": "pt"}))
    write(folder / CONFIG, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def logits_named(layer: str, sides: Sequence[Tensor]) -> dict[str, Tensor]:
    """Logits of one layer, A and B (r, tiles, h), under PEFT's names and in its order of axes."""
    A, B = sides
    return {f"{PREFIX}{layer}.{SIDES[0]}": A, f"{PREFIX}{layer}.{SIDES[1]}": B.transpose(0, 1)}


def mixtures_named(layer: str, columns: Sequence[Tensor], weights: Sequence[Tensor]) -> dict[str, Tensor]:
    """Mixtures of one layer: columns and weights (r, tiles, k) of A and of B."""
    found = {}
    parts = zip(logits_named(layer, columns).items(), logits_named(layer, weights).values(), strict=True)
    for (key, chosen), shares in parts:
        found[key + INDICES], found[key + SHARES] = chosen, _leaving_some(shares)
    return found


def _leaving_some(weights: Tensor) -> Tensor:
    """All weights but the last, so that PEFT finds a positive last one."""
    shares = weights[..., :-1].clone()
    if shares.shape[-1]:
        short = (MARGIN - (1 - shares.sum(-1))).clamp_min(0)
        shares[..., 0] -= short
    return shares


def index_dtype(num_vectors: int) -> torch.dtype:
    """The type that PEFT keeps indices in."""
    return {1: torch.uint8, 2: torch.int16, 4: torch.int32}[peft_index_bytes(num_vectors)]


def named_heads(adapter: Adapter) -> dict[str, Tensor]:
    """The adapter's head under PEFT's names."""
    return {f"{PREFIX}{key}": value for key, value in heads.head_weights(adapter).items()}


def common(model: nn.Module, adapter: Adapter, peft_type: str, base_model: str | None) -> dict[str, Any]:
    """The fields of adapter_config.json that all of PEFT's methods have."""
    layers = [model.get_submodule(layer) for layer in adapter.places]
    base = getattr(getattr(model, "config", None), "_name_or_path", None)
    return {
        "peft_type": peft_type,
        "base_model_name_or_path": base_model or base or None,
        "target_modules": list(adapter.places),
        "modules_to_save": [name for name, _ in adapter.head] or None,
        "fan_in_fan_out": any(map(is_conv1d, layers)),
        "bias": "none",
        "inference_mode": True,
        "task_type": None,
    }
