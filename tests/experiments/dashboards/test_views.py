"""Tests of the workspace and the report in the form in which W&B keeps them."""

from typing import Any

import pytest
from wandb_workspaces.reports.v2 import interface

from experiments.dashboards import panels, views
from experiments.dashboards.views import Place
from experiments.families import FAMILIES

PLACE = Place("team", "vblora", "glue", "tiny")
KINDS = {
    panels.Curve: "Run History Line Plot",
    panels.Bars: "Bar Chart",
    panels.Scatter: "Scatter Plot",
    panels.Pictures: "Media Browser",
}


@pytest.fixture
def workspace() -> dict[str, Any]:
    model = views.workspace(PLACE)._to_model()
    found: dict[str, Any] = model.spec.model_dump(by_alias=True, exclude_none=True)["section"]
    return found


def filters_of(runs: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["key"]["name"], each["op"], each["value"]) for each in runs["filters"]["filters"]}


def test_workspace_has_a_panel_of_its_kind_for_each_of_ours(workspace: dict[str, Any]) -> None:
    wanted = {
        name: [(KINDS[type(panel)], panel.title) for panel in shown]
        for name, shown in panels.sections("glue").items()
    }
    found = {
        section["name"]: [(panel["viewType"], panel["config"]["chartTitle"]) for panel in section["panels"]]
        for section in workspace["panelBankConfig"]["sections"]
    }
    assert found == wanted


def test_curves_lie_over_the_steps_and_bars_are_means_of_a_cell(workspace: dict[str, Any]) -> None:
    for section in workspace["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            config = panel["config"]
            if panel["viewType"] == KINDS[panels.Curve]:
                assert config["xAxis"] == "train/global_step"
                assert config["metrics"] or (config["metricRegex"] and config["useMetricRegex"])
            elif panel["viewType"] == KINDS[panels.Bars]:
                assert (config["groupBy"], config["groupAgg"], config["aggregate"]) == ("group", "mean", True)


def test_workspace_shows_the_runs_of_its_family_and_scale_by_cell(workspace: dict[str, Any]) -> None:
    (runs,) = workspace["runSets"]
    assert filters_of(runs) == {("family", "=", "glue"), ("scale", "=", "tiny")}
    assert runs["grouping"] == [{"section": "run", "name": "group"}]
    assert "summary:best/matthews" in runs["runFeed"]["columnOrder"]


@pytest.mark.parametrize("family", [*FAMILIES])
def test_report_has_a_part_for_each_task_over_its_own_runs(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []

    def answer(_: object, __: str, given: dict[str, str]) -> dict[str, Any]:
        asked.append(given)
        return {"project": {"internalId": "7"}}

    monkeypatch.setattr(interface, "execute_graphql", answer)
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    report = views.report(Place("team", "vblora", family, "tiny"))._to_model()
    blocks = report.spec.model_dump(by_alias=True, exclude_none=True)["blocks"]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    runs = [filters_of(grid["runSets"][0]) for grid in grids]
    of_family, tasks = {("family", "=", family), ("scale", "=", "tiny")}, FAMILIES[family].tasks
    assert runs[: len(tasks)] == [of_family | {("task", "=", task)} for task in tasks]
    assert runs[len(tasks) : -1] == [of_family] * 3
    assert runs[-1] == {("jobType", "=", "report"), ("scale", "=", "tiny")}
    assert {(each["entityName"], each["projectName"]) for each in asked} == {("team", "vblora")}


def test_panels_of_a_grid_do_not_overlap() -> None:
    shown = views.drawn(panels.compare("glue", FAMILIES["glue"].tasks))
    places = {(panel.layout.x, panel.layout.y) for panel in shown}
    assert len(places) == len(shown) and max(x for x, _ in places) + views.WIDTH == 24
