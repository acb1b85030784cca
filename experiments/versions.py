"""What a run is made of beside its settings, as far as it is known without torch; part of its hash.

A finished run is skipped only while these are what they were.
"""

import hashlib
import os
from pathlib import Path

from experiments.config import Config, ModelConfig
from experiments.data import synthetic
from experiments.recipe import Recipe

TASKS = {"glue": 1}
"""By family: raised when its code would give other inputs, losses or scores from the same examples."""


def versions(cfg: Config) -> dict[str, int | str | None]:
    """Versions of the task, of data that are made here, and of a backbone that is made here or a folder."""
    made_here = cfg.data.source == "synthetic"
    return {
        "task": TASKS.get(cfg.task.family),
        "data": synthetic.VERSION if made_here else None,
        "backbone": _backbone(cfg.model),
    }


def _backbone(model: ModelConfig) -> str | None:
    """Digits of the recipe, or of a local model's config.json; None for the hub, whose commit is recorded."""
    if model.source in ("tiny", "scratch"):
        return Recipe().key()
    if model.source != "local" or not model.path:
        return None
    file = Path(os.path.expanduser(model.path)) / "config.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else None
