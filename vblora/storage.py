"""Saving an adapter to a folder, and loading one onto a model."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vblora import heads
from vblora.adapter import Adapter, AdapterConfig, site_device
from vblora.adapter_file import FORMAT, KINDS, Header, Shapes, digest, read_header, read_tensors, write
from vblora.attachment import check_free, install, required_attachment
from vblora.errors import AdapterFileError, AdapterStateError, TargetError, VBLoRAError
from vblora.lora_xs import LoRAXSConfig
from vblora.sites import Site, sites_named
from vblora.tied_lora import TiedLoRAConfig
from vblora.vb_lora import VBLoRAConfig

FILE_NAME = "vblora.safetensors"
METHODS: dict[str, type[AdapterConfig]] = {c.method: c for c in (VBLoRAConfig, TiedLoRAConfig, LoRAXSConfig)}


def save(
    model: nn.Module,
    folder: str | os.PathLike[str],
    kind: str = "trained",
    name: str | None = None,
) -> Path:
    """Write an adapter (by default the active one) and its head to `folder`/vblora.safetensors, in one step.

    Args:
        model: the model it is attached to.
        folder: made if missing; an older file there is replaced.
        kind: "trained" keeps every trained tensor; "topk" only what must be stored (bank, indices, weights),
            from which the adapter can be used but not trained further.
        name: which adapter.

    Returns:
        The path of the file.

    Raises:
        AdapterStateError: no such adapter, or the trained tensors of one that came from a top-k file are
            asked for.
        VBLoRAError: `kind` is unknown, or a tensor is not finite.
    """
    adapter = required_attachment(model).adapter(name)
    adapter.hold_float32()
    if kind not in KINDS:
        raise VBLoRAError(f"kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if kind == "trained" and not adapter.trainable:
        raise AdapterStateError('this adapter comes from a top-k file; it can only be saved with kind="topk"')
    tensors = _tensors(adapter, kind)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise VBLoRAError(f"tensor {key} holds NaN or infinity; nothing was saved")
    path = Path(folder) / FILE_NAME
    write(path, tensors, _header(adapter, kind, digest(tensors)))
    return path


def _tensors(adapter: Adapter, kind: str) -> dict[str, Tensor]:
    own = dict(adapter.named_parameters()) if kind == "trained" else adapter.stored()
    tensors = {f"adapter.{key}": value for key, value in own.items()}
    tensors |= {f"head.{key}": value for key, value in heads.head_weights(adapter).items()}
    fingerprint = adapter.fingerprint_of_base()
    tensors |= {} if fingerprint is None else {"fingerprint": fingerprint}
    return {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}


def _header(adapter: Adapter, kind: str, sha256: str) -> Header:
    config, head = dataclasses.asdict(adapter.config), [name for name, _ in adapter.head]
    return Header(FORMAT, kind, adapter.config.method, config, _site_list(adapter.sites), head, sha256)


def _site_list(sites: Sequence[Site]) -> list[list[Any]]:
    return [[site.name, site.in_features, site.out_features] for site in sites]


def load(model: nn.Module, folder: str | os.PathLike[str], name: str = "default") -> Adapter:
    """Attach the adapter in `folder` to the model, with its head, and make it the active one.

    The whole file is checked first: its structure, that it fits this model site by site, its sizes, its
    checksum, and that every number is finite. On any error nothing is attached and the model is as before.

    Raises:
        AdapterFileError: the file is missing, damaged, foreign, or made for another model.
        AdapterStateError: the name is taken, or an adapter is merged.
    """
    check_free(model, name)
    path = Path(folder) / FILE_NAME
    header = read_header(path)
    try:
        config = _config(header)
        sites = _checked_sites(header, model, config)
        expected = _own_shapes(config, sites, header.kind) | _head_shapes(header, model)
        tensors = read_tensors(path, expected, header.sha256)
        adapter = _built(model, config, sites, header.kind, tensors)
    except AdapterFileError:
        raise
    except VBLoRAError as error:
        raise AdapterFileError(f"{path}: {error}") from error
    install(model, adapter, name, [(key, model.get_submodule(key)) for key in header.head])
    heads.fill(adapter, _part(tensors, "head."))
    return adapter


def _config(header: Header) -> AdapterConfig:
    chosen = METHODS.get(header.method)
    if chosen is None:
        raise AdapterFileError(
            f"method {header.method!r} is unknown; this version reads {', '.join(METHODS)}"
        )
    known = {field.name for field in dataclasses.fields(chosen)}
    if set(header.config) != known:
        raise AdapterFileError(f"its configuration must hold just {', '.join(sorted(known))}")
    config = chosen()
    for field, value in header.config.items():  # of any type; `checked` judges them
        setattr(config, field, value)
    return config.checked()


def _checked_sites(header: Header, model: nn.Module, config: AdapterConfig) -> list[Site]:
    # By name: a regular expression of a foreign file must not be run.
    try:
        sites = sites_named(model, [name for name, *_ in header.sites], config.splits)
    except TargetError as error:
        raise AdapterFileError(f"made for another model: {error}") from error
    ours = _site_list(sites)
    if ours != header.sites:
        pairs = zip(ours, header.sites, strict=False)
        differing = next((pair for pair in pairs if pair[0] != pair[1]), None)
        first = (
            f"; the first that differs: here {differing[0]}, in the file {differing[1]}" if differing else ""
        )
        raise AdapterFileError(
            f"made for another model: {len(header.sites)} sites there, {len(ours)} in this model{first}"
        )
    return sites


def _own_shapes(config: AdapterConfig, sites: Sequence[Site], kind: str) -> Shapes:
    shapes: Shapes = {f"adapter.{key}": value for key, value in config.shapes(sites, kind).items()}
    if isinstance(config, LoRAXSConfig):
        shapes["fingerprint"] = ((len(sites), 3, config.rank), torch.float32)
    return shapes


def _head_shapes(header: Header, model: nn.Module) -> Shapes:
    shapes: Shapes = {}
    modules = dict(model.named_modules())
    for name in header.head:
        if name not in modules:
            raise AdapterFileError(f"made for another model: this one has no module {name}")
        heads.check_trainable([(name, modules[name])])
        for key, value in modules[name].state_dict().items():
            shapes[f"head.{name}.{key}"] = (
                tuple(value.shape),
                None if value.is_floating_point() else value.dtype,
            )
    return shapes


def _built(
    model: nn.Module, config: AdapterConfig, sites: Sequence[Site], kind: str, tensors: Mapping[str, Tensor]
) -> Adapter:
    """The adapter of a file, not yet on the model."""
    device = site_device(model, sites)
    # Start values are drawn and overwritten; the user's generators stay as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        adapter = config.build(model, sites)
    adapter.fill(kind, _part(tensors, "adapter."), tensors.get("fingerprint"))
    return adapter


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
