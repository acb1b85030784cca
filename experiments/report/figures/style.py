"""What all figures share: colours that colour-blind readers tell apart, sizes for print, files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

# Okabe and Ito 2008. A shape of its own goes with each, so that no reader needs the colour.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#777777"
METHODS: Mapping[str, tuple[str, str]] = {
    "full": (GREY, "*"),
    "head": (GREY, "v"),
    "lora": (BLACK, "o"),
    "vera": (ORANGE, "s"),
    "tied_lora": (GREEN, "^"),
    "vblora": (BLUE, "D"),
    "unilora": (PURPLE, "P"),
    "lora_xs": (RED, "X"),
}
"""Colour and marker of a method."""
LEVELS = ((0.0, "#A6CEE3"), (0.1, "#4292C6"), (0.5, "#08519C"), (0.9, "#041F42"))
"""From which share of all selections on a point has which colour: one hue, darker for more."""
WIDTH = 7.0  # inches: the text width of a printed page
LEFT, RIGHT, BOTTOM = 0.65, 0.1, 0.42  # inches around the panels; a layout that measures every label is slow
TITLE, LEGEND, LEGEND_WITH_TITLE = 0.3, 0.25, 0.4  # inches above the panels that each takes
KINDS = ("svg", "pdf")
SETTINGS: Any = {
    "svg.hashsalt": "vblora",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw in the house style, whatever the user's own settings of matplotlib."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def new(
    height: float, columns: int = 1, rows: int = 1, top: float = RIGHT, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return an empty figure of full width, and its panels as a matrix.

    Args:
        height: in inches.
        columns: of panels.
        rows: of panels.
        top: inches above the panels, for titles and a legend.
        options: of `Figure.subplots`.
    """
    figure = Figure(figsize=(WIDTH, height))
    panel = (height - BOTTOM - top - TITLE * (rows - 1)) / rows
    figure.subplots_adjust(
        left=LEFT / WIDTH,
        right=1 - RIGHT / WIDTH,
        bottom=BOTTOM / height,
        top=1 - top / height,
        wspace=0.08 if options.get("sharey") else 0.2,
        hspace=TITLE / panel,
    )
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def labelled(panels: np.ndarray) -> dict[str, Any]:
    """What panels draw under a label, each label once."""
    return {
        label: drawn
        for axis in panels.flat
        for drawn, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }


def legend(figure: Figure, entries: Mapping[str, Any], **options: Any) -> None:
    """Put a legend in one line above the panels.

    Args:
        figure: with room for it.
        entries: label -> what is drawn so.
        options: of `Figure.legend`.
    """
    options |= {"loc": "upper center", "borderaxespad": 0.1, "ncols": max(len(entries), 1)}
    figure.legend(list(entries.values()), list(entries), **options)


def squares(axis: Axes, columns: np.ndarray, rows: np.ndarray, colour: str, label: str = "") -> None:
    """Fill unit squares around points of whole numbers: one path, so that thousands stay a small file.

    Args:
        axis: the panel.
        columns: of the points.
        rows: of the points.
        colour: of the squares.
        label: in the legend.
    """
    if len(columns) == 0:
        return
    order = np.lexsort((rows, columns))
    x, y = columns[order], rows[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(x) != 0) | (np.diff(y) != 1)])  # of squares on each other
    ends = np.r_[starts[1:], len(x)] - 1
    left, low, high = x[starts] - 0.5, y[starts] - 0.5, y[ends] + 0.5
    corners = [(left, low), (left + 1, low), (left + 1, high), (left, high), (left, low)]
    places = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    codes = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * len(starts)
    outline = Outline(places.reshape(-1, 2), codes)
    # As an artist: as a patch, matplotlib would walk along every side to find limits, which callers set.
    axis.add_artist(PathPatch(outline, facecolor=colour, edgecolor="none", label=label or None))


def write(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure in every kind, the same bytes for the same figure. Returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = folder / f"{name}.{kind}"
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
        with applied():
            figure.savefig(path, metadata=dates[kind])
        written.append(path)
    return written
