"""PEFT's VB-LoRA adapters: its checkpoints loaded and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from vblora import heads, peft_files
from vblora.adapter import Adapter, Saved
from vblora.adapter_file import KINDS
from vblora.attachment import check_free, install, required_attachment
from vblora.bank import Layout, num_tiles
from vblora.encoding import Mixtures
from vblora.errors import AdapterFileError, AdapterStateError, TargetError, VBLoRAError
from vblora.peft_files import Checkpoint, common, named_heads
from vblora.sharding import gathered
from vblora.sites import Site, sites_named
from vblora.vb_lora import VBLoRA, VBLoRAConfig


def load_peft(model: nn.Module, folder: str | os.PathLike[str], name: str = "default") -> Adapter:
    """Attach a VB-LoRA adapter that PEFT saved, of either kind, and make it the active one.

    Modules that PEFT trained in full (`modules_to_save`) come with it. On any error nothing is attached.

    Args:
        model: the model itself, not PEFT's wrapper of it.
        folder: what PEFT's `save_pretrained` was given.
        name: of the adapter on this model.

    Raises:
        AdapterFileError: a file is missing, damaged, pickled, of another method, or made for another model.
        AdapterStateError: the name is taken, or an adapter is merged.
    """
    check_free(model, name)
    path = Path(folder)
    checkpoint = peft_files.read(path)
    try:
        return attach_checkpoint(model, checkpoint, name)
    except VBLoRAError as error:
        raise AdapterFileError(f"{path}: {error}") from error


def attach_checkpoint(model: nn.Module, checkpoint: Checkpoint, name: str) -> Adapter:
    """Attach what PEFT saved or held; errors as of `load_peft`."""
    config = _config(checkpoint)
    try:
        sites = sites_named(model, list(checkpoint.sides), {})
    except TargetError as error:
        raise AdapterFileError(f"made for another model: {error}") from error
    adapter = _adapter(model, sites, config, checkpoint)
    modules = _head_modules(model, checkpoint)
    install(model, adapter, name, modules)
    heads.fill(adapter, checkpoint.head)
    return adapter


def _config(checkpoint: Checkpoint) -> VBLoRAConfig:
    given, (h, b) = checkpoint.config, checkpoint.bank.shape
    if given.get("bias", "none") != "none":
        raise AdapterFileError(f"bias={given['bias']!r}: trained biases are no part of an adapter here")
    (columns, *_), _ = next(iter(checkpoint.sides.values()))
    config = VBLoRAConfig(targets=list(checkpoint.sides), num_vectors=h, vector_length=b)
    foreign = {
        "rank": given.get("r", 4),
        "dropout": given.get("vblora_dropout", 0.0),
        "topk": columns.shape[2] if checkpoint.kind == "topk" else given.get("topk", 2),
        "init_logits_std": given.get("init_logits_std", 0.1),
        "init_bank_bound": given.get("init_vector_bank_bound", 0.02),
    }
    for field, value in foreign.items():  # of any type; `checked` judges them
        setattr(config, field, value)
    checked = config.checked()
    assert isinstance(checked, VBLoRAConfig)
    return checked


def _adapter(
    model: nn.Module, sites: Sequence[Site], config: VBLoRAConfig, checkpoint: Checkpoint
) -> Adapter:
    _check_sizes(sites, config, checkpoint)
    layout, kind = config.layout(sites), checkpoint.kind
    parts = [
        _laid_out(layout, [(A[number], B[number]) for A, B in (checkpoint.sides[s.name] for s in sites)])
        for number in range(2 if kind == "topk" else 1)
    ]
    if kind == "trained":
        tensors = {"bank.vectors": checkpoint.bank, "bank.logits": parts[0]}
    else:
        tensors = {"vectors": checkpoint.bank, **Mixtures(*parts).encoded(config.num_vectors, "exact")}
    return config.restore(model, sites, kind, "exact", Saved(tensors))


def _check_sizes(sites: Sequence[Site], config: VBLoRAConfig, checkpoint: Checkpoint) -> None:
    """Before anything is allocated: the rank is a number from a file."""
    topk = checkpoint.kind == "topk"
    width = config.topk if topk else config.num_vectors
    for site in sites:
        features = site.in_features, site.out_features
        for side, size in zip(checkpoint.sides[site.name], features, strict=True):
            expected = config.rank, num_tiles(size, config.vector_length), width
            if len(side) != 1 + topk or side[0].shape != expected:
                raise AdapterFileError(
                    f"{site.name}: the file's shapes do not fit a layer of {features[0]} inputs and"
                    f" {features[1]} outputs at rank {config.rank}"
                )


def _laid_out(layout: Layout, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Rows of the A and B of each site, (r, tiles, …), in the order of the logits."""
    first = pairs[0][0]
    rows = first.new_empty(layout.num_rows, first.shape[2])
    for place, pair in enumerate(pairs):
        for own, given in zip(layout.site_rows(rows, place), pair, strict=True):
            own.copy_(given)
    return rows


