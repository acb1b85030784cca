"""Records sorted into the cells of a table: for each row and task, the score of each seed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from experiments.records import RunRecord
from experiments.report import grid, summary
from experiments.report.grid import RowKey

EPOCHS = {"best": "scores", "last": "last_scores"}


@dataclass
class Sample:
    """The finished runs of one cell.

    Attributes:
        scores: seed -> score times 100.
        params: stored parameters of the runs; one value, as every seed has the same.
    """

    scores: dict[int, float] = field(default_factory=dict)
    params: set[float] = field(default_factory=set)

    @property
    def values(self) -> list[float]:
        """The scores in the order of the seeds."""
        return [self.scores[seed] for seed in sorted(self.scores)]


@dataclass(frozen=True)
class Cells:
    """All cells of a scale.

    Attributes:
        epoch: "best" of each run, or its "last".
        center: "median" or "mean" over the seeds.
        by_row: row -> task -> runs.
    """

    epoch: str
    center: str
    by_row: dict[RowKey, dict[str, Sample]]

    def sample(self, row: RowKey, task: str) -> list[float]:
        """The scores of a cell; empty where there is none."""
        found = self.by_row.get(row, {}).get(task)
        return found.values if found else []

    def samples(self, row: RowKey, tasks: Sequence[str]) -> list[list[float]] | None:
        """The scores of several cells, or None unless each has a run: some tasks make no average."""
        found = [self.sample(row, task) for task in tasks]
        return found if found and all(found) else None

    def centre(self, row: RowKey, tasks: Sequence[str]) -> float | None:
        """The centre of a cell, or the average of the centres of several."""
        found = self.samples(row, tasks)
        return None if found is None else summary.mean_of_centers(found, self.center)

    def params(self, row: RowKey) -> list[float]:
        """The distinct numbers of stored parameters in a row; one, unless settings were mixed."""
        samples = self.by_row.get(row, {}).values()
        return sorted({params for sample in samples for params in sample.params})


def row_of(record: RunRecord) -> RowKey:
    """The row that a record belongs to."""
    identity = record.identity
    return RowKey(identity.model, identity.method, identity.targets, identity.variant)


def by_cell(records: Iterable[RunRecord]) -> dict[tuple[RowKey, str], list[RunRecord]]:
    """The finished runs, sorted by row and task."""
    found: dict[tuple[RowKey, str], list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.outcome is not None:
            found[row_of(record), record.identity.task].append(record)
    return found


def collect(records: Iterable[RunRecord], epoch: str = "best", center: str = "median") -> Cells:
    """Sort the finished GLUE runs of one scale into cells."""
    by_row: dict[RowKey, dict[str, Sample]] = {}
    for record in records:
        identity, outcome = record.identity, record.outcome
        if outcome is None or identity.family != grid.FAMILY:
            continue
        sample = by_row.setdefault(row_of(record), {}).setdefault(identity.task, Sample())
        sample.scores[identity.seed] = 100 * outcome[EPOCHS[epoch]][outcome["metric"]]
        sample.params.add(outcome["stored_params"])
    return Cells(epoch, center, by_row)


def layout(wanted: grid.Grid, cells: Cells) -> tuple[list[RowKey], list[str]]:
    """The rows and tasks of a table in order: those of the grid, or where none is fixed those that there are.

    A changed setting (a variant) stands below its row. Where only variants of a row were run it needs no gap
    of its own, unless published numbers stand beside it.
    """
    found = sorted(cells.by_row)
    fixed = bool(wanted.rows)
    rows: list[RowKey] = []
    for row in wanted.rows or _in_printed_order(found):
        variants = [other for other in found if other[:3] == row[:3] and other != row]
        gap = fixed and (wanted.scale == "paper" or not variants)
        rows += [row, *variants] if row in cells.by_row or gap else variants
    rows += [row for row in found if row not in rows]
    seen = {task for tasks in cells.by_row.values() for task in tasks}
    tasks = [task for task in wanted.tasks if fixed or task in seen]
    return rows, tasks + sorted(seen - set(wanted.tasks))


def _in_printed_order(found: Sequence[RowKey]) -> list[RowKey]:
    """The head alone and the rows of Table 1, for each model that there is."""
    pattern = [("head", "none"), *grid.printed_rows()]
    return [RowKey(model, *row) for model in dict.fromkeys(row.model for row in found) for row in pattern]
