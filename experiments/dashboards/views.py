"""The workspace and the report of a family and a scale, as objects of wandb-workspaces; nothing is sent here.

Both show the panels of `panels`. Runs are those of the family and scale, grouped by their cell, so that a
line or a bar is the mean of a cell's seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import wandb_workspaces.expr as expr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.reports.v2 import interface as wr

from experiments.dashboards import panels
from experiments.dashboards.panels import Bars, Curve, Panel, Scatter
from experiments.families import FAMILIES
from experiments.report.names import TASKS, table_name
from experiments.tracking import REPORT, STEP

CELL = "Group"  # W&B's word; `experiments.tracking` says what a run's group is
COLUMNS = 3  # of panels in a row
WIDTH, HEIGHT = 8, 6  # of a panel in a report, whose rows are 24 wide
ABOUT = (
    "{table}. A bar or a line is a cell: the mean of its seeds. Every number is one that a run logged; "
    "the project's tables are made from its records."
)


@dataclass(frozen=True)
class Place:
    """Where dashboards are made, and of what.

    Attributes:
        entity: user or team.
        project: of the entity.
        family: whose tables.
        scale: name of the records' folder.
    """

    entity: str
    project: str
    family: str
    scale: str

    @property
    def title(self) -> str:
        """What the dashboards are called."""
        return f"VB-LoRA, {FAMILIES[self.family].title}, scale {self.scale}"


def workspace(place: Place) -> ws.Workspace:
    """The workspace: every panel, over all runs of the family and scale."""
    shown = panels.sections(place.family)
    return ws.Workspace(
        entity=place.entity,
        project=place.project,
        name=place.title,
        sections=[
            ws.Section(name=name, panels=drawn(each), is_open=True, pinned=name == "Scores")
            for name, each in shown.items()
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=50),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(*_training(place)),
            groupby=[expr.Metric(CELL)],
            pinned_columns=[*("config:row.value", "config:task.value"), *_summary_columns(place.family)],
        ),
    )


def report(place: Place) -> wr.Report:
    """The report: a part for each task, then what all runs share, and the table."""
    family = FAMILIES[place.family]
    blocks: list[wr.BlockTypes] = [wr.P(ABOUT.format(table=table_name(place.family))), wr.TableOfContents()]
    for task in family.tasks:
        shown = drawn(panels.compare(place.family, [task]))
        blocks += [wr.H1(TASKS[task]), _grid(place, shown, *_training(place), expr.Config("task") == task)]
    for name, each in panels.sections(place.family).items():
        if name != "Scores":
            blocks += [wr.H1(name), _grid(place, drawn(each), *_training(place))]
    table: wr.PanelTypes = wr.WeavePanelSummaryTable(
        table_name=panels.TABLE_KEYS.format(family.table), layout=wr.Layout(w=COLUMNS * WIDTH, h=2 * HEIGHT)
    )
    return wr.Report(
        entity=place.entity,
        project=place.project,
        title=place.title,
        blocks=[*blocks, wr.H1("Table"), _grid(place, [table], *_tables(place))],
        width="fluid",
    )


def _grid(place: Place, shown: list[wr.PanelTypes], *filters: expr.FilterExpr) -> wr.PanelGrid:
    """Panels over the runs that the filters leave."""
    runs = wr.Runset(
        entity=place.entity,
        project=place.project,
        name=place.title,
        filters=expr.And(*filters),
        groupby=[CELL],
    )
    return wr.PanelGrid(runsets=[runs], panels=shown)


def drawn(shown: Sequence[Panel]) -> list[wr.PanelTypes]:
    """Panels as wandb-workspaces has them, side by side."""
    return [
        _drawn(panel, wr.Layout(x=WIDTH * (n % COLUMNS), y=HEIGHT * (n // COLUMNS), w=WIDTH, h=HEIGHT))
        for n, panel in enumerate(shown)
    ]


def _drawn(panel: Panel, layout: wr.Layout) -> wr.PanelTypes:
    if isinstance(panel, Curve):
        return wr.LinePlot(
            title=panel.title,
            x=STEP,
            y=list(panel.keys),
            metric_regex=panel.pattern or None,
            log_y=panel.logarithmic or None,
            layout=layout,
        )
    if isinstance(panel, Bars):
        return wr.BarPlot(
            title=panel.title,
            metrics=[panel.key],
            groupby=CELL,
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
            layout=layout,
        )
    if isinstance(panel, Scatter):
        x, y = wr.SummaryMetric(panel.x), wr.SummaryMetric(panel.y)
        return wr.ScatterPlot(title=panel.title, x=x, y=y, log_x=True, layout=layout)
    return wr.MediaBrowser(title=panel.title, media_keys=[panel.key], num_columns=2, layout=layout)


def _training(place: Place) -> list[expr.FilterExpr]:
    """The runs of a family and scale."""
    return [expr.Config("family") == place.family, expr.Config("scale") == place.scale]


def _tables(place: Place) -> list[expr.FilterExpr]:
    """The runs that hold the scale's tables; only they are of no family."""
    return [expr.Metric("JobType") == REPORT, expr.Config("scale") == place.scale]


def _summary_columns(family: str) -> list[str]:
    """Columns of the table of runs."""
    bars = [panel for panel in panels.compare(family, FAMILIES[family].tasks) if isinstance(panel, Bars)]
    return [f"summary:{key}" for key in [*(panel.key for panel in bars), "stored_params", "train_seconds"]]
