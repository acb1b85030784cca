"""The file of a selection footprint: safetensors, with sites and numbers in its header."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from vblora.errors import AdapterFileError
from vblora.footprint import SIDES, Footprint

FORMAT = "vblora footprint 1"
WHOLE = ("site", "side", "first", "last", "watched", "counts")
TENSORS = (*WHOLE, "vectors", "weights")


def save(footprint: Footprint, path: str | os.PathLike[str]) -> None:
    """Write a footprint whole, or leave the old file: safetensors, with sites and numbers in the header."""
    tensors = {name: getattr(footprint, name).contiguous() for name in TENSORS}
    numbers = {"num_periods": footprint.num_periods, "num_steps": footprint.num_steps}
    about = {"format": FORMAT, "sites": json.dumps(footprint.sites), "numbers": json.dumps(numbers)}
    partial = Path(path).with_name(f".{Path(path).name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(packed(tensors, metadata=about))
    partial.replace(path)


def load(path: str | os.PathLike[str]) -> Footprint:
    """Read a footprint.

    Raises:
        AdapterFileError: the file is missing, damaged, foreign, or its parts do not fit each other.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise AdapterFileError(f"{path}: is no footprint; it lacks the format {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in TENSORS}
        _require(path, _misshapen(tensors))
        found = Footprint(sites=json.loads(about["sites"]), **tensors, **json.loads(about["numbers"]))
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, AdapterFileError):
            raise
        raise AdapterFileError(f"{path}: cannot be read as a footprint: {error}") from error
    _require(path, _out_of_range(found))
    return found


def _require(path: str | os.PathLike[str], problem: str) -> None:
    if problem:
        raise AdapterFileError(f"{path}: damaged: {problem}")


def _misshapen(tensors: Mapping[str, Tensor]) -> str:
    """What does not fit in shape or type, in words; empty for a good footprint."""
    like = tuple(tensors["first"].shape)
    shapes: dict[str, tuple[int | None, ...]] = {
        "first": (None, None),
        "vectors": (None, None),
        "last": like,
        "weights": like,
        "site": like[:1],
        "side": like[:1],
        "watched": (None,),
        "counts": (None, 4),
    }
    for name, shape in shapes.items():
        tensor = tensors[name]
        fits = len(tensor.shape) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, tensor.shape, strict=True)
        )
        kind = torch.int32 if name in WHOLE else torch.float32
        if not fits or tensor.dtype != kind:
            return f"{name} is {tensor.dtype} {tuple(tensor.shape)}"
    return ""


def _out_of_range(found: Footprint) -> str:
    """What points to something that is not there, in words; empty for a good footprint."""
    rows, vectors = len(found.first), len(found.vectors)
    if not isinstance(found.sites, list) or not all(isinstance(name, str) for name in found.sites):
        return "sites are no list of names"
    for number in (found.num_periods, found.num_steps):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return f"{number!r} is no number of periods or steps"
    limits = {
        "site": (found.site, len(found.sites)),
        "side": (found.side, len(SIDES)),
        "first": (found.first, vectors),
        "last": (found.last, vectors),
        "watched": (found.watched, rows),
        "periods": (found.counts[:, 0], found.num_periods),
        "places": (found.counts[:, 1], len(found.watched)),
        "counted vectors": (found.counts[:, 2], vectors),
        "counts": (found.counts[:, 3], 2**31),
    }
    for name, (tensor, end) in limits.items():
        if len(tensor) and (int(tensor.min()) < 0 or int(tensor.max()) >= end):
            return f"{name} lie outside 0..{end - 1}"
    finite = all(bool(tensor.isfinite().all()) for tensor in (found.vectors, found.weights))
    return "" if finite else "numbers that are not finite"
