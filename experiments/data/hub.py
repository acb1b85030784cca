"""GLUE from the Hugging Face hub, pinned to a commit that the record names.

Source: https://huggingface.co/datasets/nyu-mll/glue. Offline, a commit that is already in the datasets
cache works: `data.revision=<its 40 digits>`.
"""

import re

import datasets
import huggingface_hub
import numpy as np
from httpx2 import HTTPError
from huggingface_hub.errors import OfflineModeIsEnabled

from experiments.data.examples import DataError, Example, Splits

REPOSITORY = "nyu-mll/glue"
UNREACHABLE = (OSError, HTTPError, OfflineModeIsEnabled)
"""What the hub's library raises without a network, offline, or when the hub says no."""

COLUMNS: dict[str, tuple[str, str | None]] = {
    "cola": ("sentence", None),
    "sst2": ("sentence", None),
    "mrpc": ("sentence1", "sentence2"),
    "stsb": ("sentence1", "sentence2"),
    "qnli": ("question", "sentence"),
    "rte": ("sentence1", "sentence2"),
}


def glue_splits(task: str, revision: str | None, repository: str = REPOSITORY) -> Splits:
    """Train and validation set of one task.

    Args:
        task: one of `COLUMNS`.
        revision: a branch, a tag or a commit; None is the newest.
        repository: the data set's name on the hub, or a local folder that `datasets` can read.

    Raises:
        DataError: the task is unknown, or the data cannot be reached or lack a column.
    """
    if task not in COLUMNS:
        raise DataError(f"no columns known for task {task!r} on the hub; choose one of {', '.join(COLUMNS)}")
    commit = resolve(revision, repository)
    return {split: _load(repository, task, split, commit) for split in ("train", "validation")}


def resolve(revision: str | None, repository: str = REPOSITORY) -> str:
    """The commit behind a branch or tag; a full commit is returned as it is, without asking.

    Raises:
        DataError: the hub cannot be reached or does not know the revision.
    """
    if revision is not None and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    try:
        commit = huggingface_hub.HfApi().dataset_info(repository, revision=revision).sha
    except UNREACHABLE as error:
        raise DataError(_offline(repository, revision, error)) from error
    assert commit is not None  # only private listings lack it
    return commit


def _load(repository: str, task: str, split: str, commit: str) -> list[Example]:
    try:
        rows = datasets.load_dataset(repository, task, split=split, revision=commit)
    except (*UNREACHABLE, datasets.exceptions.DatasetsError, ValueError) as error:
        raise DataError(_offline(repository, commit, error)) from error
    text, pair = COLUMNS[task]
    missing = [name for name in (text, pair, "label") if name is not None and name not in rows.column_names]
    if missing:
        raise DataError(
            f"{repository}, {task}, {split}: no column {', '.join(missing)} at {commit}; pin another"
        )
    pairs = rows[pair] if pair else [None] * len(rows)
    labels = map(_label, rows["label"])
    return [Example(*row) for row in zip(rows[text], pairs, labels, strict=True)]


def _label(value: int | float) -> int | float:
    """A class, or the score of the official file: the hub's 32 bits make 3.799999952316284 of 3.8."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _offline(repository: str, revision: str | None, error: Exception) -> str:
    return (
        f"{repository} at revision {revision or 'newest'} cannot be read from the hub: {error}. Connect, or "
        "unset HF_HUB_OFFLINE, or set data.revision to a commit that is cached, or use data.source=local "
        "data.root=<folder> or data.source=synthetic"
    )
