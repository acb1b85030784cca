"""From records to tables: `python -m experiments.report COMMAND [family=…] [scale=…]`; see `--help`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.families import FAMILIES, is_generative
from experiments.report import commands, scales
from experiments.report.commands import ABLATIONS
from experiments.report.names import TABLES
from experiments.report.settings_table import FAMILY
from experiments.report.summary import CENTERS

WIDTH_OF_FILES = 200  # columns when the output is no terminal, so that no table is squeezed
SCALE = re.compile(r"(?:(?P<family>\w+)/)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)")
OPTIONS = (
    "results",
    "reference",
    "tables",
    "cache",
    "scale",
    "family",
    "table",
    "epoch",
    "center",
    "page",
    "figures",
)
OF_RUNS = ("plan", "status", "retry")  # commands that may be given the words of the runs' own
BY_TABLE = {int(TABLES[family.table]): name for name, family in FAMILIES.items()}
BY_TABLE |= dict.fromkeys((5, 6), ABLATIONS) | {int(name[5:]): family for name, family in FAMILY.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status, which is 1 where `check` finds a problem."""
    words = sys.argv[1:] if argv is None else argv
    top = parser()
    args = top.parse_args([_as_option(word) for word in words])
    _settle(args, top)
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
    shared.add_argument("--tables", default="results/tables", help="the user's tables (default: %(default)s)")
    shared.add_argument("--cache", default=".cache", help="where locks lie (default: %(default)s)")
    text = "tiny (default), paper, minilm (glue), small (e2e, math); or as e2e/tiny; check: default all"
    shared.add_argument("--scale", type=_scale, help=text)
    text = "of tasks (default: glue; check: all); ablations are Tables 5 and 6"
    shared.add_argument("--family", choices=[*FAMILIES, ABLATIONS], help=text)
    shared.add_argument("--table", type=int, choices=[*BY_TABLE], help="of the paper; in place of its family")
    top = argparse.ArgumentParser(prog="python -m experiments.report", description=parser.__doc__)
    words = top.add_subparsers(required=True, metavar="command")
    for name, (call, text) in commands.COMMANDS.items():
        command = words.add_parser(name, parents=[shared], help=text, description=text)
        command.set_defaults(call=call, epoch=None)
        if name in ("figures", "results"):
            command.add_argument("--figures", default="results/figures", help="where (default: %(default)s)")
        if name in ("page", "results"):
            command.add_argument("--page", default="results/page.html", help="where (default: %(default)s)")
        if name in ("tables", "results"):
            command.add_argument("--epoch", choices=["best", "last"], help="of each run; Table 1 only")
            text = "over the seeds (default: the paper's, and files are written for it only)"
            command.add_argument("--center", choices=[*CENTERS], help=text)
            text = "print the differences with their intervals too, which the files always have"
            command.add_argument("--differences", action="store_true", help=text)
        if name in OF_RUNS:
            text = "words that the runs need: model.path=FOLDER data.root=FOLDER launcher=joblib"
            command.add_argument("words", nargs="*", help=text)
        if name == "retry":
            command.add_argument("--dry-run", action="store_true", help="print the commands alone")
    return top


def _settle(args: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Find the one family that is asked for, by its name, its table or the scale; check words of runs."""
    in_scale, args.scale = args.scale or (None, None)
    asked = {args.family, BY_TABLE.get(args.table), in_scale} - {None}
    if len(asked) > 1:
        top.error(f"family, table and scale ask for different families: {', '.join(sorted(asked))}")
    args.family = asked.pop() if asked else None
    if args.epoch and args.family and is_generative(args.family):
        top.error("--epoch is for Table 1 only: elsewhere text is generated and graded once, at a run's end")
    if args.scale and not _has_records(args) and args.scale not in scales.known():
        names = ", ".join(sorted(scales.known()))
        top.error(f"scale {args.scale!r} has no record, and conf/scale does not know it: {names}")
    if problems := _problems(getattr(args, "words", [])):
        top.error("; ".join(problems))


def _has_records(args: argparse.Namespace) -> bool:
    """Whether a folder of records lies there for the scale, which may have a user's own name."""
    return any(Path(root, args.scale).is_dir() for root in (args.results, args.reference))


def _as_option(word: str) -> str:
    return f"--{word}" if word.partition("=")[0] in OPTIONS and "=" in word else word


def _problems(words: Sequence[str]) -> list[str]:
    """What is wrong with words of runs; nobody would look at them before a run does."""
    if not words:
        return []
    from experiments import spelling  # here, as Hydra's parser takes a while to import

    return [f"{word} is no setting of a run" for word in words if "=" not in word] + spelling.misspelt(words)


def _scale(text: str) -> tuple[str | None, str]:
    """A scale's name, and the family that stands before it."""
    match = SCALE.fullmatch(text)
    if match is None or match["family"] not in (None, *FAMILIES):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a scale")
    return match["family"], match["name"]


if __name__ == "__main__":
    sys.exit(main())
