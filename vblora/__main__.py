"""The command line for adapters on disk.

    python -m vblora inspect ADAPTER                       what is in it
    python -m vblora verify ADAPTER [--model MODEL]        is it whole, and does it fit the model
    python -m vblora convert ADAPTER FOLDER --to lora      for LoRA servers; peft, trained, topk likewise
    python -m vblora merge MODEL ADAPTER FOLDER            a plain model with the adapter in its weights

ADAPTER is a file or folder that `vblora.save` wrote, or a folder that PEFT wrote. MODEL is a folder or name
that transformers loads; only `merge` and `verify --model` need it, and transformers with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vblora import counting, peft_files
from vblora.adapter import Adapter
from vblora.adapter_file import FILE_NAME, read_header
from vblora.attachment import detach, required_attachment
from vblora.banks import identity, read_bank
from vblora.encoding import PRECISIONS
from vblora.errors import VBLoRAError
from vblora.heads import head_weights
from vblora.merging import merge
from vblora.peft_adapters import load_peft, save_peft
from vblora.plain_lora import save_lora
from vblora.stand_in import read
from vblora.storage import load_from, save
from vblora.vb_lora import VBLoRA

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 where an adapter is refused, and the reason is on stderr."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], dict[str, Any]] = options.command
    try:
        found = command(options)
    except (VBLoRAError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1, default=str) if options.json else _lines(found))
    return 0


def inspect(given: argparse.Namespace) -> dict[str, Any]:
    """What an adapter is, read whole and checked."""
    model = read(given.adapter, given.bank)
    adapter = required_attachment(model).adapter()
    about = {"written by": "PEFT"} if peft_files.is_peft(given.adapter) else _header(given.adapter)
    shared = adapter.shared_bank()
    bank = {"bank": identity(adapter.bank.vectors)[:12]} if isinstance(adapter, VBLoRA) else {}
    return {
        **about,
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
        "bytes": _bytes(given.adapter),
    }


def _stored(adapter: Adapter) -> int:
    """As the paper counts, without the head."""
    if isinstance(adapter, VBLoRA):
        return counting.vblora_stored_parameters(adapter.sites, adapter.config)
    return sum(value.numel() for value in adapter.stored().values())


def verify(given: argparse.Namespace) -> dict[str, Any]:
    """Read all of an adapter and, with a model, attach it."""
    if given.model is None:
        adapter = required_attachment(read(given.adapter, given.bank)).adapter()
        return {"whole": True, "sites": len(adapter.sites)}
    model = _model(given.model)
    _load(model, given.adapter, given.bank)
    return {"whole": True, "sites": len(required_attachment(model).adapter().sites), "fits": given.model}


def convert(given: argparse.Namespace) -> dict[str, Any]:
    """Write an adapter in another form."""
    model = read(given.adapter, given.bank)
    target = given.folder
    if given.to == "lora":
        written = save_lora(model, target, dtype=TYPES[given.dtype], base_model=given.base_model)
        written /= peft_files.WEIGHTS
    elif given.to in ("peft", "peft-topk"):
        kind = "topk" if given.to == "peft-topk" else "trained"
        written = save_peft(model, target, kind, base_model=given.base_model) / peft_files.WEIGHTS
    else:
        written = save(model, target, given.to, precision=given.precision)
    return {"written": written, "bytes": _bytes(written)}


def merge_into(given: argparse.Namespace) -> dict[str, Any]:
    """Write a plain model that has the adapter in its weights."""
    model = _model(given.model)
    _load(model, given.adapter, given.bank)
    kept = merge(model, requantize=given.requantize)
    detach(model)
    model.save_pretrained(given.folder)
    _copy_tokenizer(given.model, given.folder)
    return {"written": given.folder, "layers": len(kept), "least share kept": round(min(kept.values()), 4)}


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


def _load(model: nn.Module, adapter: Path, bank: Path | None) -> None:
    if peft_files.is_peft(adapter):
        load_peft(model, adapter)
    else:
        load_from(model, _file(adapter), "default", None if bank is None else read_bank(bank))


def _file(adapter: Path) -> Path:
    return adapter / FILE_NAME if adapter.is_dir() else adapter


def _bytes(path: Path) -> int:
    """Of the file that holds an adapter's tensors."""
    file = path / peft_files.WEIGHTS if path.is_dir() and peft_files.is_peft(path) else _file(path)
    return file.stat().st_size


def _header(adapter: Path) -> dict[str, Any]:
    header = read_header(_file(adapter))
    return {"format": header.format, "kind": header.kind, "precision": header.precision}


def _lines(found: dict[str, Any]) -> str:
    width = max(map(len, found)) + 2
    return "\n".join(f"{name:{width}}{_shown(value)}" for name, value in found.items())


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vblora", description="Adapters on disk.")
    commands = parser.add_subparsers(required=True, metavar="inspect | verify | convert | merge")

    def command(name: str, run: Callable[[argparse.Namespace], dict[str, Any]], model: bool = False) -> Any:
        made = commands.add_parser(name, help=run.__doc__)
        made.set_defaults(command=run)
        if model:
            made.add_argument("model", help="folder or name of a model for transformers")
        made.add_argument("adapter", type=Path, help="file or folder of an adapter, ours or PEFT's")
        made.add_argument("--bank", type=Path, help="adapter that holds the bank, where this one does not")
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    command("inspect", inspect)
    command("verify", verify).add_argument("--model", help="that it must fit")
    into = command("convert", convert)
    into.add_argument("folder", type=Path, help="to write")
    forms = ("trained", "topk", "peft", "peft-topk", "lora")
    into.add_argument("--to", choices=forms, required=True, help="form to write")
    into.add_argument("--precision", choices=PRECISIONS, default="exact", help="of topk")
    into.add_argument("--dtype", choices=TYPES, default="float32", help="of lora")
    into.add_argument("--base-model", help="name that PEFT's configuration gives the model")
    merged = command("merge", merge_into, model=True)
    merged.add_argument("folder", type=Path, help="to write")
    merged.add_argument("--requantize", action="store_true", help="4- and 8-bit layers stay so")
    return parser


if __name__ == "__main__":
    sys.exit(main())
