"""Saving an adapter to a folder, and loading one onto a model."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vblora import heads
from vblora.adapter import Adapter, AdapterConfig, Saved
from vblora.adapter_file import (
    FILE_NAME,
    FORMAT,
    KINDS,
    Header,
    Source,
    content,
    digest,
    read_header,
    read_tensors,
    write,
)
from vblora.attachment import attachment_of, check_free, install, required_attachment
from vblora.banks import identity, read_bank
from vblora.encoding import PRECISIONS, Shapes, decoded, encoded, encoded_shapes
from vblora.errors import AdapterFileError, AdapterStateError, TargetError, VBLoRAError
from vblora.lora_xs import LoRAXSConfig
from vblora.sharding import gathered
from vblora.sites import Site, sites_named
from vblora.tied_lora import TiedLoRAConfig
from vblora.vb_lora import VBLoRA, VBLoRAConfig

METHODS: dict[str, type[AdapterConfig]] = {c.method: c for c in (VBLoRAConfig, TiedLoRAConfig, LoRAXSConfig)}


def save(
    model: nn.Module,
    folder: str | os.PathLike[str],
    kind: str = "trained",
    name: str | None = None,
    precision: str = "exact",
) -> Path:
    """Write an adapter (by default the active one) and its head to `folder`/vblora.safetensors, in one step.

    Where FSDP2 shards the model, every process must call this, with a folder of its own or the same.

    Args:
        model: the model it is attached to.
        folder: made if missing; an older file there is replaced.
        kind: "trained" keeps every trained tensor; "topk" only what must be stored (bank, indices, weights),
            from which the adapter can be used but not trained further.
        name: which adapter.
        precision: of a "topk" file: "exact" gives the very outputs again, "compact" takes 16 bits a number,
            "tiny" 8 (see `encoding`).

    Returns:
        The path of the file.

    Raises:
        AdapterStateError: no such adapter, or the trained tensors of one that came from a top-k file are
            asked for.
        VBLoRAError: `kind` or `precision` is unknown, or a tensor is not finite or too large for it.
    """
    path = Path(folder) / FILE_NAME
    adapter = required_attachment(model).adapter(name)
    with gathered(model, adapter):
        data = file_of(adapter, kind, precision)
    write(path, data)
    return path


def file_of(adapter: Adapter, kind: str, precision: str) -> bytes:
    """The whole file of an adapter; arguments and errors as of `save`."""
    adapter.hold_float32()
    for word, value, known in (("kind", kind, KINDS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise VBLoRAError(f"{word} {value!r} is unknown; choose one of {', '.join(known)}")
    if kind == "trained" and precision != "exact":
        raise VBLoRAError(
            f'precision {precision!r} is for kind="topk"; training goes on from exact numbers only'
        )
    if kind == "trained" and not adapter.trainable:
        raise AdapterStateError('this adapter comes from a top-k file; it can only be saved with kind="topk"')
    tensors = _tensors(adapter, kind, precision)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise VBLoRAError(f"tensor {key} holds NaN or infinity; nothing was saved")
    return content(tensors, _header(adapter, kind, precision, digest(tensors)))


def _tensors(adapter: Adapter, kind: str, precision: str) -> dict[str, Tensor]:
    own = {key: value.detach().cpu().clone() for key, value in adapter.file_tensors(kind, precision).items()}
    mixtures = {"indices", "weights"} & set(own)  # encoded already
    tensors = {f"adapter.{key}": own.pop(key) for key in sorted(mixtures)}
    plain = {f"adapter.{key}": value for key, value in own.items()}
    plain |= {f"head.{key}": value.clone() for key, value in heads.head_weights(adapter).items()}
    tensors |= encoded({key: value.detach().cpu() for key, value in plain.items()}, precision)
    fingerprint = adapter.fingerprint_of_base()
    tensors |= {} if fingerprint is None else {"fingerprint": fingerprint.detach().cpu()}
    return {key: value.contiguous() for key, value in tensors.items()}


def _header(adapter: Adapter, kind: str, precision: str, sha256: str) -> Header:
    config, head = dataclasses.asdict(adapter.config), [name for name, _ in adapter.head]
    config |= {"bank": None} if "bank" in config else {}  # a path of this machine
    sites, method = _site_list(adapter.sites), adapter.config.method
    return Header(FORMAT, kind, precision, method, config, sites, head, adapter.shared_bank(), sha256)


def _site_list(sites: Sequence[Site]) -> list[list[Any]]:
    return [[site.name, site.in_features, site.out_features] for site in sites]


def load(
    model: nn.Module,
    folder: str | os.PathLike[str],
    name: str = "default",
    bank: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Attach the adapter in `folder` to the model, with its head, and make it the active one.

    The whole file is checked first: its structure, that it fits this model site by site, its sizes, its
    checksum, and that every number is finite. On any error nothing is attached and the model is as before.

    Args:
        model: the root module.
        folder: what `save` was given.
        name: of the adapter on this model.
        bank: file or folder of an adapter, or a store, with the bank that this one was trained against, if
            its file does not hold it. Not needed if an adapter of the model uses that bank already.

    Raises:
        AdapterFileError: the file is missing, damaged, foreign, or made for another model or bank.
        AdapterStateError: the name is taken, or an adapter is merged.
    """
    file = Path(folder) / FILE_NAME
    given = None if bank is None else read_bank(bank, read_header(file).bank)
    return load_from(model, file, name, given)


