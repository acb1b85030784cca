"""The scripts in scripts/table1/ to scripts/table4/: a sweep over tasks and seeds for each printed row.

They are written by `python -m experiments.report scripts`, never by hand.
"""

from pathlib import Path

from experiments.families import FAMILIES
from experiments.report import columns, grid, hours, published, scales
from experiments.report.grid import Grid, RowKey
from experiments.report.names import MODELS, TABLES, row_name
from experiments.report.published import PublishedRow

SCALE = "paper"
TEMPLATE = """\
#!/usr/bin/env bash
# Table {number}, {model}, {row}: {runs}. Published {published}.
# GPU hours: {hours}.
# Usage: {usage} [more words for experiments.run, such as launcher=slurm]
{more}# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${{BASH_SOURCE[0]}}")/../../.."
PYTHON="${{PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}}"
exec "$PYTHON" -m experiments.run -m {words} \\
    {sweep} "$@"
"""
JUDGING = "# Its answers are rated by a judge model afterwards: make judge.\n"


def scripts() -> dict[str, str]:
    """Path below the project -> text, for every row of Tables 1 to 4."""
    made: dict[str, str] = {}
    for family in FAMILIES:
        wanted = grid.load(SCALE, family)
        made |= dict(_script(wanted, row) for row in wanted.rows)
    return made


def write(project: Path) -> list[Path]:
    """Write all scripts, executable. Returns their paths."""
    written = []
    for name, text in scripts().items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        written.append(path)
    return written


def _script(wanted: Grid, row: RowKey) -> tuple[str, str]:
    table, scale = FAMILIES[wanted.family].table, scales.find(wanted.family, SCALE)
    choice = grid.row_choice(row.method, row.targets)
    path = f"scripts/{table}/{row.model}/{choice}.sh"
    text = TEMPLATE.format(
        number=TABLES[table],
        model=MODELS[row.model],
        row=row_name(row.method, row.targets),
        runs=_runs(wanted),
        published=_published(wanted.family, row),
        hours=_hours(wanted, row),
        usage=" ".join([path, *scales.asked_folders(scale, row.model)]),
        more=JUDGING if wanted.family == "instruct" else "",
        words=f"scale={scale.word} model={row.model} row={choice}",
        sweep=f"task={','.join(wanted.tasks)} seed={','.join(map(str, wanted.seeds))}",
    )
    return path, text


def _runs(wanted: Grid) -> str:
    seeds = f"{len(wanted.seeds)} seeds" if len(wanted.seeds) > 1 else f"seed {wanted.seeds[0]}"
    return f"{len(wanted.tasks)} tasks x {seeds}" if len(wanted.tasks) > 1 else seeds


def _published(family: str, row: RowKey) -> str:
    """The printed average, or all printed scores; of each paper that measured the row."""
    found = published.rows(FAMILIES[family].table)
    return "; ".join(
        _numbers(family, each) for each in found if (each.model, each.method, each.targets) == row[:3]
    )


def _numbers(family: str, printed: PublishedRow) -> str:
    if printed.average is not None:
        return f"average: {printed.average}"
    own = [column for column in columns.COLUMNS[family] if column.key == column.printed]
    scores = [f"{each.title} {printed.scores[each.key]:.{each.measure.digits}f}" for each in own]
    return f"({printed.source}): {', '.join(scores)}"


def _hours(wanted: Grid, row: RowKey) -> str:
    found = [hours.of(row, task, wanted, {}) for task in wanted.tasks]
    known = [each for each, _ in found if each is not None]
    if not known:
        return "the paper prints none"
    return f"about {len(wanted.seeds) * sum(known):.0f} ({found[0][1]})"
