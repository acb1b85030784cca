"""What a run is made of beside its settings, as far as it is known without torch; part of its hash.

A finished run is skipped only while these are what they were.
"""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from experiments import backbones
from experiments import data as sources
from experiments.config import Config, DataConfig, ModelConfig, TaskConfig
from experiments.data import DataError
from experiments.families import FAMILIES

MODEL_FILES = ("config.json", "*.safetensors", "*.bin", "tokenizer*", "vocab*", "merges.txt", "*.model")
"""What decides a folder's weights and tokens."""


def versions(cfg: Config) -> dict[str, int | str | None]:
    """Versions of task, data and backbone: numbers of what is made here, digests of local files.

    What comes from the hub has none: its commit is not known beforehand, and stands in the record.
    """
    family = cfg.task.family
    made_here = cfg.data.source == "synthetic"
    return {
        "task": FAMILIES[family].version if family in FAMILIES else None,
        "data": sources.synthetic_version(family) if made_here else _data(cfg.task, cfg.data),
        "backbone": _backbone(cfg.model, family),
    }


def _data(task: TaskConfig, data: DataConfig) -> str | None:
    """Digits of the task's local files; None for the hub, or where they are missing, which `data` tells."""
    if data.source != "local" or not data.root:
        return None
    try:
        return _digest(sources.files(task, data).values())
    except DataError:
        return None


def _backbone(model: ModelConfig, family: str) -> str | None:
    """Digits of a folder's files, or of the recipe of what is pretrained here; None for the hub."""
    if model.source in ("tiny", "scratch"):
        if model.pretrain:
            return backbones.recipe(family, model.pretrain_seed).key()
        return _folder_digest(backbones.folder(family))
    if model.source != "local" or not model.path:
        return None
    return _folder_digest(Path(os.path.expanduser(model.path)))


def _folder_digest(folder: Path) -> str:
    """Digits of what decides the weights and tokens of a folder that transformers wrote."""
    return _digest({path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()})


def _digest(paths: Iterable[Path]) -> str:
    """Sixteen digits of the SHA-256 over the files' names and contents, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(paths):
        facts = path.stat()
        content = _file_digest(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
        total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()[:16]


@functools.cache
def _file_digest(path: Path, *facts: int) -> str:
    """SHA-256 of a file, read once in a process while its size, time and place stay (`facts`)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
