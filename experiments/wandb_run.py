"""A run of W&B while it is open: its curves, its summary, a picture of the selections, what was trained."""

import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb
from transformers import TrainerCallback
from transformers.integrations.integration_utils import WandbCallback

from experiments.batches import EpochSampler
from experiments.curves import Curves
from experiments.tracking import FOOTPRINT, STEP, TrackingWarning, never_fatal
from vblora.footprint import Footprint

NAME_LENGTH = 128  # W&B takes no longer name of an artifact


class Window(WandbCallback):
    """transformers' own callback, whose errors stop no run here: after the first it shows nothing more.

    W&B's service is a process of its own; if that dies, every call from then on fails.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.broken = False

    def on_train_begin(self, *arguments: Any, **keywords: Any) -> None:
        """Name the axis, and add model and Trainer to the configuration."""
        self._attempt(super().on_train_begin, *arguments, **keywords)

    def on_log(self, *arguments: Any, **keywords: Any) -> None:
        """Show a log."""
        self._attempt(super().on_log, *arguments, **keywords)

    def on_save(self, *arguments: Any, **keywords: Any) -> None:
        """Upload a checkpoint where WANDB_LOG_MODEL asks for it."""
        self._attempt(super().on_save, *arguments, **keywords)

    def on_train_end(self, *arguments: Any, **keywords: Any) -> None:
        """Upload the model where WANDB_LOG_MODEL asks for it."""
        self._attempt(super().on_train_end, *arguments, **keywords)

    def _attempt(self, call: Any, *arguments: Any, **keywords: Any) -> None:
        if self.broken:
            return
        self.broken = True
        with never_fatal():
            call(*arguments, **keywords)
            self.broken = False


@dataclass
class WandbTracker:
    """The window of one run; see `tracking.Tracker`."""

    run: Any

    @property
    def url(self) -> str | None:
        """The run's page; None offline."""
        return None if self.run.offline else str(self.run.url)

    def callbacks(self, sampler: EpochSampler) -> Sequence[TrainerCallback]:
        """The curves, then the callback that shows them: both get the same log, in this order."""
        return (Curves(sampler), Window())

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Into the run's summary."""
        with never_fatal():
            self.run.summary.update(dict(values))

    def show_footprint(self, footprint: Footprint) -> None:
        """As an image at the last step, where matplotlib is installed."""
        try:
            import matplotlib  # noqa: F401  # an extra
        except ImportError:
            text = "no picture of the selections: matplotlib is not installed; pip install 'vblora[figures]'"
            warnings.warn(text, TrackingWarning, stacklevel=2)
            return
        from experiments.report import footprint_figure

        with never_fatal(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "selected.png"
            footprint_figure.write(footprint, path)
            self.run.log({FOOTPRINT: wandb.Image(str(path)), STEP: footprint.num_steps})

    def keep_adapter(self, folder: Path, about: Mapping[str, Any]) -> None:
        """As an artifact of type model; repeats of a run become its versions."""
        with never_fatal():
            artifact = wandb.Artifact(artifact_name(about), type="model", metadata=dict(about))
            add_files(artifact, folder)
            self.run.log_artifact(artifact)


def artifact_name(about: Mapping[str, Any]) -> str:
    """<scale>.<run_id with dots>; a long one is cut and ends with the hash."""
    name = re.sub(r"[^A-Za-z0-9_.-]", ".", f"{about['scale']}.{about['run_id']}")
    end = f".{about['hash'][:8]}"
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - len(end)] + end


def add_files(artifact: wandb.Artifact, folder: Path, under: str = "") -> None:
    """Put every file of a folder into an artifact; `add_dir` would print a line about each folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            artifact.add_file(str(path), name=str(Path(under) / path.relative_to(folder)))
