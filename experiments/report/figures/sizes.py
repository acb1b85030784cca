"""Figure 1, score against stored parameters; every table of scores has such a picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from experiments.report import summary
from experiments.report.ablation_table import AblationTable
from experiments.report.figures import style
from experiments.report.grid import RowKey
from experiments.report.names import METHODS
from experiments.report.paper_table import AVERAGE, PaperTable

COLUMNS = {
    "glue": ("cola", AVERAGE),
    "e2e": ("bleu", "cider"),
    "instruct": ("mt_bench",),
    "math": ("gsm8k", "math"),
}
"""By family: the columns of its table that have a panel."""
LEAST_SPAN = 0.02
"""How far the axis of scores reaches below and above its middle, at least, as a share of it."""
LEVEL = "full"
"""The row that is drawn as a line across the panel, as it stores everything."""
NOT_DRAWN = ("head", "none")
"""Rows that store nothing of the backbone: far below the others, they would press these into a line."""


@dataclass(frozen=True)
class Point:
    """One row in a panel.

    Attributes:
        method: a key of METHODS: its colour and marker.
        label: what is written beside it.
        params: stored parameters.
        score: centre over the seeds, in the units of the table.
        spread: standard deviation; 0 for one seed.
        is_published: printed by a paper, not measured here.
    """

    method: str
    label: str
    params: float
    score: float
    spread: float = 0.0
    is_published: bool = False


def of_family(table: PaperTable, model: str) -> Figure | None:
    """Draw the rows of one model; None where fewer than two adapters have a score.

    Args:
        table: a family's table of a scale.
        model: whose rows.
    """
    columns = [column for column in COLUMNS[table.family] if column in table.columns]
    panels = {table.title(column): list(_points(table, model, column)) for column in columns}
    panels = {title: points for title, points in panels.items() if sum(map(_is_adapter, points)) > 1}
    return _draw(panels) if panels else None


def of_ablation(table: AblationTable, model: str) -> Figure | None:
    """Draw the rows of Table 5 or 6 of one model; None where none has a run."""
    lines = [line for line in table.by_model.get(model, []) if line.sample.values]
    points = [
        Point("vblora", " to ".join(line.row.names), line.params[0], *_measured(line.sample.values, "median"))
        for line in lines
    ]
    return _draw({"CoLA": points}) if points else None


def counts(table: PaperTable, model: str) -> str:
    """How many seeds each point of the first panel stands for; "" where all are published numbers."""
    column = COLUMNS[table.family][0]
    seeds = {row: len(table.cells.sample(row, column).values) for row in _rows(table, model)}
    measured = [f"{METHODS[row.method]} {row.targets} {count}" for row, count in seeds.items() if count]
    return f"n, {table.title(column)}: {', '.join(measured)}." if measured else ""


def _rows(table: PaperTable, model: str) -> list[RowKey]:
    """The rows of one model as in the paper: a changed setting is not one of its points."""
    return [
        row
        for row in table.rows
        if (row.model, row.variant) == (model, "paper")
        and row.method in METHODS
        and row.method not in NOT_DRAWN
    ]


def _points(table: PaperTable, model: str, column: str) -> Iterator[Point]:
    if column not in table.columns:
        return
    for row in _rows(table, model):
        for printed in table.published(row):
            score = table.published_score(printed, column)
            if printed.params and score is not None:
                yield Point(row.method, row.targets, float(printed.params) * 1e6, score, 0.0, True)
        centre, params = table.cells.centre(row, table.columns[column]), table.cells.params(row)
        if centre is not None and params:
            spread = summary.spread(table.cells.sample(row, column).values) or 0.0
            yield Point(row.method, row.targets, params[0], centre, spread)


def _measured(values: list[float], center: str) -> tuple[float, float]:
    return summary.CENTERS[center](values), summary.spread(values) or 0.0


def _is_adapter(point: Point) -> bool:
    return point.method != LEVEL


def _draw(panels: dict[str, list[Point]]) -> Figure:
    figure, axes = style.new(2.9, len(panels), top=style.TITLE + style.LEGEND)
    for axis, (title, points) in zip(axes[0], panels.items(), strict=True):
        axis.set_title(title if title != "Avg." else "average of the tasks")
        for point in points:
            (_add if _is_adapter(point) else _add_level)(axis, point)
        _finish(axis)
    axes[0][0].set_ylabel("score")
    style.legend(figure, style.labelled(axes), columnspacing=1.0, handletextpad=0.4)
    return figure


def _add(axis: Axes, point: Point) -> None:
    colour, marker = style.METHODS[point.method]
    name = METHODS[point.method]
    look: dict[str, Any] = {"color": colour, "label": f"{name}, published" if point.is_published else name}
    if point.is_published:
        axis.plot(point.params, point.score, marker, markerfacecolor="none", **look)
    else:
        spread = point.spread or None
        where: dict[str, Any] = {"fmt": marker, "markersize": 5, "capsize": 2, "linewidth": 0.8}
        axis.errorbar(point.params, point.score, yerr=spread, **where, **look)
    # qv above its point and all others below, so that close points stay readable.
    place = (4, 3) if point.label == "qv" else (4, -9)
    axis.annotate(point.label, (point.params, point.score), place, textcoords="offset points", fontsize=7)


def _add_level(axis: Axes, point: Point) -> None:
    """A line across the panel: what is reached with everything trained."""
    name = METHODS[point.method] + (", published" if point.is_published else "")
    axis.axhline(point.score, color=style.GREY, linewidth=0.8, linestyle="--", label=name)


def _finish(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_xlabel("stored parameters")
    axis.grid(color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.margins(0.12)
    low, high = axis.get_ylim()
    margin = LEAST_SPAN * abs(low + high) / 2  # equal scores look equal: no axis of a tenth of a point
    axis.set_ylim(min(low, (low + high) / 2 - margin), max(high, (low + high) / 2 + margin))


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
