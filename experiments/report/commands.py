"""The commands of `python -m experiments.report`: each prints, and returns an exit status."""

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from experiments import records
from experiments.records import Found
from experiments.report import checks, grid, readme, rendering, tables
from experiments.report.table1 import Table1

# `params`, `plan` and `shell_scripts` build architectures: imported when called, as that takes seconds.

PROJECT = Path(__file__).resolve().parents[2]
Command = Callable[[argparse.Namespace, Console], int]


def make_tables(args: argparse.Namespace, console: Console) -> int:
    """Print Table 1 of a scale and write its files."""
    found = _found(args)
    table = Table1(found, _scale(args), args.epoch, args.center)
    for part in tables.parts(table):
        rendering.show(part, console)
    if args.center == "median":
        written = tables.write(Path(args.tables), table)
        _say(console, "written: " + ", ".join(map(str, written)))
    return 0


def show_params(args: argparse.Namespace, console: Console) -> int:
    """Print the parameter columns of Tables 1 to 4."""
    from experiments.report import params

    rendering.show(params.table(), console)
    return 0


def show_plan(args: argparse.Namespace, console: Console) -> int:
    """Print the runs of the grid, hours and disk."""
    from experiments.report import plan

    rendering.show(plan.plan(_found(args), grid.load(_scale(args))), console)
    return 0


def show_status(args: argparse.Namespace, console: Console) -> int:
    """Print what is done, failed or missing."""
    from experiments.report import plan

    rendering.show(plan.status(_found(args), grid.load(_scale(args))), console)
    return 0


def check(args: argparse.Namespace, console: Console) -> int:
    """Print every problem of the results; 1 if there is one."""
    scales = [args.scale] if args.scale else checks.scales(_roots(args), Path(args.tables))
    wrong = [line for scale in scales for line in checks.problems(_roots(args), Path(args.tables), scale)]
    for line in wrong:
        _say(console, rendering.printable(line))
    _say(console, f"scales {', '.join(scales) or 'none'}: {len(wrong) or 'no'} problems")
    return 1 if wrong else 0


def write_scripts(args: argparse.Namespace, console: Console) -> int:
    """Write scripts/table1/ anew."""
    from experiments.report import shell_scripts

    for path in shell_scripts.write(PROJECT):
        _say(console, str(path.relative_to(PROJECT)))
    return 0


def write_readme(args: argparse.Namespace, console: Console) -> int:
    """Put the table of a scale into README.md, from the project's records; 1 if that cannot be."""
    path = PROJECT / "README.md"
    try:
        table = readme.part(Path(args.reference), _scale(args))
        text = readme.filled(path.read_text(encoding="utf-8"), _scale(args), table)
    except readme.ReadmeError as error:
        _say(console, str(error))
        return 1
    path.write_text(text, encoding="utf-8")
    _say(console, f"written: {path.name}, the table of scale {_scale(args)}")
    return 0


COMMANDS: dict[str, tuple[Command, str]] = {
    "tables": (make_tables, "Table 1 from the records, printed and as Markdown, LaTeX and CSV"),
    "params": (show_params, 'the "# Params" columns of Tables 1 to 4, counted from architectures'),
    "plan": (show_plan, "the runs of the grid: hours, what is done, disk"),
    "status": (show_status, "finished, failed and missing runs, row by task"),
    "check": (check, "records fit the schema, and each cell of a table traces to records"),
    "scripts": (write_scripts, "write scripts/table1/ anew"),
    "readme": (write_readme, "put a scale's Table 1 into README.md, from the project's records"),
}


def _scale(args: argparse.Namespace) -> str:
    return str(args.scale or "tiny")


def _roots(args: argparse.Namespace) -> list[Path]:
    return [Path(args.results), Path(args.reference)]


def _found(args: argparse.Namespace) -> Found:
    return records.find(_roots(args), _scale(args))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
