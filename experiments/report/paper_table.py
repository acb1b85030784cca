"""One of Tables 1 to 4 at one scale: rows and columns, and what stands in a cell. `table_text` prints it."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import replace
from functools import cached_property

from experiments.families import FAMILIES
from experiments.records import Found, RunRecord
from experiments.report import cells, finding, grid, published, ranking, sameness, summary
from experiments.report.cells import Cells
from experiments.report.columns import Column
from experiments.report.grid import Grid, RowKey
from experiments.report.names import MODELS, TASKS, row_name
from experiments.report.published import PublishedRow

AVERAGE = "average"
AVERAGED = ("glue",)  # families whose table has a column of averages over the tasks
BY_TARGETS = ("glue",)  # families whose table sets rows of equal targets apart; others one model's rows
CENTERS = {"glue": "median"}  # of the seeds, as the paper says; means elsewhere
VARIANTS = ("paper", "released")  # rows with the settings of the paper or of its released scripts
FULL, LORA = ("full", "full"), "lora"  # what other rows are measured against, away from scale paper


def default_center(family: str) -> str:
    """What the paper takes over the seeds."""
    return CENTERS.get(family, "mean")


class PaperTable:
    """The table's rows and columns, and lookups for one cell; a column is one score, or all for the average.

    Attributes:
        family: whose table.
        wanted: the grid of the scale.
        cells: what was measured.
        found: the family's records, and the files that were none.
        left_out: finished runs that must not stand in their cell, each beside a run that it differs from.
        kept: the runs that stand.
        rows: the rows in order.
        by_key: the columns in order, without the average.
        columns: key -> the columns that it is made of.
    """

    def __init__(
        self,
        found: Found,
        scale: str,
        family: str = "glue",
        epoch: str = "best",
        center: str | None = None,
    ) -> None:
        """Sort the records of a scale into the table."""
        self.family = family
        own = [record for record in found.records if record.identity.family == family]
        own = [record for record in own if record.identity.variant not in grid.ABLATIONS]  # Tables 5 and 6
        self.found = replace(found, records=own)
        self.wanted: Grid = grid.load(scale, family)
        self.kept, self.left_out = sameness.separate(self.found)
        self.cells: Cells = cells.collect(self.kept, family, epoch, center or default_center(family))
        self.rows, shown = cells.layout(self.wanted, self.cells)
        self.by_key: dict[str, Column] = {column.key: column for column in shown}
        self.columns: dict[str, list[str]] = {key: [key] for key in self.by_key}
        self.columns |= {AVERAGE: list(self.by_key)} if family in AVERAGED else {}
        self._differences: dict[tuple[RowKey, str, RowKey | float | None], summary.Difference | None] = {}
        self._printed: dict[RowKey, list[PublishedRow]] = defaultdict(list)
        for row in published.rows(FAMILIES[family].table) if self.scale == "paper" else []:
            self._printed[RowKey(row.model, row.method, row.targets)].append(row)

    @property
    def scale(self) -> str:
        """Name of the scale."""
        return self.wanted.scale

    @property
    def has_published(self) -> bool:
        """Published numbers stand beside measured ones at scale paper only."""
        return bool(self._printed)

    def title(self, column: str) -> str:
        """The head of a column."""
        return self.by_key[column].title if column in self.by_key else "Avg."

    def digits(self, column: str) -> int:
        """Digits after the point; the average has those of its parts."""
        return self.by_key[self.columns[column][0]].measure.digits if self.columns[column] else 1

    def published(self, row: RowKey) -> list[PublishedRow]:
        """The printed rows that this one repeats, with the settings of paper or released scripts.

        Two papers may have measured the same row.
        """
        return self._printed.get(row._replace(variant="paper"), []) if row.variant in VARIANTS else []

    def published_score(self, printed: PublishedRow, column: str) -> float | None:
        """The number of a printed row that a column is compared with."""
        if column == AVERAGE:
            return printed.average
        return printed.scores.get(self.by_key[column].printed)

    @cached_property
    def borrowed(self) -> finding.Borrowed:
        """Which of the runs are the project's and not the user's."""
        return finding.Borrowed.among(self.kept, self.found)

    def run_ids(self, row: RowKey, column: str) -> list[str]:
        """The runs behind a measured cell."""
        return [
            grid.run_id(self.family, row, self.by_key[key].task, seed)
            for key in self.columns[column]
            for seed in sorted(self.cells.sample(row, key).scores)
        ]

    def compared(self, row: RowKey) -> dict[str, RowKey]:
        """The rows of the same model that this one is compared with, by name; without itself.

        A changed setting is compared with the same change of the other row, and without one with its row
        as it is in the paper, never with another change.
        """
        found = {}
        lora = [kind for kind in grid.printed_rows(self.family) if kind[0] == LORA]
        for kind in (FULL, *lora):
            choices = [RowKey(row.model, *kind, variant) for variant in (row.variant, "paper")]
            there = [other for other in choices if other != row and other in self.cells.by_row]
            for other in there[:1]:
                found[row_name(*other[1:])] = other
        return found

    def difference(self, row: RowKey, column: str, other: RowKey | float | None) -> summary.Difference | None:
        """How much a row lies above another or above a printed number; None where a run is missing.

        Ratings of different judge models are not subtracted from each other.
        """
        key = (row, column, other)
        if key not in self._differences:
            self._differences[key] = self._difference(*key)
        return self._differences[key]

    def _difference(
        self, row: RowKey, column: str, other: RowKey | float | None
    ) -> summary.Difference | None:
        keys = self.columns[column]
        ours = self.cells.samples(row, keys)
        theirs = self.cells.samples(other, keys) if isinstance(other, RowKey) else other
        if ours is None or theirs is None:
            return None
        if isinstance(other, RowKey) and self.cells.judges(row, keys) != self.cells.judges(other, keys):
            return None
        return summary.difference(ours, theirs, self.cells.center)

    def group(self, row: RowKey | PublishedRow) -> Hashable:
        """The rows between two rules, which compete for the best number."""
        return (row.model, row.targets) if self.family in BY_TARGETS else row.model

    @cached_property
    def best(self) -> dict[str, set[RowKey]]:
        """By column: the best measured rows of each group, as rounded.

        Changed settings do not compete, and neither does a group whose rows have unequal numbers of seeds or
        different judges.
        """
        rows = [row for row in self.rows if row.variant in VARIANTS]
        return {
            column: ranking.best(
                {row: self.cells.centre(row, keys) for row in rows},
                self.group,
                {row: self._origin(row, keys) for row in rows},
                self.digits(column),
            )
            for column, keys in self.columns.items()
        }

    def _origin(self, row: RowKey, keys: list[str]) -> Hashable:
        """How many seeds a row's numbers are from, and who gave them."""
        return *(len(self.cells.sample(row, key).scores) for key in keys), *sorted(
            self.cells.judges(row, keys)
        )

    def is_best_published(self, printed: PublishedRow, column: str) -> bool:
        """Whether a printed number is the best of its group."""
        return (printed.model, printed.method, printed.targets, printed.source) in self._best_published[
            column
        ]

    @cached_property
    def _best_published(self) -> dict[str, set[tuple[str, str, str, str]]]:
        rows = {
            (row.model, row.method, row.targets, row.source): row
            for several in self._printed.values()
            for row in several
        }
        return {
            column: ranking.best(
                {key: self.published_score(row, column) for key, row in rows.items()},
                lambda key: self.group(rows[key]),
                digits=self.digits(column),
            )
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
                found.append((what, grid.command(self.family, self.scale, row, tasks, seeds)))
        return found

    def _missing_seeds(self, row: RowKey) -> dict[tuple[int, ...], list[str]]:
        by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for task in dict.fromkeys(column.task for column in self.by_key.values()):
            done = self.cells.seeds(row, task)
            by_seeds[tuple(seed for seed in self.wanted.seeds if seed not in done)].append(task)
        return {seeds: tasks for seeds, tasks in by_seeds.items() if seeds}
