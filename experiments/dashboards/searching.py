"""A sweep of W&B that searches the learning rates of one run.

W&B proposes rates, its agents start runs with them, one at a time each, on any machine, and each run's best
score, which its summary holds, tells it what to propose next. They are runs like all others: with a record, a
lock and checkpoints; unless a word says otherwise, their records lie under a folder that no table reads.
"""

from collections.abc import Sequence
from typing import Any

import wandb

from experiments import composing, methods, pipeline, tasks
from experiments.config import Config, run_id
from experiments.dashboards.errors import DashboardError, explained
from experiments.families import is_generative

RECORDS = "paths.results=.cache/search"
FACTOR = 10.0  # each rate is sought from a tenth of the tuned one to ten times of it
MOST = 50  # runs, unless another number is asked for


def definition(words: Sequence[str], runs: int = MOST) -> dict[str, Any]:
    """What W&B is told: the space of rates, the score, and the command of a run.

    Args:
        words: of one run, as `experiments.run` takes them; they must choose no rate.
        runs: after which the sweep ends.

    Raises:
        ConfigError: these words are no run that can start.
        DashboardError: the method trains nothing, or a word sets a rate.
    """
    cfg = composing.load(list(words))
    rates = methods.rates(cfg.method, head=not is_generative(cfg.task.family))
    given = [word for word in words if word.partition("=")[0] in {f"optim.{rate}" for rate in rates}]
    if not rates or given:
        raise DashboardError(
            f"{given[0]}: the sweep is to find it" if given else f"{cfg.method.name} has no rate"
        )
    watched = ("tracker=wandb", "tracker.mode=online")
    place = [] if any(word.startswith("paths.results=") for word in words) else [RECORDS]
    start = ["${env}", "${interpreter}", "-m", "experiments.run", *words, *place, *watched]
    return {
        "name": f"rates of {cfg.scale.name}/{run_id(cfg)}",
        "method": "bayes",
        "metric": {"name": f"best/{pipeline.metric(tasks.build(cfg))}", "goal": "maximize"},
        "parameters": {f"optim.{rate}": _around(cfg, rate) for rate in rates},
        "command": [*start, "${args_no_hyphens}"],
        "run_cap": runs,
    }


def _around(cfg: Config, rate: str) -> dict[str, Any]:
    tuned = getattr(cfg.optim, rate)
    return {"distribution": "log_uniform_values", "min": tuned / FACTOR, "max": tuned * FACTOR}


def create(words: Sequence[str], entity: str, project: str, runs: int) -> str:
    """Make the sweep in W&B. Returns the command that starts an agent of it.

    Raises:
        ConfigError, DashboardError: see `definition`; there is no login, no network, or W&B refuses.
    """
    sweep = definition(words, runs)
    with explained("create the sweep"):
        entity = entity or wandb.Api().default_entity or ""
        found = wandb.sweep(sweep, entity=entity or None, project=project)
    return f"wandb agent {entity}/{project}/{found}"
