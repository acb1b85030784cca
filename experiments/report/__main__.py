"""From records to tables: `python -m experiments.report COMMAND [scale=…]`; `--help` lists the commands."""

import argparse
import re
import sys
from collections.abc import Sequence

from rich.console import Console

from experiments.report import commands

WIDTH_OF_FILES = 200  # columns when the output is no terminal, so that no table is squeezed
SCALE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status, which is 1 where `check` finds a problem."""
    words = sys.argv[1:] if argv is None else argv
    args = parser().parse_args([_as_option(word) for word in words])
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    status: int = args.call(args, console)
    return status


def parser() -> argparse.ArgumentParser:
    """The command line; options may be written as Hydra writes them: scale=paper is --scale paper."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--results", default="results/runs", help="the user's records (default: %(default)s)")
    shared.add_argument(
        "--reference", default="results/reference", help="the project's (default: %(default)s)"
    )
    shared.add_argument("--tables", default="results/tables", help="where tables lie (default: %(default)s)")
    shared.add_argument("--scale", type=_scale, help="tiny (default), minilm, paper; check: default all")
    shared.add_argument("--table", type=int, choices=[1], default=1, help="table of the paper")
    top = argparse.ArgumentParser(prog="python -m experiments.report", description=parser.__doc__)
    words = top.add_subparsers(required=True, metavar="command")
    for name, (call, text) in commands.COMMANDS.items():
        command = words.add_parser(name, parents=[shared], help=text, description=text)
        command.set_defaults(call=call)
        if name == "tables":
            command.add_argument("--epoch", choices=["best", "last"], default="best", help="of each run")
            text = "over the seeds; files are written for the median only"
            command.add_argument("--center", choices=["median", "mean"], default="median", help=text)
    return top


def _as_option(word: str) -> str:
    return f"--{word}" if re.match(r"[a-z]+=", word) else word


def _scale(text: str) -> str:
    if not SCALE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a scale")
    return text


if __name__ == "__main__":
    sys.exit(main())
