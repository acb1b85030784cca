"""The commands of `python -m experiments.report`: each prints, and returns an exit status."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from experiments.config import PathsConfig
from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import checks, finding, grid, paper_table, readme, rendering, running, scales, tables
from experiments.report.grid import Grid
from experiments.report.paper_table import PaperTable
from experiments.report.running import Seen

# `params`, `plan`, `status` and `shell_scripts` build architectures, and `retry` composes runs: imported when
# called, as that takes seconds.

PROJECT = Path(__file__).resolve().parents[2]
Command = Callable[[argparse.Namespace, Console], int]


def make_tables(args: argparse.Namespace, console: Console) -> int:
    """Print a family's table of a scale and write its files."""
    family = _family(args)
    table = PaperTable(_found(args), _scale(args), family, args.epoch or "best", args.center)
    for part in tables.parts(table):
        rendering.show(part, console)
    if table.cells.center == paper_table.default_center(family):
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

    rendering.show(plan.plan(_found(args), _grid(args)), console)
    return 0


def show_status(args: argparse.Namespace, console: Console) -> int:
    """Print what is done, running, failed or missing."""
    from experiments.report import status

    rendering.show(status.status(_found(args), _grid(args), _seen(args), _words(args)), console)
    return 0


def run_failed(args: argparse.Namespace, console: Console) -> int:
    """Run the failed runs again; 1 if one fails again or is refused, 130 after Ctrl-C."""
    from experiments.report import retry

    due = retry.plan(_found(args), _grid(args), _words(args), _seen(args).running)
    for line in due.reasons():
        _say(console, rendering.printable(line))
    if not due.commands and not due.refused:
        _say(console, "no failed runs")
    results = []
    for command in due.commands:
        _say(console, shlex.join(["python", *command]))
        if not args.dry_run:
            results.append(subprocess.run([sys.executable, *command], check=False).returncode)
    return 130 if 130 in results else int(any(results) or bool(due.refused))


def check(args: argparse.Namespace, console: Console) -> int:
    """Print every problem of the results; 1 if there is one."""
    roots, table_root = _roots(args), Path(args.tables)
    families = [args.family] if args.family else list(FAMILIES)
    names = [_scale(args)] if args.scale else checks.all_scales(roots, table_root)
    wrong = [line for name in names for line in checks.problems(roots, table_root, name, families)]
    for line in wrong:
        _say(console, rendering.printable(line))
    _say(console, f"scales {', '.join(names) or 'none'}: {len(wrong) or 'no'} problems")
    return 1 if wrong else 0


def write_scripts(args: argparse.Namespace, console: Console) -> int:
    """Write the folders scripts/table1/ to scripts/table4/ anew."""
    from experiments.report import shell_scripts

    for path in shell_scripts.write(PROJECT):
        _say(console, str(path.relative_to(PROJECT)))
    return 0


def write_readme(args: argparse.Namespace, console: Console) -> int:
    """Put a family's table of a scale into README.md, from the project's records; 1 if that cannot be."""
    path, family, scale = PROJECT / "README.md", _family(args), _scale(args)
    try:
        table = readme.part(Path(args.reference), scale, family)
        text = readme.filled(path.read_text(encoding="utf-8"), scale, table, family)
    except readme.ReadmeError as error:
        _say(console, str(error))
        return 1
    path.write_text(text, encoding="utf-8")
    _say(console, f"written: {path.name}, {FAMILIES[family].table} of scale {scale}")
    return 0


COMMANDS: dict[str, tuple[Command, str]] = {
    "tables": (make_tables, "a paper table from the records, printed and as Markdown, LaTeX and CSV"),
    "params": (show_params, 'the "# Params" columns of Tables 1 to 4, counted from architectures'),
    "plan": (show_plan, "the runs of the grid: hours, what is done, disk"),
    "status": (show_status, "finished, running, failed and missing runs, row by task"),
    "retry": (run_failed, "run the failed runs again, each as its record says"),
    "check": (check, "records fit the schema, and each cell of a table traces to records"),
    "scripts": (write_scripts, "write the folders scripts/table1/ to scripts/table4/ anew"),
    "readme": (write_readme, "put a family's table of a scale into README.md, from the project's records"),
}


def _family(args: argparse.Namespace) -> str:
    return str(args.family or scales.PLAIN_FAMILY)


def _scale(args: argparse.Namespace) -> str:
    """The name of the records' folder."""
    return scales.find(_family(args), args.scale or "tiny").name


def _roots(args: argparse.Namespace) -> list[Path]:
    return [Path(args.results), Path(args.reference)]


def _found(args: argparse.Namespace) -> Found:
    return finding.find(_roots(args), _scale(args), _family(args))


def _grid(args: argparse.Namespace) -> Grid:
    return grid.load(_scale(args), _family(args))


def _words(args: argparse.Namespace) -> list[str]:
    """What the runs' own command needs to be given, folders included where they are not the usual ones."""
    usual = PathsConfig()
    folders = (("results", args.results, usual.results), ("cache", args.cache, usual.cache))
    return [f"paths.{key}={folder}" for key, folder, plain in folders if folder != plain] + list(args.words)


def _seen(args: argparse.Namespace) -> Seen:
    return running.see(Path(args.cache), _scale(args), _family(args))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
