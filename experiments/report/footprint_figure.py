"""One run's selections as a picture for its page at W&B: Figure 3's panel, as a PNG."""

from pathlib import Path

from matplotlib.axes import Axes

from experiments.report.figures import selections, style
from vblora.footprint import Footprint

HEIGHT = 3.6  # inches
DPI = 110


def draw_selected(axis: Axes, footprint: Footprint) -> None:
    """Draw which vectors the watched sub-vectors selected in training, darker the more often.

    Args:
        axis: to draw on.
        footprint: of one run.
    """
    selections.draw(axis, footprint.selected().numpy(), footprint.last.shape[1])
    axis.set_ylabel(selections.VECTOR)


def write(footprint: Footprint, path: Path) -> None:
    """Write the picture of one footprint, the same bytes for the same footprint."""
    with style.applied():
        figure, axes = style.new(HEIGHT, top=style.LEGEND_WITH_TITLE)
        draw_selected(axes[0][0], footprint)
        selections.legend(figure, axes)
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
