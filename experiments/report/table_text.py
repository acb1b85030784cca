"""A paper table to print (scores, and differences with intervals), and as data (one line a cell)."""

import csv
import io
from collections.abc import Iterator

from experiments.families import is_generative
from experiments.report import summary, table_notes
from experiments.report.grid import RowKey
from experiments.report.names import MODELS, row_name, table_name
from experiments.report.paper_table import AVERAGE, PaperTable
from experiments.report.published import PublishedRow
from experiments.report.rendering import Cell, Table

GAP = "–"  # an en dash, as in printed tables
FIELDS = (
    *("scale", "epoch", "center", "model", "method", "targets", "variant", "task", "seeds"),
    *("n", "measured", "std", "stored_params", "published", "published_std", "published_source"),
    *("compared_with", "difference", "interval_low", "interval_high"),
)
# Text is graded once, and one run gives several scores.
TEXT_FIELDS = tuple({"task": "score"}.get(name, name) for name in FIELDS if name != "epoch")
Other = tuple[str, RowKey | PublishedRow]
"""What a row is compared with, by name: another row, or a printed one."""


def scores(table: PaperTable) -> Table:
    """The scores: centre, spread and n of each cell; at scale paper below the printed number."""
    lines = {row: list(_score_lines(table, row)) for row in table.rows}
    kind = [""] if table.has_published else []
    unit = ", x100" if table.family == "glue" else ""
    return Table(
        title=f"{table_name(table.family)}, scale {table.scale}: {table.cells.center} of the seeds{unit}",
        header=["Model", "Row", *kind, "# Params", *map(table.title, table.columns)],
        alignment="ll" + "l" * len(kind) + "r" * (1 + len(table.columns)),
        blocks=_blocks(table, lines),
        notes=[*table_notes.scores(table), *table_notes.trouble(table)],
        commands=table.missing(),
        brief=table_notes.brief(table),
    )


def differences(table: PaperTable) -> Table:
    """Measured minus published at scale paper; elsewhere minus full fine-tuning and minus LoRA."""
    lines = {row: list(_difference_lines(table, row)) for row in table.rows}
    what = f"differences with {summary.CONFIDENCE:.0%} intervals"
    return Table(
        title=f"{table_name(table.family)}, scale {table.scale}: {what}",
        header=["Model", "Row", "Minus", *map(table.title, table.columns)],
        alignment="lll" + "r" * len(table.columns),
        blocks=_blocks(table, lines),
        notes=[table_notes.differences(table)],
    )


