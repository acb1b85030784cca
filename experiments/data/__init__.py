"""Where examples come from: the hub, local files in their official formats, or the synthetic worlds."""

import os
from pathlib import Path

from experiments.config import DataConfig, TaskConfig
from experiments.data import texts
from experiments.data.examples import (
    Data,
    DataError,
    Example,
    Prompted,
    Splits,
    check_labels,
    digest,
    part,
)

__all__ = ["SOURCES", "Data", "DataError", "Example", "Prompted", "Splits", "files", "glue", "text"]

SOURCES = ("hub", "local", "synthetic")


def synthetic_version(family: str) -> int:
    """The version of a family's synthetic examples.

    Raises:
        ValueError: it has none.
    """
    from experiments.data import synthetic
    from experiments.data.synthetic import worlds

    return synthetic.VERSION if family == "glue" else worlds.load(family).VERSION


def files(task: TaskConfig, config: DataConfig) -> dict[str, Path]:
    """The local files that a task reads, by their roles.

    Raises:
        DataError: one is missing.
    """
    root = Path(os.path.expanduser(config.root or ""))
    if task.family != "glue":
        return texts.files(task.family, config, root)
    from experiments.data import local

    return local.files(task.name, root)


def text(family: str, config: DataConfig) -> Data:
    """The examples of a family of generated text, cut to `num_train`, `train_fraction` and `num_test`.

    Raises:
        DataError: the source is unknown, or its data are missing or not in their official form.
    """
    splits, description = texts.read(family, config)
    splits["train"] = part(splits["train"][: config.num_train], config.train_fraction)
    splits["test"] = texts.first_of_each_group(splits["test"], config.num_test)
    if not splits["train"] or not splits["test"]:
        raise DataError(f"{config.source} data of {family}: no examples to train on, or none to answer")
    description |= {
        "source": config.source,
        "train_fraction": config.train_fraction,
        **{f"num_{split}": len(examples) for split, examples in splits.items()},
        "sha256": digest(splits),
    }
    return Data(splits, description)


def glue(task: str, config: DataConfig) -> Data:
    """The examples of one GLUE task from the configured source, the training set cut to `train_fraction`.

    Raises:
        DataError: the source is unknown, or its data are missing or not in their official form.
    """
    splits, description = _read(task, config)
    for name, examples in splits.items():
        check_labels(examples, f"{config.source} data of {task}, {name}")
    splits["train"] = part(splits["train"], config.train_fraction)
    description |= {
        "source": config.source,
        "train_fraction": config.train_fraction,
        "num_train": len(splits["train"]),
        "num_validation": len(splits["validation"]),
        "sha256": digest(splits),
    }
    return Data(splits, description)


def _read(task: str, config: DataConfig) -> tuple[Splits, dict[str, object]]:
    """Splits and the source's own part of the description; a source is imported when it is asked for."""
    if config.source == "synthetic":
        from experiments.data import synthetic

        return dict(synthetic.glue_splits(task)), {"version": synthetic.VERSION}
    if config.source == "local":
        from experiments.data import local

        if config.root is None:
            raise DataError("data.source=local needs data.root=<folder that holds CoLA, SST-2, MRPC, …>")
        return local.glue_splits(task, Path(config.root)), local.describe(task, Path(config.root))
    if config.source == "hub":
        from experiments.data import hub

        commit = hub.resolve(config.revision, hub.REPOSITORY)
        splits = hub.glue_splits(task, commit, hub.REPOSITORY)
        return splits, {"repository": hub.REPOSITORY, "commit": commit}
    raise DataError(f"data.source is {config.source!r}; choose one of {', '.join(SOURCES)}")
