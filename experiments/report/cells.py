"""Records sorted into the cells of a table: for each row and column, the score of each seed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from experiments.families import FAMILIES
from experiments.records import RunRecord
from experiments.report import columns, grid, summary
from experiments.report.columns import Column, Score
from experiments.report.grid import RowKey


@dataclass
class Sample:
    """The scores of one cell.

    Attributes:
        scores: seed -> score in the units of the table.
        judges: who gave them, where a judge model did; "" stands for none.
    """

    scores: dict[int, float] = field(default_factory=dict)
    judges: set[str] = field(default_factory=set)

    @property
    def values(self) -> list[float]:
        """The scores in the order of the seeds."""
        return [self.scores[seed] for seed in sorted(self.scores)]

    def add(self, seed: int, score: Score) -> None:
        """Put in the score of one run."""
        self.scores[seed] = score.value
        self.judges.add(score.judge)


@dataclass
class Row:
    """The finished runs of one row.

    Attributes:
        samples: column -> scores; a run need not have a score for every column of its task.
        seeds: task -> seeds with a finished run.
        params: stored parameters of the runs; one value, unless settings were mixed.
    """

    samples: dict[str, Sample] = field(default_factory=lambda: defaultdict(Sample))
    seeds: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    params: set[float] = field(default_factory=set)


@dataclass(frozen=True)
class Cells:
    """All cells of a family's table at one scale.

    Attributes:
        family: whose records.
        epoch: "best" of each run, or its "last".
        center: "median" or "mean" over the seeds.
        by_row: row -> its runs.
    """

    family: str
    epoch: str
    center: str
    by_row: dict[RowKey, Row]

    def sample(self, row: RowKey, column: str) -> Sample:
        """The scores of a cell; empty where there is none."""
        samples = self.by_row[row].samples if row in self.by_row else {}
        return samples.get(column, Sample())

    def samples(self, row: RowKey, keys: Sequence[str]) -> list[list[float]] | None:
        """The scores of several cells, or None unless each has a run: some tasks make no average."""
        found = [self.sample(row, key).values for key in keys]
        return found if found and all(found) else None

    def centre(self, row: RowKey, keys: Sequence[str]) -> float | None:
        """The centre of a cell, or the average of the centres of several."""
        found = self.samples(row, keys)
        return None if found is None else summary.mean_of_centers(found, self.center)

    def judges(self, row: RowKey, keys: Sequence[str]) -> set[str]:
        """Who gave the scores of some cells."""
        return {judge for key in keys for judge in self.sample(row, key).judges}

    def params(self, row: RowKey) -> list[float]:
        """The distinct numbers of stored parameters in a row."""
        return sorted(self.by_row[row].params) if row in self.by_row else []

    def seeds(self, row: RowKey, task: str) -> set[int]:
        """The seeds of a row's finished runs of a task."""
        return self.by_row[row].seeds.get(task, set()) if row in self.by_row else set()


def row_of(record: RunRecord) -> RowKey:
    """The row that a record belongs to."""
    identity = record.identity
    return RowKey(identity.model, identity.method, identity.targets, identity.variant)


def by_task(records: Iterable[RunRecord]) -> dict[tuple[RowKey, str, str], list[RunRecord]]:
    """The finished runs, sorted by row, family and task: what only the seed tells apart."""
    found: dict[tuple[RowKey, str, str], list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.outcome is not None:
            found[row_of(record), record.identity.family, record.identity.task].append(record)
    return found


def collect(
    records: Iterable[RunRecord], family: str = "glue", epoch: str = "best", center: str = "median"
) -> Cells:
    """Sort a family's finished runs of one scale into cells."""
    by_row: dict[RowKey, Row] = defaultdict(Row)
    for record in records:
        identity = record.identity
        if record.outcome is None or identity.family != family:
            continue
        row = by_row[row_of(record)]
        row.seeds[identity.task].add(identity.seed)
        row.params.add(record.outcome["stored_params"])
        for column in columns.COLUMNS[family]:
            if column.task == identity.task and (score := columns.score(record, column, epoch)):
                row.samples[column.key].add(identity.seed, score)
    return Cells(family, epoch, center, dict(by_row))


def layout(wanted: grid.Grid, cells: Cells) -> tuple[list[RowKey], list[Column]]:
    """The rows and columns of a table in order: those of the grid, or where none is fixed what there is.

    A changed setting (a variant) stands below its row. Where only variants of a row were run it needs no gap
    of its own, unless published numbers stand beside it.
    """
    found = sorted(cells.by_row)
    fixed = bool(wanted.rows)
    rows: list[RowKey] = []
    for row in wanted.rows or _in_printed_order(wanted.family, found):
        variants = [other for other in found if other[:3] == row[:3] and other != row]
        gap = fixed and (wanted.scale == "paper" or not variants)
        rows += [row, *variants] if row in cells.by_row or gap else variants
    rows += [row for row in found if row not in rows]
    return rows, _columns(wanted, cells, fixed)


def _columns(wanted: grid.Grid, cells: Cells, fixed: bool) -> list[Column]:
    """Those of the grid's tasks first; columns that no run fills are shown where the paper prints them."""
    filled = {key for row in cells.by_row.values() for key, sample in row.samples.items() if sample.scores}
    run = {task for row in cells.by_row.values() for task in row.seeds}
    due = [task for task in wanted.tasks if fixed or task in run]
    tasks = [*due, *(task for task in FAMILIES[wanted.family].tasks if task in run and task not in due)]
    known = columns.COLUMNS[wanted.family]
    return [
        column
        for task in tasks
        for column in known
        if column.task == task and (not column.further or column.key in filled)
    ]


def _in_printed_order(family: str, found: Sequence[RowKey]) -> list[RowKey]:
    """The backbone as it is and the rows that the paper prints, for each model that there is."""
    pattern = dict.fromkeys([grid.CONTROLS[family][0][1:3], *grid.printed_rows(family)])
    return [RowKey(model, *row) for model in dict.fromkeys(row.model for row in found) for row in pattern]
