"""What `python -m vblora` does: each command takes parsed words and returns what is printed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from vblora import counting, peft_files
from vblora.adapter import Adapter
from vblora.adapter_file import read_header
from vblora.attachment import detach, required_attachment
from vblora.banks import identity
from vblora.errors import VBLoRAError
from vblora.heads import head_weights
from vblora.merging import merge
from vblora.peft_adapters import save_peft
from vblora.places import Place, find
from vblora.plain_lora import save_lora
from vblora.stand_in import read
from vblora.storage import save
from vblora.store import Entry, Store
from vblora.store_file import VERSION, is_store
from vblora.vb_lora import VBLoRA

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Facts = dict[str, Any]


def inspect(given: argparse.Namespace) -> Facts:
    """What an adapter or a store is; an adapter is read whole and checked."""
    if _is_whole_store(given):
        return _about_store(given.adapter)
    place = _place(given)
    adapter = _read(place)
    shared = adapter.shared_bank()
    bank = {"bank": identity(adapter.bank.vectors)[:12]} if isinstance(adapter, VBLoRA) else {}
    return {
        **_header(place),
        "method": adapter.config.method,
        "can be trained": adapter.trainable,
        **{name: value for name, value in vars(adapter.config).items() if name not in ("targets", "bank")},
        **bank,
        "bank in the file": shared is None,
        "sites": len(adapter.sites),
        "first site": adapter.sites[0].name,
        "head": ", ".join(name for name, _ in adapter.head) or "none",
        "stored parameters": _stored(adapter),
        "of the head": sum(value.numel() for value in head_weights(adapter).values()),
        "bytes": place.num_bytes,
    }


def _is_whole_store(given: argparse.Namespace) -> bool:
    whole = is_store(given.adapter) and given.name is None
    if whole and given.bank is not None:
        raise VBLoRAError(f"{given.adapter}: a store, whose banks are in it, so --bank has no meaning here")
    return whole


def _about_store(path: Path) -> Facts:
    with Store(path) as store:
        own = sum(entry.num_bytes for entry in store.entries())
        return {
            "store": f"version {VERSION}",
            "adapters": len(store),
            "shared banks": len(store.banks()),
            "bytes of the adapters": own,
            "bytes": path.stat().st_size,
        }


def _stored(adapter: Adapter) -> int:
    """As the paper counts, without the head."""
    if isinstance(adapter, VBLoRA):
        return counting.vblora_stored_parameters(adapter.sites, adapter.config)
    return sum(value.numel() for value in adapter.stored().values())


def verify(given: argparse.Namespace) -> Facts:
    """Read all of an adapter or a store; with a model, attach the adapter."""
    if given.model is None and _is_whole_store(given):
        with Store(given.adapter) as store:
            return {"whole": True, "adapters": store.verify()}
    place = _place(given)
    if given.model is None:
        return {"whole": True, "sites": len(_read(place).sites)}
    return {"whole": True, "sites": len(place.attach(_model(given.model)).sites), "fits": given.model}


def convert(given: argparse.Namespace) -> Facts:
    """Write an adapter in another form."""
    if given.precision != "exact" and given.to != "topk":
        raise VBLoRAError(f"--precision {given.precision} is of --to topk, not of {given.to}")
    model, target = read(_place(given)), given.folder
    if given.to == "lora":
        written = save_lora(model, target, dtype=TYPES[given.dtype], base_model=given.base_model)
        written /= peft_files.WEIGHTS
    elif given.to in ("peft", "peft-topk"):
        kind = "topk" if given.to == "peft-topk" else "trained"
        written = save_peft(model, target, kind, base_model=given.base_model) / peft_files.WEIGHTS
    else:
        written = save(model, target, given.to, precision=given.precision)
    return {"written": written, "bytes": written.stat().st_size}


def merge_into(given: argparse.Namespace) -> Facts:
    """Write a plain model that has the adapter in its weights."""
    model = _model(given.model)
    _place(given).attach(model)
    kept = merge(model, requantize=given.requantize)
    detach(model)
    model.save_pretrained(given.folder)
    _copy_tokenizer(given.model, given.folder)
    return {"written": given.folder, "layers": len(kept), "least share kept": round(min(kept.values()), 4)}


def list_all(given: argparse.Namespace) -> Facts:
    """The adapters of a store by name."""
    with Store(given.store) as store:
        found = {entry.name: entry for entry in store.entries()}
    if given.json:
        return {name: vars(entry) for name, entry in found.items()}
    return {name: _in_a_line(entry) for name, entry in found.items()}


def _in_a_line(entry: Entry) -> str:
    bank = "" if entry.bank is None else f", bank {entry.bank[:12]}"
    return f"{entry.method}, {entry.kind}, {entry.precision}, {entry.num_bytes:,} bytes{bank}"


def add(given: argparse.Namespace) -> Facts:
    """Put an adapter into a store, which is made if it is missing."""
    place, fresh = _place(given), not given.store.exists()
    try:
        with Store(given.store, "a") as store:
            _add(store, place, given)
            entry = store.entry(given.name_in_store)
            return {"added": entry.name, "kind": entry.kind, "bytes": entry.num_bytes, "adapters": len(store)}
    except VBLoRAError:
        if fresh:
            given.store.unlink(missing_ok=True)  # made for nothing
        raise


def _add(store: Store, place: Place, given: argparse.Namespace) -> None:
    name = given.name_in_store
    if given.precision is None and not place.peft:
        store.add(name, place.source, place.bank, given.replace)
        return
    model = read(place)
    as_it_is = given.precision is None and required_attachment(model).adapter().trainable
    kind = "trained" if as_it_is else "topk"
    store.save(model, name, kind, given.precision or "exact", replace=given.replace)


def remove(given: argparse.Namespace) -> Facts:
    """Take an adapter out of a store."""
    if not given.store.is_file():
        raise VBLoRAError(f"{given.store}: no such file")
    with Store(given.store, "a") as store:
        store.remove(given.name)
        return {"removed": given.name, "adapters": len(store)}


def _place(given: argparse.Namespace) -> Place:
    return find(given.adapter, given.name, given.bank)


def _read(place: Place) -> Adapter:
    return required_attachment(read(place)).adapter()


def _header(place: Place) -> Facts:
    if place.peft:
        return {"written by": "PEFT"}
    header = read_header(place.source)
    return {"format": header.format, "kind": header.kind, "precision": header.precision}


def _model(path: str) -> Any:
    """The model as its configuration names it; a missing transformers or model is the user's to mend.

    Raises:
        VBLoRAError: transformers is not installed, or cannot load it.
    """
    try:
        import transformers
    except ImportError as error:
        raise VBLoRAError("transformers is not installed; it loads the model") from error
    try:
        config = transformers.AutoConfig.from_pretrained(path)
        kind = getattr(transformers, (config.architectures or ["AutoModel"])[0])
        return kind.from_pretrained(path, dtype="auto").eval()
    except (OSError, ValueError, AttributeError) as error:
        raise VBLoRAError(f"{path}: transformers cannot load this model ({error})") from error


def _copy_tokenizer(path: str, folder: Path) -> None:
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        print(f"no tokenizer was written: {error}", file=sys.stderr)
        return
    tokenizer.save_pretrained(folder)
