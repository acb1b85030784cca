"""A table as the page shows it: without rows and columns that hold no result."""

from dataclasses import dataclass

from experiments.report import ablations, settings_table
from experiments.report.abstract import UNMEASURED
from experiments.report.rendering import Cell, Table
from experiments.report.tables import Sheet

GAPS = ("–", "")
FIRST_RESULT = "# Params"  # the column where a row's results begin; where there is none, at the first number


@dataclass(frozen=True)
class View:
    """A table whose rows and columns all hold results.

    Attributes:
        name: its id on the page, after the scale's.
        folded: whether a reader opens it first: differences and settings.
        table: with its title, notes and commands.
        columns: title, and whether it holds numbers.
        groups: rows that sort among themselves, under the model, which is no column here; "" for none.
    """

    name: str
    folded: bool
    table: Table
    columns: list[tuple[str, bool]]
    groups: list[tuple[str, list[list[Cell]]]]


def views(sheet: Sheet) -> list[View]:
    """The tables of a sheet that hold results; of one row alone an ablation says nothing."""
    least = 2 if sheet.name in ablations.TABLES else 1
    made = [_view(sheet.name, number, table) for number, table in enumerate(sheet.parts)]
    return [view for view in made if sum(len(rows) for _, rows in view.groups) >= least]


def _view(name: str, number: int, table: Table) -> View:
    blocks = [[row for row in block if _has_result(row, table)] for block in table.blocks]
    cells = range(len(table.header))
    filled = [n for n in cells if any(row[n].text not in GAPS for block in blocks for row in block)]
    by_model = table.header[0] == "Model"
    shown = filled[by_model:]
    return View(
        name=f"{name}-differences" if number else name,
        folded=bool(number) or name in settings_table.FAMILY,
        table=table,
        columns=[(table.header[n], table.alignment[n] == "r") for n in shown],
        groups=[
            (block[0][0].text if by_model else "", [[row[n] for n in shown] for row in block])
            for block in blocks
            if block
        ],
    )


def _has_result(row: list[Cell], table: Table) -> bool:
    header, first = table.header, table.alignment.find("r")
    first = header.index(FIRST_RESULT) if FIRST_RESULT in header else first
    judged = all(cell.text != UNMEASURED for cell in row)
    return judged and (first < 0 or any(cell.text not in GAPS for cell in row[first:]))
