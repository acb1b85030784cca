"""Send the workspace and the report to W&B, into the user's entity."""

from dataclasses import replace

import wandb

from experiments.dashboards import views
from experiments.dashboards.errors import DashboardError, explained
from experiments.dashboards.views import Place


def create(place: Place) -> dict[str, str]:
    """Make workspace and report anew; those of an earlier call stay as they are.

    Args:
        place: with an empty entity, the user's default one.

    Returns:
        Their addresses, by kind.

    Raises:
        DashboardError: there is no login, no network, or W&B refuses.
    """
    with explained("create the dashboards"):
        api = wandb.Api()
        entity = place.entity or api.default_entity
    if not entity:
        raise DashboardError(
            "cannot create the dashboards: your W&B account has no default entity; give ENTITY=…"
        )
    place = replace(place, entity=entity)
    with explained(f"create the dashboards in {place.entity}/{place.project}"):
        if place.project not in {project.name for project in api.projects(place.entity)}:
            api.create_project(place.project, place.entity)  # a set of runs refers to it
        workspace = views.workspace(place).save()  # type: ignore[no-untyped-call]
        report = views.report(place).save()
        return {"workspace": str(workspace.url), "report": str(report.url)}