def data(table: PaperTable) -> str:
    """CSV: one line for each row, column and comparison; numbers unrounded, no record no number."""
    out = io.StringIO()
    fields = TEXT_FIELDS if is_generative(table.family) else FIELDS
    writer = csv.DictWriter(out, fields, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in table.rows:
        for column in table.columns:
            writer.writerows(_data_lines(table, row, column))
    return out.getvalue()


def params_text(values: list[float]) -> str:
    """Stored parameters of a row; a range if its runs differ."""
    return " to ".join(f"{value:,.0f}" for value in sorted({min(values), max(values)})) if values else ""


def _blocks(table: PaperTable, lines: dict[RowKey, list[list[Cell]]]) -> list[list[list[Cell]]]:
    """One block for each group of rows that compete."""
    blocks: dict[object, list[list[Cell]]] = {}
    for row in table.rows:
        blocks.setdefault(table.group(row), []).extend(lines[row])
    return [block for block in blocks.values() if block]


def _name(row: RowKey) -> list[Cell]:
    return [Cell(MODELS.get(row.model, row.model)), Cell(row_name(row.method, row.targets, row.variant))]


def _score_lines(table: PaperTable, row: RowKey) -> Iterator[list[Cell]]:
    for name, printed in _published(table, row):
        cells = [_published_cell(table, printed, column) for column in table.columns]
        yield [*_name(row), Cell(name), Cell(f"{printed.params} M" if printed.params else GAP), *cells]
    kind = [Cell("measured")] if table.has_published else []
    params = Cell(params_text(table.cells.params(row)) or GAP)
    yield [*_name(row), *kind, params, *(_measured_cell(table, row, column) for column in table.columns)]


def _published(table: PaperTable, row: RowKey) -> list[tuple[str, PublishedRow]]:
    """The printed rows by name; where two papers measured the same, the name says which."""
    found = table.published(row)
    return [("published" if len(found) == 1 else f"published ({each.source})", each) for each in found]


def _published_cell(table: PaperTable, printed: PublishedRow, column: str) -> Cell:
    score = table.published_score(printed, column)
    if score is None:
        return Cell(GAP)
    digits, std = table.digits(column), printed.std.get(column)
    text = f"{score:.{digits}f}" if std is None else f"{score:.{digits}f} ± {std:.{digits}f}"
    return Cell(text, table.is_best_published(printed, column))


def _measured_cell(table: PaperTable, row: RowKey, column: str) -> Cell:
    center = table.cells.centre(row, table.columns[column])
    if center is None:
        return Cell(GAP)
    bold, digits = row in table.best[column], table.digits(column)
    runs = tuple(table.run_ids(row, column))
    mark = table.borrowed.mark(runs)
    if column == AVERAGE:
        return Cell(f"{center:.{digits}f}{mark}", bold, runs)
    values = table.cells.sample(row, column).values
    spread = summary.spread(values)
    around = "" if spread is None else f" ± {spread:.{digits}f}"
    return Cell(f"{center:.{digits}f}{around} ({len(values)}){mark}", bold, runs)


def _others(table: PaperTable, row: RowKey) -> list[Other]:
    """What a row is compared with: at scale paper what is printed, elsewhere other rows."""
    return [*(_published(table, row) if table.has_published else table.compared(row).items())]


def _difference_lines(table: PaperTable, row: RowKey) -> Iterator[list[Cell]]:
    for name, other in _others(table, row) if row in table.cells.by_row else ():
        yield [
            *_name(row),
            Cell(name),
            *(_difference_cell(table, row, column, other) for column in table.columns),
        ]


def _difference(
    table: PaperTable, row: RowKey, column: str, other: RowKey | PublishedRow
) -> summary.Difference | None:
    than = table.published_score(other, column) if isinstance(other, PublishedRow) else other
    return table.difference(row, column, than)


def _difference_cell(table: PaperTable, row: RowKey, column: str, other: RowKey | PublishedRow) -> Cell:
    found = _difference(table, row, column, other)
    return Cell(difference_text(found, table.digits(column)))


def difference_text(found: summary.Difference | None, digits: int) -> str:
    """A difference with its interval, where it has one."""
    if found is None:
        return GAP
    if found.low is None or found.high is None:
        return _signed(found.value, digits)
    low, high = _signed(found.low, digits), _signed(found.high, digits)
    return f"{_signed(found.value, digits)} [{low}, {high}]"


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # + 0.0 takes the sign off a rounded -0.0


def _data_lines(table: PaperTable, row: RowKey, column: str) -> Iterator[dict[str, object]]:
    """The measured and published values of a cell, once for each row or number it is compared with."""
    sample = table.cells.sample(row, column)  # the average has none
    line: dict[str, object] = {
        **{"scale": table.scale, "epoch": table.cells.epoch, "center": table.cells.center},
        **{"task": column, "score": column},
        **row._asdict(),
        "seeds": " ".join(map(str, sorted(sample.scores))),
        "n": len(sample.scores) if column != AVERAGE else "",
        "measured": table.cells.centre(row, table.columns[column]),
        "std": summary.spread(sample.values),
        "stored_params": params_text(table.cells.params(row)).replace(",", ""),
    }
    for name, other in _others(table, row):
        found = _difference(table, row, column, other)
        interval = {} if found is None else {"interval_low": found.low, "interval_high": found.high}
        printed = _printed_fields(table, other, column) if isinstance(other, PublishedRow) else {}
        difference = found.value if found else None
        yield {**line, **printed, "compared_with": name, "difference": difference, **interval}
    if not _others(table, row):
        yield {**line, "compared_with": ""}


def _printed_fields(table: PaperTable, printed: PublishedRow, column: str) -> dict[str, object]:
    return {
        "published": table.published_score(printed, column),
        "published_std": printed.std.get(column),
        "published_source": printed.source,
    }
