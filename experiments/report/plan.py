"""What the grid of a scale still has to run: done, failed, missing, GPU hours, disk."""

from collections.abc import Collection
from dataclasses import dataclass

from experiments.records import Found, RunRecord
from experiments.report import disk, grid, hours
from experiments.report.grid import Grid, RowKey
from experiments.report.names import MODELS, TASKS, row_name
from experiments.report.rendering import Cell, Table

GAP = "–"  # an en dash, as in printed tables


@dataclass(frozen=True)
class Job:
    """The runs of one row and task.

    Attributes:
        row, task: which.
        done, failed, missing: seeds; a cancelled run counts as missing.
        running: seeds that a process runs now, whatever is on record of them.
        hours: of one run; None where nobody knows.
        hours_from: who measured that.
    """

    row: RowKey
    task: str
    done: list[int]
    failed: list[int]
    missing: list[int]
    running: list[int]
    hours: float | None
    hours_from: str

    @property
    def left(self) -> list[int]:
        """The seeds that have no result yet: failed ones are tried again."""
        return sorted([*self.failed, *self.missing, *self.running])

    @property
    def hours_left(self) -> float:
        """GPU hours of the runs that are left, where known."""
        return (self.hours or 0.0) * len(self.left)


def jobs(found: Found, wanted: Grid, running: Collection[str] = ()) -> list[Job]:
    """The grid's runs, sorted by what the records say of them, and by which are running."""
    by_id = {record.run_id: record for record in found.records}
    return [_job(row, task, wanted, by_id, running) for row in wanted.rows for task in wanted.tasks]


def plan(found: Found, wanted: Grid) -> Table:
    """Every row and task of the grid with its hours, and the totals."""
    listed = jobs(found, wanted)
    blocks: dict[object, list[list[Cell]]] = {}
    for job in listed:
        block = job.row if len(wanted.tasks) > 1 else job.row.model
        blocks.setdefault(block, []).append([Cell(text) for text in _plan_line(job)])
    return Table(
        title=f"Plan of {wanted.title}, scale {wanted.scale}",
        header=[
            "Model",
            "Row",
            "Task",
            "Done",
            "Failed",
            "Seeds left",
            "Hours each",
            "Hours left",
            "Hours from",
        ],
        alignment="lllrrlrrl",
        blocks=list(blocks.values()),
        notes=[totals(listed), hours.note(wanted), *disk.notes(found, wanted)],
    )


def _job(row: RowKey, task: str, wanted: Grid, found: dict[str, RunRecord], running: Collection[str]) -> Job:
    states: dict[str, list[int]] = {"success": [], "failed": [], "missing": [], "running": []}
    for seed in wanted.seeds:
        run_id = grid.run_id(wanted.family, row, task, seed)
        record = found.get(run_id)
        known = record.status if record and record.status in states else "missing"
        states["running" if run_id in running else known].append(seed)
    each, source = hours.of(row, task, wanted, found)
    done, failed, missing, running_now = states.values()
    return Job(row, task, done, failed, missing, running_now, each, source)


def _plan_line(job: Job) -> list[str]:
    each = GAP if job.hours is None else _hours_text(job.hours)
    left = GAP if job.hours is None else _hours_text(job.hours_left)
    seeds = ",".join(map(str, job.left))
    return [
        *names(job.row),
        TASKS[job.task],
        str(len(job.done)),
        str(len(job.failed)),
        seeds,
        each,
        left,
        job.hours_from,
    ]


def _hours_text(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 or hours == 0 else f"{hours:.4f}"


def names(row: RowKey) -> list[str]:
    """What a line of the table calls its model and its row."""
    return [MODELS.get(row.model, row.model), row_name(row.method, row.targets, row.variant)]


def totals(listed: list[Job]) -> str:
    """The sums over all rows and tasks."""
    counts = [
        (sum(len(job.done) for job in listed), "done"),
        (sum(len(job.running) for job in listed), "running"),
        (sum(len(job.failed) for job in listed), "failed (they are tried again)"),
        (sum(len(job.missing) for job in listed), "missing"),
    ]
    told = ", ".join(f"{count} {state}" for count, state in counts if count or state != "running")
    known = sum((job.hours or 0.0) * (len(job.done) + len(job.left)) for job in listed)
    left = sum(job.hours_left for job in listed)
    return (
        f"{sum(count for count, _ in counts)} runs: {told}. "
        f"Hours, where known: {_hours_text(known)} in all, {_hours_text(left)} left."
    )
