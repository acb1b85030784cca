"""Table 1 as tables to print (scores, and differences with intervals), and as data (one line a cell)."""

import csv
import io
from collections.abc import Iterator

from experiments.report import summary, table1_notes
from experiments.report.grid import RowKey
from experiments.report.names import MODELS, TASKS, row_name
from experiments.report.rendering import Cell, Table
from experiments.report.table1 import AVERAGE, Table1, params_text

GAP = "–"  # an en dash, as in printed tables
FIELDS = (
    *(
        "scale",
        "epoch",
        "center",
        "model",
        "method",
        "targets",
        "variant",
        "task",
        "seeds",
        "n",
        "measured",
        "std",
    ),
    *("stored_params", "published", "published_std", "published_source", "compared_with"),
    *("difference", "interval_low", "interval_high"),
)


def scores(table: Table1) -> Table:
    """The scores: centre, spread and n of each cell; at scale paper below the printed number."""
    lines = {row: list(_score_lines(table, row)) for row in table.rows}
    kind = [""] if table.has_published else []
    names = [TASKS.get(column, "Avg.") for column in table.columns]
    return Table(
        title=f"Table 1 (GLUE), scale {table.scale}: {table.cells.center} of the seeds, x100",
        header=["Model", "Row", *kind, "# Params", *names],
        alignment="ll" + "l" * len(kind) + "r" * (1 + len(names)),
        blocks=_blocks(table, lines),
        notes=[*table1_notes.scores(table), *table1_notes.trouble(table)],
        commands=table.missing(),
    )


def differences(table: Table1) -> Table:
    """Measured minus published at scale paper; elsewhere minus full fine-tuning and minus LoRA."""
    lines = {row: list(_difference_lines(table, row)) for row in table.rows}
    names = [TASKS.get(column, "Avg.") for column in table.columns]
    return Table(
        title=f"Table 1 (GLUE), scale {table.scale}: differences with {summary.CONFIDENCE:.0%} intervals",
        header=["Model", "Row", "Minus", *names],
        alignment="lll" + "r" * len(names),
        blocks=_blocks(table, lines),
        notes=[table1_notes.differences(table)],
    )


def data(table: Table1) -> str:
    """CSV: one line for each row, column and comparison; numbers unrounded, no record no number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        for column in table.columns:
            writer.writerows(_data_lines(table, row, column))
    return out.getvalue()


def _blocks(table: Table1, lines: dict[RowKey, list[list[Cell]]]) -> list[list[list[Cell]]]:
    """One block for each group: a model's rows of equal targets."""
    blocks: dict[tuple[str, str], list[list[Cell]]] = {}
    for row in table.rows:
        blocks.setdefault((row.model, row.targets), []).extend(lines[row])
    return [block for block in blocks.values() if block]


def _name(row: RowKey) -> list[Cell]:
    return [Cell(MODELS.get(row.model, row.model)), Cell(row_name(row.method, row.targets, row.variant))]


def _score_lines(table: Table1, row: RowKey) -> Iterator[list[Cell]]:
    printed = table.published(row)
    if printed is not None:
        cells = [_published_cell(table, row, column) for column in table.columns]
        yield [*_name(row), Cell("published"), Cell(f"{printed.params} M"), *cells]
    kind = [Cell("measured")] if table.has_published else []
    params = Cell(params_text(table.cells.params(row)) or GAP)
    yield [*_name(row), *kind, params, *(_measured_cell(table, row, column) for column in table.columns)]


def _published_cell(table: Table1, row: RowKey, column: str) -> Cell:
    printed, score = table.published(row), table.published_score(row, column)
    if printed is None or score is None:
        return Cell(GAP)
    std = printed.std.get(column)
    text = f"{score:.1f}" if std is None else f"{score:.1f} ± {std:.1f}"
    return Cell(text, bold=row in table.best_published[column])


def _measured_cell(table: Table1, row: RowKey, column: str) -> Cell:
    center = table.cells.centre(row, table.columns[column])
    if center is None:
        return Cell(GAP)
    bold = row in table.best[column]
    if column == AVERAGE:
        return Cell(f"{center:.1f}", bold)
    values = table.cells.sample(row, column)
    spread = summary.spread(values)
    return Cell(f"{center:.1f}{'' if spread is None else f' ± {spread:.1f}'} ({len(values)})", bold)


def _difference_lines(table: Table1, row: RowKey) -> Iterator[list[Cell]]:
    others: dict[str, RowKey | None] = {**table.compared(row)}
    if table.has_published:
        others = {"published": None} if table.published(row) else {}
    for name, other in others.items() if row in table.cells.by_row else ():
        cells = (_difference_cell(table, row, column, other) for column in table.columns)
        yield [*_name(row), Cell(name), *cells]


def _difference_cell(table: Table1, row: RowKey, column: str, other: RowKey | None) -> Cell:
    """Minus another row, or minus the printed number."""
    found = table.difference(row, column, other or table.published_score(row, column))
    if found is None:
        return Cell(GAP)
    if found.low is None or found.high is None:
        return Cell(_signed(found.value))
    return Cell(f"{_signed(found.value)} [{_signed(found.low)}, {_signed(found.high)}]")


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # + 0.0 takes the sign off a rounded -0.0


def _data_lines(table: Table1, row: RowKey, column: str) -> Iterator[dict[str, object]]:
    """The measured and published values of a cell, once for each row or number it is compared with."""
    printed = table.published(row)
    values = [] if column == AVERAGE else table.cells.sample(row, column)
    sample = table.cells.by_row.get(row, {}).get(column)
    line: dict[str, object] = {
        **{"scale": table.scale, "epoch": table.cells.epoch, "center": table.cells.center, "task": column},
        **row._asdict(),
        "seeds": " ".join(map(str, sorted(sample.scores))) if sample else "",
        "n": len(values) if column != AVERAGE else "",
        "measured": table.cells.centre(row, table.columns[column]),
        "std": summary.spread(values),
        "stored_params": params_text(table.cells.params(row)).replace(",", ""),
        "published": table.published_score(row, column),
        "published_std": printed.std.get(column) if printed else None,
        "published_source": printed.source if printed else None,
    }
    others: dict[str, RowKey | float | None] = {**table.compared(row)}
    if table.has_published:
        others = {"published": table.published_score(row, column)} if printed else {}
    for name, other in others.items() or [("", None)]:
        found = table.difference(row, column, other)
        interval = {} if found is None else {"interval_low": found.low, "interval_high": found.high}
        yield {**line, "compared_with": name, "difference": found.value if found else None, **interval}
