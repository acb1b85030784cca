"""The commands of `python -m experiments.report`: each prints, and returns an exit status."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from experiments.config import PathsConfig
from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import (
    ablations,
    checks,
    finding,
    grid,
    paper_table,
    readme,
    rendering,
    running,
    scales,
    settings_table,
    tables,
)
from experiments.report.grid import Grid
from experiments.report.page import sources
from experiments.report.paper_table import PaperTable
from experiments.report.running import Seen
from experiments.report.tables import Sheet

# `params`, `plan`, `status` and `shell_scripts` build architectures, and `retry` composes runs: imported when
# called, as that takes seconds.

PROJECT = Path(__file__).resolve().parents[2]
ABLATIONS = "ablations"  # what --family calls Tables 5 and 6
Command = Callable[[argparse.Namespace, Console], int]


def make_tables(args: argparse.Namespace, console: Console) -> int:
    """Print a family's table of a scale, or those of the ablations, and write their files."""
    for sheet in _sheets(args):
        for part in sheet.parts if args.differences else sheet.parts[:1]:
            rendering.show(part, console)
        if args.center in (None, paper_table.default_center(_family(args))):
            _say(console, f"Table: {_written(tables.write(_tables(args), sheet))}")
    return 0


def show_results(args: argparse.Namespace, console: Console) -> int:
    """Print a family's tables, draw them as a picture and build the page; say where all of it lies."""
    from experiments.report.figures import gallery, style

    make_tables(args, console)
    pictures = gallery.pictures(_found(args), _scale(args), _family(args), args.family == ABLATIONS)
    for name, figure in pictures.items():
        _say(console, f"Picture: {_written(style.write(figure, Path(args.figures) / _scale(args), name))}")
    roots, page = _roots(args), Path(args.page)
    asked = sources.all_scales(roots)
    if sources.is_current(page, roots, asked):  # a second call changes nothing, and need not wait for it
        _say(console, _page_line(page, asked))
        return 0
    return make_page(argparse.Namespace(**{**vars(args), "scale": None}), console)


def show_claims(args: argparse.Namespace, console: Console) -> int:
    """Print what a scale's runs say to the abstract's claims, and write it."""
    scale = _scale(args)
    sheet = tables.of_claims(finding.every(_roots(args), scale), scale, "claims")
    rendering.show(sheet.parts[0], console)
    _say(console, f"Table: {_written(tables.write(_tables(args), sheet))}")
    return 0


def make_figures(args: argparse.Namespace, console: Console) -> int:
    """Draw the figures of a scale of which there are runs; say what would make the others."""
    from experiments.report.figures import gallery
    from experiments.report.figures.sources import Sources

    roots, scale = _roots(args), _scale(args)
    drawings = gallery.draw_all(Sources(scale, finding.every(roots, scale), roots))
    for path in gallery.write(drawings, Path(args.figures) / scale):
        _say(console, f"written: {path}")
    for drawing in drawings:
        if drawing.figure is None:
            _say(console, f"{drawing.name} ({drawing.title}) has no run to be drawn of: {drawing.command}")
    return 0


def make_page(args: argparse.Namespace, console: Console) -> int:
    """Write the page of all scales that have records, or of one."""
    from experiments.report.page import build

    roots = _roots(args)
    asked = [_scale(args)] if args.scale else sources.all_scales(roots)
    path = Path(args.page)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build.build(roots, asked), encoding="utf-8")
    _say(console, _page_line(path, asked))
    return 0


def _page_line(path: Path, scales: Sequence[str]) -> str:
    return f"Page: {path} (scales {', '.join(scales)}); open it in a browser"


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
    roots, reference = _roots(args), Path(args.reference)
    families = [_family(args)] if args.family else list(FAMILIES)
    names = [_scale(args)] if args.scale else checks.all_scales(roots, Path(args.tables))
    wrong = []
    for name in names:
        wrong += checks.problems(roots, name, families)
        wrong += checks.stale_tables(roots, Path(args.tables) / name, name, families)
        wrong += checks.stale_tables([reference], tables.reference_folder(reference, name), name, families)
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


