"""The adapter file: one safetensors file whose header holds the configuration. Nothing is ever unpickled.

Its metadata has one entry, `vblora`, a JSON object:

    format      1
    kind        "trained" (every trained tensor; training can go on) or "topk" (only what use needs)
    method      "vblora" | "tied_lora" | "lora_xs"
    config      the fields of the method's configuration class
    sites       [[name, in_features, out_features], …] in the order of the adapter
    head        names of the modules that train in full beside it
    sha256      over all tensors, see `digest`

Tensors: the adapter's own under `adapter.`, the head's under `head.` and their full names; LoRA-XS adds
`fingerprint`.
"""

import dataclasses
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vblora.errors import AdapterFileError

FORMAT = 1
KINDS = ("trained", "topk")
Shapes = dict[str, tuple[tuple[int, ...], torch.dtype | None]]  # None: any floating type


@dataclass(frozen=True)
class Header:
    """The metadata of an adapter file; the fields are described in the module's text."""

    format: int
    kind: str
    method: str
    config: dict[str, Any]
    sites: list[list[Any]]
    head: list[str]
    sha256: str


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor, in the order of their names."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key]
        total.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def write(path: Path, tensors: dict[str, Tensor], header: Header) -> None:
    """Write the file in one step: a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}-{uuid.uuid4().hex}"
    try:
        metadata = {"vblora": json.dumps(dataclasses.asdict(header), sort_keys=True)}
        with temporary.open("xb") as file:  # safetensors' own writing would keep other users from reading it
            file.write(save(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_header(path: Path) -> Header:
    """Read and check the metadata.

    Raises:
        AdapterFileError: no such file, not a safetensors file, or not written by this library's format.
    """
    if not path.is_file():
        raise AdapterFileError(
            f"{path}: no such file; vblora.save writes {path.name} into the folder it is given"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get("vblora")
    except (SafetensorError, OSError) as error:
        raise AdapterFileError(
            f"{path}: not a whole safetensors file ({error}); it may be cut off"
        ) from error
    if text is None:
        raise AdapterFileError(
            f"{path}: a safetensors file of something else; its metadata has no entry 'vblora'"
        )
    return _parse(path, text)


def _parse(path: Path, text: str) -> Header:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AdapterFileError(f"{path}: its metadata is not valid JSON ({error})") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        version = found.get("format") if isinstance(found, dict) else None
        raise AdapterFileError(
            f"{path}: format {version!r} is not {FORMAT}, the one that this version of vblora reads"
        )
    fields = {field.name: field.type for field in dataclasses.fields(Header)}
    if set(found) != set(fields) or not _well_formed(found):
        raise AdapterFileError(
            f"{path}: its metadata must hold just {', '.join(fields)}, each of its own type"
        )
    return Header(**found)


def _well_formed(found: dict[str, Any]) -> bool:
    sites, head = found["sites"], found["head"]
    texts = isinstance(found["method"], str) and isinstance(found["sha256"], str) and found["kind"] in KINDS
    lists = isinstance(sites, list) and isinstance(head, list) and isinstance(found["config"], dict)
    return texts and lists and all(isinstance(name, str) for name in head) and all(map(_is_site, sites))


def _is_site(site: Any) -> bool:
    return isinstance(site, list) and [type(value) for value in site] == [str, int, int]


def read_tensors(path: Path, expected: Shapes, sha256: str) -> dict[str, Tensor]:
    """Read all tensors after checking that names, shapes and types are the expected ones.

    Raises:
        AdapterFileError: something differs, a value is not finite, or the checksum is wrong.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            _check_shapes(path, file, expected)
            tensors = {key: file.get_tensor(key) for key in expected}
    except (SafetensorError, OSError) as error:
        raise AdapterFileError(f"{path}: not a whole safetensors file ({error})") from error
    if digest(tensors) != sha256:
        raise AdapterFileError(
            f"{path}: its checksum is wrong; the file was changed or damaged after it was written"
        )
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise AdapterFileError(f"{path}: tensor {key} holds NaN or infinity")
    return tensors


def _check_shapes(path: Path, file: Any, expected: Shapes) -> None:
    found = set(file.keys())
    if found != set(expected):
        missing, foreign = sorted(set(expected) - found), sorted(found - set(expected))
        raise AdapterFileError(
            f"{path}: tensors missing: {missing or 'none'}; tensors that do not belong: {foreign or 'none'}"
        )
    for key, (shape, dtype) in expected.items():
        part = file.get_slice(key)
        name = part.get_dtype()
        typed = name in _NAMES[dtype] if dtype is not None else name in _FLOATING
        if tuple(part.get_shape()) != shape or not typed:
            wanted = f"{list(shape)} {dtype or 'floating'}"
            raise AdapterFileError(f"{path}: tensor {key} is {part.get_shape()} {name}, expected {wanted}")


_NAMES = {
    **{torch.float32: ("F32",), torch.uint8: ("U8",), torch.uint16: ("U16",), torch.int32: ("I32",)},
    **{torch.int64: ("I64",), torch.bool: ("BOOL",)},  # counters and masks of a head
}
_FLOATING = ("F64", "F32", "F16", "BF16")
