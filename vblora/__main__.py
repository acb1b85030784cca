"""The command line for adapters on disk.

    python -m vblora inspect ADAPTER                       what is in it
    python -m vblora verify ADAPTER [--model MODEL]        is it whole, and does it fit the model
    python -m vblora convert ADAPTER FOLDER --to lora      for LoRA servers; peft, trained, topk likewise
    python -m vblora merge MODEL ADAPTER FOLDER            a plain model with the adapter in its weights
    python -m vblora list STORE                            a store's adapters
    python -m vblora add STORE NAME ADAPTER                into a store; `remove STORE NAME` out of it

ADAPTER is a file or folder that `vblora.save` wrote, a folder that PEFT wrote, or a store with `--name`.
MODEL is a folder or name that transformers loads; only `merge` and `verify --model` need it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vblora import commands
from vblora.commands import TYPES, Facts
from vblora.encoding import PRECISIONS
from vblora.errors import VBLoRAError

Command = Callable[[argparse.Namespace], Facts]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 where an adapter is refused, and the reason is on stderr."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        found = command(options)
    except (VBLoRAError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1, default=str) if options.json else _lines(found))
    return 0


def _lines(found: Facts) -> str:
    width = max(map(len, found), default=0) + 2
    return "\n".join(f"{name:{width}}{_shown(value)}" for name, value in found.items())


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vblora", description="Adapters on disk.")
    words = parser.add_subparsers(
        required=True, metavar="inspect | verify | convert | merge | list | add | remove"
    )
    _add_adapter_commands(words)
    _add_store_commands(words)
    return parser


def _command(words: Any, name: str, run: Command) -> Any:
    made = words.add_parser(name, help=run.__doc__, description=run.__doc__)
    made.set_defaults(command=run)
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _add_adapter_commands(words: Any) -> None:
    _add_adapter(_command(words, "inspect", commands.inspect))
    verify = _command(words, "verify", commands.verify)
    _add_adapter(verify).add_argument("--model", help="that it must fit")
    into = _add_adapter(_command(words, "convert", commands.convert))
    into.add_argument("folder", type=Path, help="to write")
    forms = ("trained", "topk", "peft", "peft-topk", "lora")
    into.add_argument("--to", choices=forms, required=True, help="form to write")
    into.add_argument("--precision", choices=PRECISIONS, default="exact", help="of topk")
    into.add_argument("--dtype", choices=TYPES, default="float32", help="of lora")
    into.add_argument("--base-model", help="name that PEFT's configuration gives the model")
    merged = _command(words, "merge", commands.merge_into)
    merged.add_argument("model", help="folder or name of a model for transformers")
    _add_adapter(merged).add_argument("folder", type=Path, help="to write")
    merged.add_argument("--requantize", action="store_true", help="4- and 8-bit layers stay so")


def _add_adapter(made: Any) -> Any:
    made.add_argument("adapter", type=Path, help="file or folder of an adapter, ours or PEFT's; or a store")
    made.add_argument("--name", help="of the adapter in the store")
    made.add_argument("--bank", type=Path, help="adapter or store that has the bank, where this one has not")
    return made


def _add_store_commands(words: Any) -> None:
    _command(words, "list", commands.list_all).add_argument("store", type=Path)
    add = _command(words, "add", commands.add)
    add.add_argument("store", type=Path)
    add.add_argument("name_in_store", metavar="NAME", help="of the adapter in the store")
    _add_adapter(add).add_argument("--replace", action="store_true", help="one of this name gives way")
    add.add_argument("--precision", choices=PRECISIONS, help="store anew, only what use needs; else as it is")
    remove = _command(words, "remove", commands.remove)
    remove.add_argument("store", type=Path)
    remove.add_argument("name", metavar="NAME")


if __name__ == "__main__":
    sys.exit(main())