def load_from(model: nn.Module, source: Source, name: str, bank: Tensor | None) -> Adapter:
    """Attach the adapter of a file or blob; `bank` (h, b) is what it may share. Errors as of `load`."""
    check_free(model, name)
    header = read_header(source)
    try:
        config = _config(header)
        sites = _checked_sites(header, model, config)
        expected = _own_shapes(config, sites, header) | _head_shapes(header, model)
        tensors = decoded(read_tensors(source, expected, header.sha256))
        saved = Saved(
            tensors=heads.part(tensors, "adapter."),
            fingerprint={key: tensors[key] for key in ("fingerprint",) if key in tensors},
            bank=_shared(model, header, bank),
            sites=_in_order_of(header, sites),
        )
        adapter = config.restore(model, sites, header.kind, header.precision, saved)
    except VBLoRAError as error:
        message = str(error)
        raise AdapterFileError(message if str(source) in message else f"{source}: {message}") from error
    install(model, adapter, name, [(key, model.get_submodule(key)) for key in header.head])
    heads.fill(adapter, heads.part(tensors, "head."))
    return adapter


def _shared(model: nn.Module, header: Header, given: Tensor | None) -> Tensor | None:
    """The bank that the file names: the one given, or that of an adapter on the model."""
    if header.bank is None:
        return None
    attached = [own.bank.vectors for own in (attachment_of(model) or {}).values() if isinstance(own, VBLoRA)]
    for vectors in [*attached, *([] if given is None else [given])]:
        if identity(vectors) == header.bank:
            return vectors
    wanted = f"the bank {header.bank[:12]}…, which is not in it"
    if given is None:
        raise AdapterFileError(
            f"this file was trained against {wanted}; give bank=path to the adapter that has it"
        )
    raise AdapterFileError(
        f"this file was trained against {wanted}; the bank that was given is {identity(given)[:12]}…"
    )


def _config(header: Header) -> AdapterConfig:
    chosen = METHODS.get(header.method)
    if chosen is None:
        raise AdapterFileError(
            f"method {header.method!r} is unknown; this version reads {', '.join(METHODS)}"
        )
    known = {field.name for field in dataclasses.fields(chosen)}
    if set(header.config) != known:
        raise AdapterFileError(f"its configuration must hold just {', '.join(sorted(known))}")
    if header.config.get("bank") is not None or header.config.get("train_bank", True) != (
        header.bank is None
    ):
        raise AdapterFileError("its configuration and its header differ on whether it holds its bank")
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
    ours, theirs = sorted(_site_list(sites)), sorted(header.sites)
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        differing = next((pair for pair in pairs if pair[0] != pair[1]), None)
        first = (
            f"; the first that differs: here {differing[0]}, in the file {differing[1]}" if differing else ""
        )
        raise AdapterFileError(
            f"made for another model: {len(theirs)} sites there, {len(ours)} in this model{first}"
        )
    return sites


def _in_order_of(header: Header, sites: Sequence[Site]) -> list[Site] | None:
    """The sites in the file's order, if that is not the model's."""
    if _site_list(sites) == header.sites:
        return None
    by_name = {site.name: site for site in sites}
    return [by_name[name] for name, *_ in header.sites]


def _own_shapes(config: AdapterConfig, sites: Sequence[Site], header: Header) -> Shapes:
    own = config.shapes(sites, header.kind, header.precision)
    shapes: Shapes = {f"adapter.{key}": own.pop(key) for key in ("indices", "weights") if key in own}
    shapes |= encoded_shapes({f"adapter.{key}": value for key, value in own.items()}, header.precision)
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
            dtype = None if value.is_floating_point() else value.dtype
            shapes[f"head.{name}.{key}"] = tuple(value.shape), dtype
    return encoded_shapes(shapes, header.precision)
