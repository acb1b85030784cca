"""Figure 1: score against stored parameters."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from experiments.report import summary
from experiments.report.figures import style
from experiments.report.grid import RowKey
from experiments.report.names import METHODS
from experiments.report.paper_table import AVERAGE, PaperTable

TASK = "cola"
SHOWN = ("lora", "vera", "tied_lora", "vblora", "unilora", "lora_xs")


def score_by_size(table: PaperTable, model: str) -> Figure:
    """Centre and range of each row over its stored parameters: on CoLA, and on the average of the tasks.

    Args:
        table: Table 1 of the scale.
        model: whose rows.
    """
    columns = [column for column in (TASK, AVERAGE) if _rows(table, model, column)]
    figure, axes = style.new(2.9, max(len(columns), 1))
    for axis, column in zip(axes[0], columns, strict=False):
        _fill(axis, table, model, column)
        axis.set_title("CoLA" if column == TASK else "average of the tasks")
    axes[0][0].set_ylabel("score, x100")
    found = dict(zip(*reversed(axes[0][0].get_legend_handles_labels()), strict=True))
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=6)
    return figure


def has_points(table: PaperTable, model: str) -> bool:
    """Whether there is anything to draw."""
    return bool(_rows(table, model, TASK))


def counts(table: PaperTable, model: str) -> str:
    """How many seeds each point of CoLA stands for, in words; "" where all are published numbers."""
    seeds = {row: len(table.cells.sample(row, TASK).values) for row in _rows(table, model, TASK)}
    measured = [f"{METHODS[row.method]} {row.targets} {count}" for row, count in seeds.items() if count]
    return f"n, CoLA: {', '.join(measured)}." if measured else ""


def _rows(table: PaperTable, model: str, column: str) -> list[RowKey]:
    """Rows of one model with a score, as in the paper: a changed setting is not one of its points."""
    rows = [row for row in table.rows if (row.model, row.variant) == (model, "paper") and row.method in SHOWN]
    return [
        row
        for row in rows
        if _published(table, row, column) or table.cells.centre(row, table.columns[column])
    ]


def _published(table: PaperTable, row: RowKey, column: str) -> list[tuple[float, float]]:
    """Printed parameters and scores, at scale paper."""
    found = [(printed.params, table.published_score(printed, column)) for printed in table.published(row)]
    return [(float(params) * 1e6, score) for params, score in found if params and score is not None]


def _fill(axis: Axes, table: PaperTable, model: str, column: str) -> None:
    for row in _rows(table, model, column):
        colour, marker = style.METHODS[row.method]
        for size, score in _published(table, row, column):
            axis.plot(
                size,
                score,
                marker,
                color=colour,
                markerfacecolor="none",
                label=f"{METHODS[row.method]}, published",
            )
            axis.annotate(row.targets, (size, score), (4, 3), textcoords="offset points", fontsize=6)
        _measured(axis, table, row, column)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_xlabel("stored parameters")
    axis.grid(color="#DDDDDD", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.margins(0.12)


def _measured(axis: Axes, table: PaperTable, row: RowKey, column: str) -> None:
    centre, params = table.cells.centre(row, table.columns[column]), table.cells.params(row)
    if centre is None or not params:
        return
    colour, marker = style.METHODS[row.method]
    spread = summary.spread(table.cells.sample(row, column).values) or 0.0
    axis.errorbar(
        params[0],
        centre,
        yerr=spread,
        fmt=marker,
        color=colour,
        markersize=5,
        capsize=2,
        linewidth=0.8,
        label=METHODS[row.method],
    )
    axis.annotate(row.targets, (params[0], centre), (4, 3), textcoords="offset points", fontsize=6)


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
