"""Where curves can be watched: nowhere, or Weights & Biases. A window only: records never depend on it.

transformers' Trainer logs every curve (`train/loss`, `eval/matthews`); here a run is opened with its
identity, and closed. Offline runs lie under `<cache>/wandb`; `wandb sync` uploads them and `wandb leet` shows
them in the terminal.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from experiments.config import Config, run_id
from experiments.identity import described


class TrackingWarning(UserWarning):
    """The tracker could not be opened; the run goes on and its record does not change."""


class Tracker(Protocol):
    """One run's window.

    Attributes:
        report_to: the Trainer's name for it.
    """

    report_to: str

    @property
    def url(self) -> str | None:
        """Where to look; None if nowhere."""

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Show final values beside the curves."""


@dataclass
class NoTracker:
    """Shows nothing."""

    report_to: str = "none"

    @property
    def url(self) -> str | None:
        """Nowhere."""
        return None

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Nothing."""


@dataclass
class WandbTracker:
    """A run of W&B."""

    run: Any
    report_to: str = "wandb"

    @property
    def url(self) -> str | None:
        """The run's page; None offline."""
        return None if self.run.offline else str(self.run.url)

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Into the run's summary."""
        with never_fatal():
            self.run.summary.update(dict(values))


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


def _open(cfg: Config) -> Any:
    import wandb  # only here: the project runs without it

    folder = Path(cfg.paths.cache)
    folder.mkdir(parents=True, exist_ok=True)
    row = f"{cfg.method.name}-{cfg.targets.name}"
    return wandb.init(
        project=cfg.tracker.project,
        entity=cfg.tracker.entity,
        mode="online" if cfg.tracker.mode == "online" else "offline",
        dir=str(folder),
        name=run_id(cfg),
        group=run_id(cfg).rpartition("/")[0],  # the seeds of one cell
        job_type=row,
        tags=[cfg.scale.name, cfg.task.family, cfg.task.name, cfg.model.name, row, cfg.variant],
        config={"run": described(cfg)},  # apart: the Trainer adds its own `optim` and `seed`
        reinit="finish_previous",
        settings=wandb.Settings(silent=True, console="off", save_code=False, x_disable_stats=True),
    )
