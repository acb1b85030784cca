"""What the grid of a scale still has to run: done, failed, missing, GPU hours, disk."""

from dataclasses import dataclass

from experiments.records import Found, RunRecord
from experiments.report import cells, disk, grid, hours
from experiments.report.grid import Grid, RowKey
from experiments.report.names import MODELS, TASKS, row_name
from experiments.report.rendering import Cell, Table

MAX_LISTED = 20
GAP = "–"  # an en dash, as in printed tables


@dataclass(frozen=True)
class Job:
    """The runs of one row and task.

    Attributes:
        row, task: which.
        done, failed, missing: seeds; a cancelled run counts as missing.
        hours: of one run; None where nobody knows.
        hours_from: who measured that.
    """

    row: RowKey
    task: str
    done: list[int]
    failed: list[int]
    missing: list[int]
    hours: float | None
    hours_from: str

    @property
    def left(self) -> list[int]:
        """The seeds that a sweep would run: failed ones are tried again."""
        return sorted([*self.failed, *self.missing])

    @property
    def hours_left(self) -> float:
        """GPU hours of the runs that are left, where known."""
        return (self.hours or 0.0) * len(self.left)


def jobs(found: Found, wanted: Grid) -> list[Job]:
    """The grid's runs, sorted by what the records say of them."""
    by_id = {record.run_id: record for record in found.records}
    return [_job(row, task, wanted, by_id) for row in wanted.rows for task in wanted.tasks]


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
        notes=[_totals(listed), hours.note(wanted), *disk.notes(found, wanted)],
    )


def status(found: Found, wanted: Grid) -> Table:
    """Row by task: finished runs of those wanted, and how many failed."""
    listed = jobs(found, wanted)
    lines: dict[RowKey, list[str]] = {row: _names(row) for row in wanted.rows}
    for job in listed:
        lines[job.row].append(_progress(job))
    return Table(
        title=f"Status of {wanted.title}, scale {wanted.scale}: finished runs of those wanted",
        header=["Model", "Row", *(TASKS[task] for task in wanted.tasks)],
        alignment="ll" + "r" * len(wanted.tasks),
        blocks=[[[Cell(text) for text in line] for line in lines.values()]],
        notes=[_totals(listed), *_other_runs(found, wanted), *_trouble(found)],
    )


def _job(row: RowKey, task: str, wanted: Grid, found: dict[str, RunRecord]) -> Job:
    states: dict[str, list[int]] = {"success": [], "failed": [], "missing": []}
    for seed in wanted.seeds:
        record = found.get(grid.run_id(wanted.family, row, task, seed))
        state = record.status if record and record.status in states else "missing"
        states[state].append(seed)
    each, source = hours.of(row, task, wanted, found)
    return Job(row, task, states["success"], states["failed"], states["missing"], each, source)


def _plan_line(job: Job) -> list[str]:
    each = GAP if job.hours is None else _hours_text(job.hours)
    left = GAP if job.hours is None else _hours_text(job.hours_left)
    seeds = ",".join(map(str, job.left))
    return [
        *_names(job.row),
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


def _names(row: RowKey) -> list[str]:
    return [MODELS.get(row.model, row.model), row_name(row.method, row.targets, row.variant)]


def _progress(job: Job) -> str:
    total = len(job.done) + len(job.left)
    return f"{len(job.done)}/{total}" + (f" ({len(job.failed)} failed)" if job.failed else "")


def _totals(listed: list[Job]) -> str:
    done, failed = sum(len(job.done) for job in listed), sum(len(job.failed) for job in listed)
    missing = sum(len(job.missing) for job in listed)
    total = done + failed + missing
    known = sum((job.hours or 0.0) * (len(job.done) + len(job.left)) for job in listed)
    left = sum(job.hours_left for job in listed)
    return (
        f"{total} runs: {done} done, {failed} failed (they are tried again), {missing} missing. "
        f"Hours, where known: {_hours_text(known)} in all, {_hours_text(left)} left."
    )


def _other_runs(found: Found, wanted: Grid) -> list[str]:
    others = [record for record in found.records if cells.row_of(record) not in wanted.rows]
    done = sum(record.outcome is not None for record in others)
    return [f"Outside this grid: {len(others)} runs, {done} of them finished."] if others else []


def _trouble(found: Found) -> list[str]:
    lines = []
    for record in found.records:
        if record.status == "failed":
            lines.append(f"Failed: {record.run_id}: {(record.error or {}).get('message', '')}")
    lines += [f"No record: {problem.path}: {problem.message}" for problem in found.problems]
    rest = len(lines) - MAX_LISTED
    return [f"{line:.300}" for line in lines[:MAX_LISTED]] + ([f"And {rest} more."] if rest > 0 else [])
