"""Table 1 (GLUE) of one scale: its rows and columns, and what stands in a cell. `table1_text` prints it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from experiments.records import Found, RunRecord
from experiments.report import cells, grid, published, sameness, summary
from experiments.report.cells import Cells
from experiments.report.grid import Grid, RowKey
from experiments.report.names import MODELS, TASKS, row_name
from experiments.report.published import PublishedRow

AVERAGE = "average"
VARIANTS = ("paper", "released")  # rows with the settings of the paper or of its released scripts
COMPARED = (("full", "full"), ("lora", "qv"))  # what other rows are measured against, away from scale paper


class Table1:
    """The table's rows and columns, and lookups for one cell; a column is one task, or all for the average.

    Attributes:
        wanted: the grid of the scale.
        cells: what was measured.
        found: the records and the files that were none.
        left_out: finished runs that must not stand in their cell, each beside a run that it differs from.
        rows: the rows in order.
        columns: name -> its tasks.
    """

    def __init__(self, found: Found, scale: str, epoch: str = "best", center: str = "median") -> None:
        """Sort the records of a scale into the table."""
        self.found = found
        self.wanted: Grid = grid.load(scale)
        kept, self.left_out = sameness.separate(found)
        self.cells: Cells = cells.collect(kept, epoch, center)
        self.rows, tasks = cells.layout(self.wanted, self.cells)
        self.columns: dict[str, list[str]] = {**{task: [task] for task in tasks}, AVERAGE: tasks}
        self._differences: dict[tuple[RowKey, str, RowKey | float | None], summary.Difference | None] = {}
        printed = published.rows("table1") if scale == "paper" else []
        self._printed = {RowKey(row.model, row.method, row.targets): row for row in printed}

    @property
    def scale(self) -> str:
        """Name of the scale."""
        return self.wanted.scale

    @property
    def has_published(self) -> bool:
        """Published numbers stand beside measured ones at scale paper only."""
        return bool(self._printed)

    def published(self, row: RowKey) -> PublishedRow | None:
        """The printed row that this one repeats, with the settings of paper or released scripts."""
        if row.variant not in VARIANTS:
            return None
        return self._printed.get(row._replace(variant="paper"))

    def published_score(self, row: RowKey, column: str) -> float | None:
        """The printed number of a cell."""
        printed = self.published(row)
        if printed is None:
            return None
        return printed.average if column == AVERAGE else printed.scores[column]

    def compared(self, row: RowKey) -> dict[str, RowKey]:
        """The rows of the same model that this one is compared with, by name; without itself.

        A changed setting is compared with the same change of the other row, and without one with its row
        as it is in the paper, never with another change.
        """
        found = {}
        for kind in COMPARED:
            choices = [RowKey(row.model, *kind, variant) for variant in (row.variant, "paper")]
            there = [other for other in choices if other != row and other in self.cells.by_row]
            for other in there[:1]:
                found[row_name(*other[1:])] = other
        return found

    def difference(self, row: RowKey, column: str, other: RowKey | float | None) -> summary.Difference | None:
        """How much a row lies above another or above a printed number; None where a run is missing."""
        key = (row, column, other)
        if key not in self._differences:
            self._differences[key] = self._difference(*key)
        return self._differences[key]

    def _difference(
        self, row: RowKey, column: str, other: RowKey | float | None
    ) -> summary.Difference | None:
        tasks = self.columns[column]
        ours = self.cells.samples(row, tasks)
        theirs = self.cells.samples(other, tasks) if isinstance(other, RowKey) else other
        return None if ours is None or theirs is None else summary.difference(ours, theirs, self.cells.center)

    @cached_property
    def best(self) -> dict[str, set[RowKey]]:
        """By column: the best measured rows of each group (a model's rows of equal targets), as rounded.

        Changed settings do not compete, and neither does a group whose rows have unequal numbers of seeds.
        """
        rows = [row for row in self.rows if row.variant in VARIANTS]
        return {
            column: best_of_groups(
                {row: self.cells.centre(row, tasks) for row in rows},
                {row: [len(self.cells.sample(row, task)) for task in tasks] for row in rows},
            )
            for column, tasks in self.columns.items()
        }

    @cached_property
    def best_published(self) -> dict[str, set[RowKey]]:
        """The same among the printed numbers."""
        return {
            column: best_of_groups({row: self.published_score(row, column) for row in self.rows})
            for column in self.columns
        }

    def unfinished(self) -> list[RunRecord]:
        """The records of failed and cancelled runs."""
        return [record for record in self.found.records if record.outcome is None]

    def missing(self) -> list[tuple[str, str]]:
        """What the scale's grid has and the records have not: in words, and as the command that fills it."""
        found = []
        for row in self.rows:
            for seeds, tasks in self._missing_seeds(row).items():
                what = f"{MODELS.get(row.model, row.model)}, {row_name(*row[1:])}: "
                what += ", ".join(TASKS.get(task, task) for task in tasks)
                found.append((what, grid.command(self.scale, row, tasks, seeds)))
        return found

    def _missing_seeds(self, row: RowKey) -> dict[tuple[int, ...], list[str]]:
        by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for task in self.columns[AVERAGE]:
            sample = self.cells.by_row.get(row, {}).get(task)
            done = sample.scores if sample else {}
            by_seeds[tuple(seed for seed in self.wanted.seeds if seed not in done)].append(task)
        return {seeds: tasks for seeds, tasks in by_seeds.items() if seeds}


def best_of_groups(
    centers: Mapping[RowKey, float | None], counts: Mapping[RowKey, list[int]] | None = None
) -> set[RowKey]:
    """The rows with the highest number of their group; a group with one number has no best.

    Args:
        centers: the number of each row, None where there is none.
        counts: how many seeds each is from; a group in which these differ has no best.
    """
    groups: dict[tuple[str, str], dict[RowKey, float]] = defaultdict(dict)
    for row, value in centers.items():
        if value is not None:
            groups[row.model, row.targets][row] = round(value, 1)
    seeds = counts or {}
    ranked = [
        group
        for group in groups.values()
        if len(group) > 1 and len({tuple(seeds.get(row, ())) for row in group}) == 1
    ]
    return {row for group in ranked for row, value in group.items() if value == max(group.values())}


def params_text(values: Sequence[float]) -> str:
    """Stored parameters of a row; a range if its runs differ."""
    return " to ".join(f"{value:,.0f}" for value in sorted({min(values), max(values)})) if values else ""
