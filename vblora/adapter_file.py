"""The adapter file: one safetensors file whose header holds the configuration. Nothing is ever unpickled.

Its metadata has one entry, `vblora`, a JSON object:

    format      2
    kind        "trained" (every trained tensor; training can go on) or "topk" (only what use needs)
    precision   "exact" | "compact" | "tiny", of the tensors, see `encoding`
    method      "vblora" | "tied_lora" | "lora_xs"
    config      the fields of the method's configuration class
    sites       [[name, in_features, out_features], …] in the order of the adapter, as JSON, zlib and base64
    head        names of the modules that train in full beside it
    bank        identity of the bank of vectors that is not in the file, or null, see `banks`
    sha256      over all tensors, see `digest`

Tensors: the adapter's own under `adapter.`, the head's under `head.` and their full names; LoRA-XS adds
`fingerprint`. docs/file-format.md describes them byte by byte.
"""

import base64
import dataclasses
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.torch import load, save
from torch import Tensor

from vblora.encoding import PRECISIONS, Shapes
from vblora.errors import AdapterFileError

FILE_NAME = "vblora.safetensors"
FORMAT = 2
KINDS = ("trained", "topk")
MOST_SITES_BYTES = 2**24  # of the list of sites: a file cannot ask for more memory
MOST_FEATURES = 2**31  # of one side of a layer


def file_in(path: str | os.PathLike[str]) -> Path:
    """The adapter file in a folder that `vblora.save` was given; or the path, if that is no folder."""
    return Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)


@dataclass(frozen=True)
class Header:
    """The metadata of an adapter file; the fields are described in the module's text."""

    format: int
    kind: str
    precision: str
    method: str
    config: dict[str, Any]
    sites: list[list[Any]]
    head: list[str]
    bank: str | None
    sha256: str


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor, in the order of their names."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key]
        total.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def content(tensors: dict[str, Tensor], header: Header) -> bytes:
    """The whole file."""
    data: bytes = save(tensors, {"vblora": _text(header)})
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file in one step: a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}-{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:  # safetensors' own writing would keep other users from reading it
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _text(header: Header) -> str:
    """The metadata; names of sites repeat, so that they take a twentieth of their length compressed."""
    fields = dataclasses.asdict(header)
    sites = zlib.compress(json.dumps(header.sites, separators=(",", ":")).encode(), 9)
    return json.dumps(fields | {"sites": base64.b64encode(sites).decode()}, sort_keys=True)


def _unpacked_sites(text: Any) -> Any:
    """The list of sites; anything else if the text is none."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(base64.b64decode(text, validate=True), MOST_SITES_BYTES)
        return json.loads(found) if unpacking.eof else None
    except (TypeError, ValueError, RecursionError, zlib.error):
        return None


@dataclass(frozen=True)
class Blob:
    """A whole adapter file in memory, as a store keeps it.

    Attributes:
        name: for messages.
        data: the file's bytes.
    """

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


Source = Path | Blob


class _Part:
    """One tensor of a blob, with the interface of safetensors' slices."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found

    def get_shape(self) -> list[int]:
        return list(self._found["shape"])

    def get_dtype(self) -> str:
        return str(self._found["dtype"])


class _Opened:
    """A blob, with the interface of `safe_open`."""

    def __init__(self, blob: Blob) -> None:
        parts: Any = deserialize(blob.data)  # type: ignore[no-untyped-call]  # checks the structure
        self._parts: dict[str, Any] = dict(parts)
        self._tensors: dict[str, Tensor] = {}
        self._data = blob.data

    def keys(self) -> list[str]:
        return list(self._parts)

    def get_slice(self, key: str) -> _Part:
        return _Part(self._parts[key])

    def get_tensor(self, key: str) -> Tensor:
        self._tensors = self._tensors or load(self._data)
        return self._tensors[key]


def _metadata(source: Source) -> Mapping[str, Any]:
    """Of a blob its own few bytes are read; the rest is checked when tensors are."""
    if isinstance(source, Path):
        with _opened(source) as file:
            found: Mapping[str, Any] | None = file.metadata()
            return found or {}
    try:
        size = int.from_bytes(source.data[:8], "little")
        header = json.loads(source.data[8 : 8 + size]) if 8 + size <= len(source.data) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise AdapterFileError(f"{source}: not a whole safetensors file; it may be cut off")
    metadata = header.get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    """What is in a file or blob.

    Raises:
        AdapterFileError: it is not a whole safetensors file.
    """
    try:
        if isinstance(source, Blob):
            yield _Opened(source)
        else:
            with safe_open(str(source), framework="pt") as file:
                yield file
    except (SafetensorError, OSError) as error:
        raise AdapterFileError(
            f"{source}: not a whole safetensors file ({error}); it may be cut off"
        ) from error


def read_header(source: Source) -> Header:
    """Read and check the metadata.

    Raises:
        AdapterFileError: no such file, not a safetensors file, or not written by this library's format.
    """
    if isinstance(source, Path) and not source.is_file():
        raise AdapterFileError(
            f"{source}: no such file; vblora.save writes {source.name} into the folder it is given"
        )
    text = _metadata(source).get("vblora")
    if text is None:
        raise AdapterFileError(
            f"{source}: a safetensors file of something else; its metadata has no entry 'vblora'"
        )
    return _parse(source, text)


def _parse(path: Source, text: str) -> Header:
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
    if set(found) == set(fields):
        found["sites"] = _unpacked_sites(found["sites"])
    if set(found) != set(fields) or not _well_formed(found):
        raise AdapterFileError(
            f"{path}: its metadata must hold just {', '.join(fields)}, each of its own type"
        )
    return Header(**found)


def _well_formed(found: dict[str, Any]) -> bool:
    sites, head = found["sites"], found["head"]
    texts = all(isinstance(found[name], str) for name in ("kind", "precision", "method", "sha256"))
    texts = texts and found["kind"] in KINDS and found["precision"] in PRECISIONS
    texts = texts and isinstance(found["bank"], str | None)
    lists = isinstance(sites, list) and isinstance(head, list) and isinstance(found["config"], dict)
    return texts and lists and all(isinstance(name, str) for name in head) and all(map(_is_site, sites))


def _is_site(site: Any) -> bool:
    typed = isinstance(site, list) and [type(value) for value in site] == [str, int, int]
    return typed and all(0 < size < MOST_FEATURES for size in site[1:])


def read_tensors(source: Source, expected: Shapes, sha256: str) -> dict[str, Tensor]:
    """Read all tensors after checking that names, shapes and types are the expected ones.

    Raises:
        AdapterFileError: something differs, a value is not finite, or the checksum is wrong.
    """
    with _opened(source) as file:
        _check_shapes(source, file, expected)
    return read_all(source, sha256)


def read_all(source: Source, sha256: str) -> dict[str, Tensor]:
    """Read all tensors, whatever they are.

    Raises:
        AdapterFileError: a value is not finite, or the checksum is wrong.
    """
    with _opened(source) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    if digest(tensors) != sha256:
        raise AdapterFileError(
            f"{source}: its checksum is wrong; the file was changed or damaged after it was written"
        )
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise AdapterFileError(f"{source}: tensor {key} holds NaN or infinity")
    return tensors


def _check_shapes(path: Source, file: Any, expected: Shapes) -> None:
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
    **{torch.float16: ("F16",), torch.int8: ("I8",)},
}
_FLOATING = ("F64", "F32", "F16", "BF16")
