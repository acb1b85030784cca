"""The examples of the families of generated text, from the configured source.

A source's own libraries are imported when it is asked for.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.config import DataConfig
from experiments.data.examples import DataError, Prompted, TextSplits

Read = tuple[TextSplits, dict[str, object]]


def read(family: str, config: DataConfig) -> Read:
    """Splits, and the source's own part of the description.

    Raises:
        DataError: the source is unknown, or its data are missing or not in their official form.
    """
    if config.source == "synthetic":
        from experiments.data.synthetic import worlds

        world = worlds.load(family)
        splits = {name: list(examples) for name, examples in world.splits().items()}
        return splits, {"version": world.VERSION}
    root = Path(os.path.expanduser(config.root)) if config.root else None
    if config.source == "local" and root is None:
        raise DataError("data.source=local needs data.root=<folder of the task's files>")
    if config.source in ("local", "hub"):
        return _READERS[family](config, root)
    raise DataError(f"data.source is {config.source!r}; choose one of hub, local, synthetic")


def files(family: str, config: DataConfig, root: Path) -> dict[str, Path]:
    """The local files that a family reads, by their roles.

    Raises:
        DataError: one is missing.
    """
    return _FILES[family](config, root)


def first_of_each_group(examples: Sequence[Prompted], number: int | None) -> list[Prompted]:
    """The first `number` examples of each group, in their order; all for None."""
    if number is None:
        return list(examples)
    seen: dict[str, int] = {}
    kept = []
    for example in examples:
        seen[example.group] = seen.get(example.group, 0) + 1
        if seen[example.group] <= number:
            kept.append(example)
    return kept


def _e2e(config: DataConfig, root: Path | None) -> Read:
    """The challenge's files or the LoRA authors', or the hub."""
    from experiments.data import e2e, hub

    form = config.text_form or "plain"
    if root is not None:
        return e2e.local_splits(root, form), e2e.describe(root)
    commit = hub.resolve(config.revision, e2e.REPOSITORY)
    splits = e2e.hub_splits(commit, e2e.REPOSITORY, form)
    return splits, {"repository": e2e.REPOSITORY, "commit": commit}


def _e2e_files(config: DataConfig, root: Path) -> dict[str, Path]:
    from experiments.data import e2e

    return e2e.files(root)


def _instruct(config: DataConfig, root: Path | None) -> Read:
    """Alpaca from hub or files; MT-Bench's questions and MMLU always from files."""
    from experiments.data import hub, instruct, mmlu

    if root is None:
        raise DataError(
            "MT-Bench's questions are read from files: data.root=<folder of mt_bench/question.jsonl>"
        )
    about: dict[str, object] = {}
    if config.source == "hub":
        commit = hub.resolve(config.revision, instruct.REPOSITORY)
        rows = instruct.hub_rows(commit)
        about |= {"repository": instruct.REPOSITORY, "commit": commit}
    else:
        rows = instruct.local_rows(root)
        about |= instruct.describe(root)
    splits = instruct.split(rows, config.held_out or 0)
    about["num_empty_left_out"] = instruct.num_empty(rows)
    asked = [mmlu.questions(root, "validation", shots) for shots in config.mmlu_shots]
    return {**splits, "test": [*instruct.questions(root), *(q for group in asked for q in group)]}, about


def _instruct_files(config: DataConfig, root: Path) -> dict[str, Path]:
    from experiments.data import instruct, mmlu

    found = instruct.files(root) if config.source == "local" else {"test": instruct.questions_file(root)}
    for shots in config.mmlu_shots:
        found |= {f"mmlu_{role}": path for role, path in mmlu.files(root, "validation", shots).items()}
    return found


def _math(config: DataConfig, root: Path | None) -> Read:
    """What is learned and the two test sets, from files or the hub; `data.revision` is the training set's."""
    from experiments.data import math, math_hub

    chosen = config.train_set or "metamath"
    held_out = config.held_out or 0
    if root is not None:
        return math.local_splits(root, chosen, config.num_train, held_out), math.describe(root, chosen)
    commits = math_hub.resolve({chosen: config.revision}, chosen)
    splits = math_hub.hub_splits(commits, chosen, config.num_train, held_out)
    return splits, {"train_set": chosen, "commits": commits}


def _math_files(config: DataConfig, root: Path) -> dict[str, Path]:
    from experiments.data import math

    return math.files(root, config.train_set or "metamath")


_READERS: dict[str, Callable[[DataConfig, Path | None], Read]] = {
    "e2e": _e2e,
    "instruct": _instruct,
    "math": _math,
}
_FILES: dict[str, Callable[[DataConfig, Path], dict[str, Path]]] = {
    "e2e": _e2e_files,
    "instruct": _instruct_files,
    "math": _math_files,
}
