"""Figures of kept results: a point for each side with the range of its rounds, a row for each case, as SVG.

python -m benchmarks pages      # makes them beside the tables, in docs/figures/
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

# Okabe and Ito's colours, told apart by colour-blind readers, and a shape for each as well: (colour, marker).
STYLES = {
    "PEFT LoRA": ("#000000", "o"),
    "PEFT VB-LoRA": ("#D55E00", "s"),
    "vblora": ("#0072B2", "D"),
    "head only": ("#999999", "v"),
    "vblora, store": ("#0072B2", "D"),
    "vblora, folders": ("#56B4E9", "^"),
    "vblora, trained": ("#56B4E9", "^"),
    "vblora, exact": ("#0072B2", "D"),
    "vblora, compact": ("#009E73", "P"),
    "vblora, tiny": ("#CC79A7", "X"),
    "PEFT LoRA, rank 8": ("#000000", "o"),
    "PEFT VB-LoRA, trained": ("#E69F00", "p"),
    "PEFT VB-LoRA, top-k": ("#D55E00", "s"),
}
SPREAD = 0.6  # of a row's height, over which its sides lie
SETTINGS: Any = {
    "svg.hashsalt": "vblora",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
}


@dataclass(frozen=True)
class Panel:
    """One quantity of a measurement.

    Attributes:
        fact: its name among the facts; None for the speed in times of a case's first side.
        label: of the axis, with its unit.
        logarithmic: the axis.
    """

    fact: str | None
    label: str
    logarithmic: bool = True


RATIO = "times as fast as {}"
PANELS: Mapping[str, Sequence[Panel]] = {
    "operators": [Panel("operators", "operators dispatched per forward and backward")],
    "composition": [Panel(None, RATIO), Panel("MB moved", "MB read and written")],
    "steps": [Panel(None, RATIO, False), Panel("peak MB", "MB that training adds at most")],
    "handling": [Panel(None, RATIO)],
    "sizes": [Panel("bytes", "bytes, without head")],
    "stores": [Panel(None, RATIO), Panel("bytes an adapter", "bytes an adapter")],
}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw a measurement.

    Args:
        result: as `results.write` keeps it.
        path: of the SVG file.

    Raises:
        KeyError: there is no figure of this measurement.
    """
    panels, cases = PANELS[result["name"]], result["cases"]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings of matplotlib
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(figsize=(5.2 * len(panels) + 1.8, 1.3 + 0.42 * len(cases)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=True):
            _fill(axis, panel, cases)
        axes[0].set_yticks(range(len(cases)), list(cases))
        found = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=4, frameon=False)
        figure.supxlabel(_source(result), fontsize=7, color="#555555")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def _source(result: Mapping[str, Any]) -> str:
    rounds = result["settings"].get("rounds")
    medians = f"medians of {rounds} rounds and their range; " if rounds else ""
    return f"{medians}{result['hardware']}, torch {result['versions']['torch']}"


def _fill(axis: Axes, panel: Panel, cases: Mapping[str, Any]) -> None:
    for row, case in enumerate(cases.values()):
        sides = list(case.get("sides", case.get("facts", {})))
        for place, side in enumerate(sides):
            value, low, high = _value(panel, case, side)
            if value is not None:
                height = row + SPREAD * (place - (len(sides) - 1) / 2) / len(sides)
                colour, marker = STYLES[side]
                axis.plot([low, high], [height, height], color=colour, linewidth=1.2, zorder=1)
                axis.plot(value, height, marker, color=colour, label=side, markersize=5.5, zorder=2)
    base = next(iter(next(iter(cases.values())).get("sides", {None: None})))
    axis.set_xlabel(panel.label.format(base))
    axis.set_ylim(len(cases) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    if panel.logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for edge in ("top", "right", "left"):
        axis.spines[edge].set_visible(False)
    if panel.fact is None:
        axis.axvline(1, color="#555555", linewidth=0.8, linestyle="--")


def _short(value: float) -> str:
    """20000 as 20k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _value(panel: Panel, case: Mapping[str, Any], side: str) -> tuple[float | None, float, float]:
    """The point and the ends of its range."""
    if panel.fact is None:
        timing = case["sides"][side]
        return timing["ratio"], timing["least_ratio"], timing["most_ratio"]
    facts = case.get("facts", {}).get(side, {})
    value = facts.get(panel.fact)
    return value, facts.get("least", value), facts.get("most", value)


def draw_all(root: Path, folder: Path) -> None:
    """Draw every measurement of a machine that has a figure.

    Args:
        root: the machine's results.
        folder: of the figures, named after the measurements.
    """
    for name in PANELS:
        path = root / f"{name}.json"
        if path.exists():
            draw(json.loads(path.read_text(encoding="utf-8")), folder / f"{name}.svg")