def refresh(args: argparse.Namespace, console: Console) -> int:
    """Write the project's own tables of every scale and README's, from the project's records."""
    reference = Path(args.reference)
    for scale in checks.all_scales([reference], reference):
        folder = tables.reference_folder(reference, scale)
        for sheet in tables.of_scale(finding.every([reference], scale), [reference], scale):
            _say(console, f"Table: {_written(tables.write(folder, sheet))}")
    path = PROJECT / "README.md"
    try:
        text = readme.refreshed(path.read_text(encoding="utf-8"), reference)
    except readme.ReadmeError as error:
        _say(console, str(error))
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


COMMANDS: dict[str, tuple[Command, str]] = {
    "tables": (make_tables, "a paper table from the records, printed and as Markdown, LaTeX and CSV"),
    "results": (show_results, "the same with its picture and the page: what `make reproduce-…` ends with"),
    "claims": (
        show_claims,
        "each claim of the paper's abstract: holds, does not hold, or not measured",
    ),
    "figures": (make_figures, "the paper's Figures 1 and 3 to 9 from the records, as SVG and PDF"),
    "page": (make_page, "one HTML page of all tables, figures and runs; of all scales, or of one"),
    "params": (show_params, 'the "# Params" columns of Tables 1 to 4, counted from architectures'),
    "plan": (show_plan, "the runs of the grid: hours, what is done, disk"),
    "status": (show_status, "finished, running, failed and missing runs, row by task"),
    "retry": (run_failed, "run the failed runs again, each as its record says"),
    "check": (check, "records fit the schema, and each cell of a table traces to records"),
    "scripts": (write_scripts, "write the folders scripts/table1/ to scripts/table4/ anew"),
    "refresh": (refresh, "write the project's own tables and README's, from the project's records"),
}


def _sheets(args: argparse.Namespace) -> list[Sheet]:
    """The tables that are asked for."""
    found, scale = _found(args), _scale(args)
    if (name := f"table{args.table}") in settings_table.FAMILY:
        return [tables.of_settings(found, scale, name)]
    if names := _ablations(args):
        return [tables.OTHERS[name](found, scale, name) for name in names]
    return [tables.of_family(PaperTable(found, scale, _family(args), args.epoch or "best", args.center))]


def _ablations(args: argparse.Namespace) -> list[str]:
    """The tables of ablations that are asked for."""
    names = [name for name in ablations.TABLES if args.table in (None, int(name.removeprefix("table")))]
    return names if args.family == ABLATIONS else []


def _family(args: argparse.Namespace) -> str:
    """Whose records: ablations are runs of GLUE."""
    return scales.PLAIN_FAMILY if args.family in (None, ABLATIONS) else str(args.family)


def _scale(args: argparse.Namespace) -> str:
    """The name of the records' folder."""
    return scales.find(_family(args), args.scale or "tiny").name


def _tables(args: argparse.Namespace) -> Path:
    """The folder of the user's tables of the scale."""
    return Path(args.tables) / _scale(args)


def _written(paths: Sequence[Path]) -> str:
    """The files of a table in few words: results/tables/tiny/table1.md, .tex, .csv."""
    first, *others = paths
    return ", ".join([str(first), *(path.suffix for path in others)])


def _roots(args: argparse.Namespace) -> list[Path]:
    return [Path(args.results), Path(args.reference)]


def _found(args: argparse.Namespace) -> Found:
    return finding.find(_roots(args), _scale(args), _family(args))


def _grid(args: argparse.Namespace) -> Grid:
    names = _ablations(args)
    return ablations.load(_scale(args), names) if names else grid.load(_scale(args), _family(args))


def _words(args: argparse.Namespace) -> list[str]:
    """What the runs' own command needs to be given, folders included where they are not the usual ones."""
    usual = PathsConfig()
    folders = (("results", args.results, usual.results), ("cache", args.cache, usual.cache))
    return [f"paths.{key}={folder}" for key, folder, plain in folders if folder != plain] + list(args.words)


def _seen(args: argparse.Namespace) -> Seen:
    return running.see(Path(args.cache), _scale(args), _family(args))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
