"""The scripts in scripts/table1/: a sweep over tasks and seeds for each printed row of the table.

They are written by `python -m experiments.report scripts`, never by hand.
"""

from pathlib import Path

from experiments.report import grid, plan, published
from experiments.report.grid import RowKey
from experiments.report.names import MODELS, row_name
from experiments.report.published import PublishedRow

SCALE = "paper"
TEMPLATE = """\
#!/usr/bin/env bash
# Table 1, {model}, {row}: {tasks} tasks x {seeds} seeds. Published average: {average}.
# GPU hours: about {hours:.0f} ({hours_from}).
# Usage: {path} [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${{BASH_SOURCE[0]}}")/../../.."
PYTHON="${{PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}}"
exec "$PYTHON" -m experiments.run -m {words} \\
    {sweep} "$@"
"""


def scripts() -> dict[str, str]:
    """Path below the project -> text, for every row of Table 1."""
    return dict(_script(row) for row in published.rows("table1"))


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


def _script(row: PublishedRow) -> tuple[str, str]:
    choice = grid.row_choice(row.method, row.targets)
    path = f"scripts/table1/{row.model}/{choice}.sh"
    tasks, seeds = published.columns(row.table), grid.seeds(SCALE)
    hours = [plan.hours_of(RowKey(row.model, row.method, row.targets), task, SCALE, {}) for task in tasks]
    text = TEMPLATE.format(
        model=MODELS[row.model],
        row=row_name(row.method, row.targets),
        tasks=len(tasks),
        seeds=len(seeds),
        average=row.average,
        hours=len(seeds) * sum(each or 0.0 for each, _ in hours),
        hours_from=hours[0][1],
        path=path,
        words=f"scale={SCALE} model={row.model} row={choice}",
        sweep=f"task={','.join(tasks)} seed={','.join(map(str, seeds))}",
    )
    return path, text
