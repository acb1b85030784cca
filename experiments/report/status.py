"""What is done, running, failed or missing of a scale's grid, and what to do about it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from experiments.records import Found, RunRecord
from experiments.report import cells, plan, retry, sameness
from experiments.report.grid import Grid, RowKey
from experiments.report.names import TASKS
from experiments.report.plan import Job
from experiments.report.rendering import Cell, Table
from experiments.report.running import Seen

MAX_LISTED = 20
WIDEST = 300  # characters of a line that names a run and its error


def status(found: Found, wanted: Grid, seen: Seen | None = None, words: Sequence[str] = ()) -> Table:
    """Row by task: finished runs of those wanted, and how many failed or are running.

    Args:
        found: the records.
        wanted: the grid.
        seen: which runs are running.
        words: what a command of these runs needs beside the grid, such as model.path=FOLDER.
    """
    seen = seen or Seen()
    listed = plan.jobs(found, wanted, seen.running)
    lines: dict[RowKey, list[str]] = {row: plan.names(row) for row in wanted.rows}
    for job in listed:
        lines[job.row].append(_progress(job))
    return Table(
        title=f"Status of {wanted.title}, scale {wanted.scale}: finished runs of those wanted",
        header=["Model", "Row", *(TASKS[task] for task in wanted.tasks)],
        alignment="ll" + "r" * len(wanted.tasks),
        blocks=[[[Cell(text) for text in line] for line in lines.values()]],
        notes=[
            plan.totals(listed),
            *_other_runs(found, wanted),
            *_processes(found, seen),
            *_failures(found, wanted, seen, words),
            *_clocks(found.records),
            *_unlike(found),
            *_shortened(f"No record: {problem.path}: {problem.message}" for problem in found.problems),
        ],
    )


def _progress(job: Job) -> str:
    total = len(job.done) + len(job.left)
    more = [
        f"{len(seeds)} {state}"
        for state, seeds in (("failed", job.failed), ("running", job.running))
        if seeds
    ]
    return f"{len(job.done)}/{total}" + (f" ({', '.join(more)})" if more else "")


def _other_runs(found: Found, wanted: Grid) -> list[str]:
    others = [record for record in found.records if cells.row_of(record) not in wanted.rows]
    done = sum(record.outcome is not None for record in others)
    return [f"Outside this grid: {len(others)} runs, {done} of them finished."] if others else []


def _processes(found: Found, seen: Seen) -> list[str]:
    """Runs that processes are at, and those whose process died."""
    done = {record.run_id for record in found.records if record.outcome is not None}
    cut_off = {run_id: holder for run_id, holder in seen.cut_off.items() if run_id not in done}
    lines = _shortened(
        f"Running: {run_id}: {holder or 'its lock does not say where'}"
        for run_id, holder in seen.running.items()
    )
    lines += _shortened(f"Cut off: {run_id}: {holder}, died" for run_id, holder in cut_off.items())
    if cut_off:
        lines.append("The command that ran what was cut off goes on from its checkpoint.")
    return lines + _shortened(f"Not seen: {run_id}: {why}" for run_id, why in seen.unseen.items())


def _failures(found: Found, wanted: Grid, seen: Seen, words: Sequence[str]) -> list[str]:
    """Failed runs, each with the first line of its error, and the command that runs them again."""
    failed = [record for record in retry.failed(found) if record.run_id not in seen.running]
    lines = _shortened(f"Failed: {record.run_id}: {_first_line(record)}" for record in failed)
    return [*lines, f"To run the failed ones again: {retry.target(wanted, words, failed)}"] if failed else []


def _first_line(record: RunRecord) -> str:
    return str((record.error or {}).get("message", "")).partition("\n")[0]


def _unlike(found: Found) -> list[str]:
    """Name the finished runs that no table shows, and in what they differ from the others of their cell."""
    return _shortened(
        f"Not in a table: {run.run_id}: unlike {kept.run_id} in {', '.join(sameness.differences(kept, run))}"
        for run, kept in sameness.separate(found)[1]
    )


def _clocks(found: Sequence[RunRecord]) -> list[str]:
    """Runs that ended in the future, by a clock that was wrong then or is now."""
    wrong = [record.run_id for record in found if sameness.is_in_future(record)]
    if not wrong:
        return []
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        f"Clock: it is {now}, and {len(wrong)} runs ended later than that, such as {wrong[0]}. Set the "
        "clock. No number and no duration depends on it; where seeds of a cell have several settings, these "
        "runs count as older than the others."
    ]


def _shortened(lines: Iterable[str]) -> list[str]:
    every = [f"{line:.{WIDEST}}" for line in lines]
    rest = len(every) - MAX_LISTED
    return every[:MAX_LISTED] + ([f"And {rest} more such runs."] if rest > 0 else [])
