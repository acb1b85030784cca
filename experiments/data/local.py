"""GLUE from local files in their official form, plain or gzipped.

    <root>/CoLA/train.tsv[.gz]  dev.tsv[.gz]     and SST-2, MRPC, STS-B, QNLI, RTE beside it

The files are tab separated without any quoting (`csv.QUOTE_NONE`): a quotation mark is a character like any
other, so a line is split at its tabs and nothing else. One example, from MRPC's train.tsv:

    1 <tab> 702876 <tab> 702977 <tab> Amrozi accused his brother , … <tab> Referring to him as only " the
    witness " , …
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.data import text_files
from experiments.data.examples import DataError, Example, Splits


@dataclass(frozen=True)
class Format:
    """The columns of one task's files.

    `columns` names text, pair (or None) and label as the header does; where the official file has no header
    they are numbers, and `width` is the number of columns.
    """

    folder: str
    columns: tuple[str | int, str | int | None, str | int]
    label: Callable[[str], int | float]
    width: int | None = None


def _binary(text: str) -> int:
    return {"0": 0, "1": 1}[text]


def _entailment(text: str) -> int:
    return {"entailment": 0, "not_entailment": 1}[text]


def _similarity(text: str) -> float:
    score = float(text)
    if not 0 <= score <= 5:
        raise ValueError(text)
    return score


FORMATS = {
    "cola": Format("CoLA", (3, None, 1), _binary, width=4),
    "sst2": Format("SST-2", ("sentence", None, "label"), _binary),
    "mrpc": Format("MRPC", ("#1 String", "#2 String", "Quality"), _binary),
    "stsb": Format("STS-B", ("sentence1", "sentence2", "score"), _similarity),
    "qnli": Format("QNLI", ("question", "sentence", "label"), _entailment),
    "rte": Format("RTE", ("sentence1", "sentence2", "label"), _entailment),
}


def glue_splits(task: str, root: Path) -> Splits:
    """Read train and dev of one task.

    Raises:
        DataError: a file is missing, damaged or not in its official form.
    """
    return {split: _examples(path, FORMATS[task]) for split, path in files(task, root).items()}


def describe(task: str, root: Path) -> dict[str, object]:
    """The files read, with their SHA-256, and whether the training set is a part of the official one."""
    paths = files(task, root)
    return {
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()},
        "partial_train": paths["train"].name.startswith("train_partial"),
    }


def files(task: str, root: Path) -> dict[str, Path]:
    """The file of each split: `train.tsv` before `train_partial.tsv`, plain before gzipped.

    Raises:
        DataError: the task is unknown or a file is missing.
    """
    if task not in FORMATS:
        raise DataError(f"no local format for task {task!r}; choose one of {', '.join(FORMATS)}")
    folder = root / FORMATS[task].folder
    return {
        "train": _first(folder, ["train.tsv", "train.tsv.gz", "train_partial.tsv", "train_partial.tsv.gz"]),
        "validation": _first(folder, ["dev.tsv", "dev.tsv.gz"]),
    }


def _first(folder: Path, names: list[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder}: no {' or '.join(names)}; put GLUE's official file there or change data.root")


def _examples(path: Path, form: Format) -> list[Example]:
    lines = text_files.lines(path)
    places, width, first = _header(path, lines, form)
    examples, problems = [], []
    for number, line in enumerate(lines[first:], start=first + 1):
        try:
            examples.append(_example(line.split("\t"), places, width, form))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    text_files.refuse(path, problems, "use GLUE's official file, read without quoting, unedited")
    if not examples:
        raise DataError(f"{path}: line {first + 1}: no examples; use GLUE's official file")
    return examples


def _header(path: Path, lines: list[str], form: Format) -> tuple[list[int | None], int, int]:
    """Positions of text, pair and label, the number of columns, and the number of header lines."""
    if form.width is not None:
        return [column if isinstance(column, int) else None for column in form.columns], form.width, 0
    names = lines[0].split("\t")
    missing = [column for column in form.columns if column is not None and column not in names]
    if missing:
        raise DataError(
            f"{path}: line 1: the header lacks {', '.join(map(str, missing))}; it is {lines[0][:200]!r}; "
            f"use the official {form.folder} file with its header"
        )
    return [None if c is None else names.index(str(c)) for c in form.columns], len(names), 1


def _example(cells: list[str], places: list[int | None], width: int, form: Format) -> Example:
    if len(cells) != width:
        raise ValueError(f"{len(cells)} columns where {width} are due")
    text, pair, label = (None if place is None else cells[place] for place in places)
    if not text or pair == "":
        raise ValueError("an empty sentence")
    try:
        return Example(text, pair, form.label(label or ""))
    except (KeyError, ValueError):
        raise ValueError(f"{label!r} is no label of {form.folder}") from None
