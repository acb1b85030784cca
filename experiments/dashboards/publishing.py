"""A scale's tables and figures as one artifact of W&B, in a run of job type `report`.

Tables also appear as tables that can be sorted and filtered (tables/table1), PNG figures as images.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from experiments import tracking
from experiments.dashboards.errors import DashboardError, explained
from experiments.dashboards.panels import TABLE_KEYS
from experiments.tracking import REPORT
from experiments.wandb_run import add_files

FIGURE_KEYS = "figures/{}"
Cell = str | float | None


def publish(scale: str, tables: Path, figures: Path, cache: Path, **where: Any) -> list[Path]:
    """Log what there is of a scale. Returns the files.

    Args:
        scale: name of the records' folder.
        tables: holds a folder of that name.
        figures: may hold one.
        cache: offline runs are written here.
        where: project, entity and mode of W&B.

    Raises:
        DashboardError: there are no tables, or W&B refuses.
    """
    files = {under: _files(root / scale) for under, root in (("tables", tables), ("figures", figures))}
    if not files["tables"]:
        raise DashboardError(f"no tables of scale {scale} under {tables}; `make tables SCALE=…` writes them")
    shown = _shown(files["tables"], files["figures"])
    with explained("publish"), _run(scale, cache, where) as run:
        artifact = wandb.Artifact(f"{REPORT}.{scale}", type=REPORT, metadata={"scale": scale})
        add_files(artifact, tables / scale, "tables")
        add_files(artifact, figures / scale, "figures")
        run.log_artifact(artifact)
        run.log(shown)
    return [*files["tables"], *files["figures"]]


def _shown(tables: list[Path], figures: list[Path]) -> dict[str, Any]:
    """What the run's page can show: CSV files as tables, PNG files as images."""
    return {
        **{TABLE_KEYS.format(path.stem): _table(path) for path in tables if path.suffix == ".csv"},
        **{
            FIGURE_KEYS.format(path.stem): wandb.Image(str(path)) for path in figures if path.suffix == ".png"
        },
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _run(scale: str, cache: Path, where: dict[str, Any]) -> Iterator[Any]:
    """An open run that holds no training; it ends as failed if the block does."""
    words = {"group": f"{scale}/{REPORT}", "job_type": REPORT, "tags": [scale, REPORT]}
    run = tracking.open_run(cache, name=f"{REPORT}/{scale}", config={"scale": scale}, **words, **where)
    exit_code = 1
    try:
        yield run
        exit_code = 0
    finally:
        run.finish(exit_code=exit_code)


def _table(path: Path) -> wandb.Table:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    columns = [typed(column) for column in zip(*rows, strict=True)]
    return wandb.Table(columns=[*head], data=[list(row) for row in zip(*columns, strict=True)])


def typed(column: tuple[str, ...]) -> list[Cell]:
    """A column's cells as numbers where all are; None where nothing stands."""
    try:
        return [float(cell) if cell else None for cell in column]
    except ValueError:
        return [cell or None for cell in column]
