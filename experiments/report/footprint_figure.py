"""The selection footprint of a run as a figure: which sub-vector selected which vector of the bank, and when.

Source: Li et al. 2024, Figure 3: the watched sub-vectors on x, the vectors of the bank on y.
"""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from vblora.footprint import Footprint

# Okabe and Ito's sky blue and blue: told apart by colour-blind readers, and by lightness in grey.
NEVER, EVER, AT_END = "#FFFFFF", "#56B4E9", "#0072B2"
SETTINGS: Any = {"font.size": 9, "font.family": "sans-serif"}
WIDTH, HEIGHT = 8.0, 4.5  # inches
DPI = 100


def blocks(footprint: Footprint) -> Tensor:
    """The figure's values (h, W): 0 never selected, 1 selected in training, 2 selected at its end."""
    found = (footprint.selected() > 0).long()
    rows = footprint.last[footprint.watched.long()].long()
    return found.scatter(1, rows, 2).T


def draw_selected(axis: Axes, footprint: Footprint) -> None:
    """Draw which vectors the watched sub-vectors selected.

    Args:
        axis: to draw on.
        footprint: of one run.
    """
    colours = ListedColormap([NEVER, EVER, AT_END])
    axis.imshow(blocks(footprint).numpy(), cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="none")
    axis.invert_yaxis()  # vector 0 at the bottom, as in the paper
    axis.set_xlabel("sub-vector")
    axis.set_ylabel("vector of the bank")
    legend = [Patch(color=EVER, label="selected in training"), Patch(color=AT_END, label="at its end")]
    axis.legend(handles=legend, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)


def write(footprint: Footprint, path: Path) -> None:
    """Write the figure of one footprint as a PNG."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        draw_selected(figure.subplots(), footprint)
        figure.savefig(path, format="png", metadata={"Software": None})