def _head_modules(model: nn.Module, checkpoint: Checkpoint) -> heads.Heads:
    """The modules of `modules_to_save` that the checkpoint has tensors of.

    Raises:
        AdapterFileError: a tensor belongs to none of them, is missing, or has another shape.
    """
    wanted = checkpoint.config.get("modules_to_save") or []
    if not isinstance(wanted, list) or not all(isinstance(word, str) for word in wanted):
        raise AdapterFileError(f"modules_to_save {wanted!r} is no list of names")
    found = [
        (name, module)
        for name, module in model.named_modules()
        if any(name == word or name.endswith(f".{word}") for word in wanted)
    ]
    found = [
        (name, module) for name, module in found if any(key.startswith(f"{name}.") for key in checkpoint.head)
    ]
    heads.check_trainable(found)
    shapes = {
        f"{name}.{key}": value.shape for name, module in found for key, value in module.state_dict().items()
    }
    given = {key: value.shape for key, value in checkpoint.head.items()}
    if shapes != given:
        differing = min(key for key in {*shapes, *given} if shapes.get(key) != given.get(key))
        raise AdapterFileError(
            f"made for another model: tensor {differing} fits no module that trains in full"
        )
    return found


def save_peft(
    model: nn.Module,
    folder: str | os.PathLike[str],
    kind: str = "trained",
    name: str | None = None,
    base_model: str | None = None,
) -> Path:
    """Write a VB-LoRA adapter (by default the active one) as a folder that `PeftModel.from_pretrained` loads.

    Args:
        model: the model it is attached to.
        folder: made if missing.
        kind: "trained" keeps bank and logits; "topk" what use needs, as PEFT's `save_only_topk_weights`.
        name: which adapter.
        base_model: name or path of the model in the configuration; by default where transformers loaded it.

    Returns:
        The folder.

    Raises:
        AdapterStateError: no such adapter, or trained tensors are asked for of one from a top-k file.
        VBLoRAError: PEFT has no form for it: another method or selection, slices of layers, b that does not
            divide a layer. `save_lora` serves these.
    """
    adapter = required_attachment(model).adapter(name)
    adapter.hold_float32()
    own = _peft_serves(adapter)
    if kind not in KINDS:
        raise VBLoRAError(f"kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if kind == "trained" and not own.trainable:
        raise AdapterStateError('this adapter comes from a top-k file; it can only be saved with kind="topk"')
    with gathered(model, own):
        tensors = {peft_files.BANK: own.bank.vectors, **_layers(own, kind)}
        tensors = {key: value.detach().cpu().clone() for key, value in tensors.items()}
        tensors |= named_heads(own)
    config = own.config
    settings = {
        "r": config.rank,
        "num_vectors": config.num_vectors,
        "vector_length": config.vector_length,
        "topk": config.topk,
        "vblora_dropout": config.dropout,
        "init_logits_std": config.init_logits_std,
        "init_vector_bank_bound": config.init_bank_bound,
        "save_only_topk_weights": kind == "topk",
    }
    peft_files.written(Path(folder), {**common(model, own, "VBLORA", base_model), **settings}, tensors)
    return Path(folder)


def _peft_serves(adapter: Adapter) -> VBLoRA:
    if not isinstance(adapter, VBLoRA) or adapter.config.selection != "topk":
        what = adapter.config.selection if isinstance(adapter, VBLoRA) else adapter.config.method
        raise VBLoRAError(f"PEFT's VB-LoRA has no {what}; save_lora writes a plain LoRA that it loads")
    b = adapter.config.vector_length
    for site in adapter.sites:
        if not site.whole or site.in_features % b or site.out_features % b:
            raise VBLoRAError(
                f"{site.name}: PEFT adapts whole layers whose sizes b = {b} divides;"
                " save_lora writes a plain LoRA that it loads"
            )
    return adapter


def _layers(adapter: VBLoRA, kind: str) -> dict[str, Tensor]:
    layout = adapter.layout
    found: dict[str, Tensor] = {}
    chosen = adapter.bank.mixtures() if kind == "topk" else None
    for place, site in enumerate(adapter.sites):
        if chosen is None:
            found |= peft_files.logits_named(site.layer, adapter.site_logits(site))
            continue
        columns = chosen.columns.to(peft_files.index_dtype(adapter.config.num_vectors))
        rows = (layout.site_rows(part, place) for part in (columns, chosen.weights()))
        found |= peft_files.mixtures_named(site.layer, *rows)
    return found
