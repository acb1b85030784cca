"""Figures 3 to 5: which bank vectors each sub-vector selected, during training and by period."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.report.figures import style
from experiments.report.figures.sources import Run

SUBVECTOR, VECTOR = "sub-vector", "bank vector"
SHARE = "share of the compositions in training that selected the vector"
TOP = style.TITLE + style.LEGEND_WITH_TITLE
NUM_PANELS = 6  # of Figure 5: periods of training


def during_training(runs: dict[str, Run]) -> Figure:
    """Figure 3: a panel a run; a square where a sub-vector selected a vector, darker the more often.

    Args:
        runs: by the title of the panel.
    """
    figure, axes = style.new(2.7, len(runs), top=TOP)
    for axis, (title, run) in zip(axes[0], runs.items(), strict=True):
        draw(axis, run.footprint.selected().numpy(), run.footprint.last.shape[1])
        axis.set_title(title)
    axes[0][0].set_ylabel(VECTOR)
    legend(figure, axes)
    return figure


def by_period(run: Run) -> Figure:
    """Figure 5: the same run period by period."""
    figure, axes = style.new(3.8, 3, 2, TOP, sharex=True, sharey=True)
    ends = [number * run.footprint.num_periods // NUM_PANELS for number in range(NUM_PANELS + 1)]
    for axis, first, end in zip(axes.flat, ends, ends[1:], strict=False):
        draw(axis, run.footprint.selected(first, end - 1).numpy(), run.footprint.last.shape[1])
        share = 100 / run.footprint.num_periods
        axis.set_title(f"{first * share:.0f} to {end * share:.0f} % of training")
        axis.set_xlabel("")
    for axis in axes[1]:
        axis.set_xlabel(SUBVECTOR)
    for row in axes:
        row[0].set_ylabel(VECTOR)
    legend(figure, axes)
    return figure


def first_and_last(run: Run) -> Figure:
    """Figure 4: what each sub-vector selected at the start only, at the end only, and both times."""
    found = run.footprint
    size = len(found.first), len(found.vectors)
    first, last = _chosen(found.first.numpy(), size), _chosen(found.last.numpy(), size)
    figure, axes = style.new(3.2, top=style.LEGEND)
    axis = axes[0][0]
    kinds = (
        (first & ~last, style.SKY, "first only"),
        (last & ~first, style.RED, "last only"),
        (first & last, style.BLACK, "both"),
    )
    for chosen, colour, label in kinds:
        rows, vectors = chosen.nonzero()
        style.squares(axis, rows, vectors, colour, f"{label} ({len(rows):,})")
    _frame(axis, size)
    axis.set_ylabel(VECTOR)
    style.legend(figure, style.labelled(axes))
    return figure


def draw(axis: Axes, counts: np.ndarray, topk: int) -> None:
    """Fill a panel with counts (sub-vectors, bank vectors), coloured by the share of all compositions.

    Every composition selects `topk` vectors for each sub-vector, so a row adds up to k times their number.
    """
    compositions = counts.sum(axis=1, keepdims=True) / topk
    share = counts / np.maximum(compositions, 1)
    lows = [low for low, _ in style.LEVELS]
    for number, (low, colour) in enumerate(style.LEVELS):
        high = lows[number + 1] if number + 1 < len(lows) else np.inf
        rows, vectors = ((counts > 0) & (share >= low) & (share < high)).nonzero()
        style.squares(axis, rows, vectors, colour, _level(low))
    _frame(axis, counts.shape)


def _level(low: float) -> str:
    return f"from {100 * low:.0f} %" if low else "below 10 %"


def _frame(axis: Axes, size: tuple[int, ...]) -> None:
    axis.set_xlim(-0.5, size[0] - 0.5)
    axis.set_ylim(-0.5, size[1] - 0.5)
    axis.set_xlabel(SUBVECTOR)
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _chosen(indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    found = np.zeros(size, dtype=bool)
    np.put_along_axis(found, indices.astype(np.int64), True, axis=1)
    return found


def legend(figure: Figure, axes: np.ndarray) -> None:
    """Say above the panels what their colours mean."""
    drawn = style.labelled(axes)
    levels = [_level(low) for low, _ in style.LEVELS]
    style.legend(figure, {level: drawn[level] for level in levels if level in drawn}, title=SHARE)
