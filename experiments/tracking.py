"""Where curves can be watched: nowhere, or Weights & Biases. A window only: records never depend on it.

transformers' Trainer logs every curve; here a run of W&B is opened, told which run it is, and closed. One
scheme says it everywhere:

    id        the run_id with dots, and 6 letters of chance, as a repeat is a run of its own
    name      the run_id: <family>/<task>/<model>/<method>-<targets>[-<variant>]/seed<n>
    group     <scale>/<run_id without its seed>: the seeds of one cell of a table
    job type  <method>-<targets>, a row of a table; "report" is what `experiments.dashboards publish` logs
    tags      scale, family, task, model, row, variant
    config    `labels`, one key each, to filter and group by; under `run` the settings as in the record
    history   train/… and eval/… of the Trainer's log, with `experiments.curves`; footprint/selected last
    summary   best/<score> and last/<score> of the record, and the numbers that `SUMMARY` names

Offline runs lie under `<cache>/wandb`: `make dashboard` shows them in a terminal, `wandb sync` uploads them.
"""

import re
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.config import Config, run_id
from experiments.identity import described, run_hash

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from experiments.batches import EpochSampler
    from vblora.footprint import Footprint

SUMMARY = (
    *("best_epoch", "trainable_params", "adapter_params", "stored_params", "stored_bytes"),
    *("train_seconds", "peak_bytes"),
)
STEP = "train/global_step"  # the axis that the Trainer's callback gives to every curve
FOOTPRINT = "footprint/selected"
REPORT = "report"  # job type of a run that holds tables
TAG_LENGTH = 64  # W&B takes no longer one
ID_LENGTH = 120  # of 128 that W&B takes; the rest is chance


class TrackingWarning(UserWarning):
    """The tracker could not be opened or written to; the run goes on and its record does not change."""


class Tracker(Protocol):
    """One run's window; `NoTracker` says what its methods do where nothing is shown: nothing."""

    @property
    def url(self) -> str | None:
        """Where to look; None if nowhere."""

    def callbacks(self, sampler: "EpochSampler") -> "Sequence[TrainerCallback]":
        """What shows the Trainer's log while it trains on examples in this order."""

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Show final values beside the curves."""

    def show_footprint(self, footprint: "Footprint") -> None:
        """Show a picture of the selections."""

    def keep_adapter(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Keep what was trained, with what is known of it."""


@dataclass
class NoTracker:
    """Shows nothing, and computes nothing for it."""

    @property
    def url(self) -> str | None:
        """Nowhere."""
        return None

    def callbacks(self, sampler: "EpochSampler") -> "Sequence[TrainerCallback]":
        """None."""
        return ()

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def show_footprint(self, footprint: "Footprint") -> None:
        """Nothing."""

    def keep_adapter(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Nothing."""


@contextmanager
def tracked(cfg: Config) -> Iterator[Tracker]:
    """Open the configured tracker for one run and close it, whatever happens in between."""
    if cfg.tracker.name == "none":
        yield NoTracker()
        return
    run = None
    with never_fatal():
        run = _open(cfg)
    if run is None:
        yield NoTracker()
        return
    from experiments.wandb_run import WandbTracker  # only here: the project runs without wandb

    exit_code = 1
    try:
        yield WandbTracker(run)
        exit_code = 0
    finally:
        with never_fatal():
            run.finish(exit_code=exit_code)


@contextmanager
def never_fatal() -> Iterator[None]:
    """Turn the tracker's errors, wandb's own kinds and its service's, into a warning."""
    try:
        yield
    except Exception as error:
        warnings.warn(f"W&B: {error}; this run goes on without it", TrackingWarning, stacklevel=3)


def labels(cfg: Config) -> dict[str, str | int]:
    """The words that say which run it is, each under a key of its own."""
    return {
        "scale": cfg.scale.name,
        "family": cfg.task.family,
        "task": cfg.task.name,
        "model": cfg.model.name,
        "method": cfg.method.name,
        "targets": cfg.targets.name,
        "row": f"{cfg.method.name}-{cfg.targets.name}",
        "variant": cfg.variant,
        "seed": cfg.seed,
        "hash": run_hash(cfg),
    }


def summary(outcome: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """What the summary shows of a record's outcome and of what training measured."""
    known = {**measured, **outcome}
    return {
        **{f"best/{name}": score for name, score in outcome["scores"].items()},
        **{f"last/{name}": score for name, score in outcome["last_scores"].items()},
        **{name: known[name] for name in SUMMARY},
    }


def _open(cfg: Config) -> Any:
    words = labels(cfg)
    cell = run_id(cfg).rpartition("/")[0]
    tags = (str(words[key]) for key in ("scale", "family", "task", "model", "row", "variant"))
    return open_run(
        Path(cfg.paths.cache),
        project=cfg.tracker.project,
        entity=cfg.tracker.entity,
        mode=cfg.tracker.mode,
        name=run_id(cfg),
        group=f"{cfg.scale.name}/{cell}",
        job_type=str(words["row"]),
        tags=list(dict.fromkeys(tag[:TAG_LENGTH] for tag in tags)),
        config={**words, "run": described(cfg)},  # apart: the Trainer adds its own `optim` and more
    )


def open_run(cache: Path, *, name: str, **asked: Any) -> Any:
    """Open a run of W&B that writes under a cache, shows only what we log, and closes the one before.

    Args:
        cache: its folder is `wandb` in here.
        name: of the run; its id is made of it.
        asked: what `wandb.init` is asked for besides.
    """
    import wandb

    cache.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        dir=str(cache),
        id=f"{re.sub(r'[^A-Za-z0-9_.-]', '.', name)[:ID_LENGTH]}.{uuid.uuid4().hex[:6]}",
        name=name,
        reinit="finish_previous",
        settings=wandb.Settings(
            silent=True, console="off", save_code=False, x_disable_stats=True, x_save_requirements=False
        ),
        **asked,
    )
