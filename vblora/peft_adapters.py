"""PEFT's VB-LoRA adapters: its checkpoints loaded and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vblora import heads, peft_files
from vblora.adapter import Adapter, Saved
from vblora.adapter_file import KINDS
from vblora.attachment import check_free, install, required_attachment
from vblora.encoding import Mixtures
from vblora.errors import AdapterFileError, AdapterStateError, TargetError, VBLoRAError
from vblora.peft_files import Checkpoint, common, named_heads
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
    except AdapterFileError:
        raise
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
    topk = {
        side.columns.shape[1]
        for pair in checkpoint.sides.values()
        for side in pair
        if isinstance(side, Mixtures)
    }
    config = VBLoRAConfig(targets=list(checkpoint.sides), num_vectors=h, vector_length=b)
    foreign = {
        "rank": given.get("r", 4),
        "dropout": given.get("vblora_dropout", 0.0),
        "topk": topk.pop() if len(topk) == 1 else given.get("topk", 2),
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
    layout = config.layout(sites)
    kind = checkpoint.kind
    width = config.num_vectors if kind == "trained" else config.topk
    scores = torch.empty(layout.num_rows, width)
    columns = torch.empty(layout.num_rows, width, dtype=torch.long)
    for place, site in enumerate(sites):
        views = zip(layout.site_rows(scores, place), layout.site_rows(columns, place), strict=True)
        for side, (own, chosen) in zip(checkpoint.sides[site.name], views, strict=True):
            _fill(site, side, own, chosen, kind)
    if kind == "trained":
        tensors = {"bank.vectors": checkpoint.bank, "bank.logits": scores}
    else:
        mixtures = Mixtures(columns, scores).encoded(config.num_vectors, "exact")
        tensors = {"vectors": checkpoint.bank, **mixtures}
    return config.restore(model, sites, kind, "exact", Saved(tensors))


def _fill(site: Site, side: Tensor | Mixtures, scores: Tensor, columns: Tensor, kind: str) -> None:
    values = side.scores if isinstance(side, Mixtures) else side.flatten(0, 1)
    if isinstance(side, Mixtures) != (kind == "topk") or values.numel() != scores.numel():
        raise AdapterFileError(
            f"{site.name}: the file's shapes do not fit a layer of {site.in_features} inputs and"
            f" {site.out_features} outputs at rank {scores.shape[0]}"
        )
    scores.copy_(values.view(scores.shape))
    if isinstance(side, Mixtures):
        columns.copy_(side.columns.view(columns.shape))


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
    tensors = {peft_files.BANK: own.bank.vectors, **_layers(own, kind), **named_heads(own)}
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
