"""The file of answers: one JSON object a line, the first of which says what was asked.

    {"family": "glue", "task": "cola", "metric": "matthews", "version": 1}
    {"index": 0, "label": 1, "prediction": 1, "scores": [-0.71, 0.93]}
    {"index": 1, …}

`index` is the example's row in the validation set, `scores` the model's raw outputs (logits, or the
regression's one number).
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.grading.glue import GradingError, score

Row = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What was asked and every answer to it."""

    header: dict[str, Any]
    rows: list[Row]


def write(path: Path, header: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Write the file in one step, so that it is never seen half-written.

    Returns:
        Its SHA-256, for the record.
    """
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in [dict(header), *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> Answers:
    """Read and check a file of answers.

    Raises:
        GradingError: it is missing, or a line is no JSON object or lacks a field.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GradingError(f"{path}: cannot be read: {error}") from error
    if len(lines) < 2:
        raise GradingError(f"{path}: {len(lines)} lines; a header and at least one answer are due")
    rows = [_object(path, number, line) for number, line in enumerate(lines, start=1)]
    _need(path, 1, rows[0], {"family": str, "task": str, "metric": str})
    for number, row in enumerate(rows[1:], start=2):
        _need(path, number, row, {"index": int, "label": (int, float), "prediction": (int, float)})
    return Answers(rows[0], rows[1:])


def grade(answers: Answers) -> dict[str, float]:
    """Score the answers by the measure their header names.

    Raises:
        GradingError: an example is answered twice, or `score` refuses them.
    """
    indices = [row["index"] for row in answers.rows]
    if len(set(indices)) < len(indices):
        raise GradingError(f"{len(indices) - len(set(indices))} examples are answered more than once")
    predictions, labels = ([row[key] for row in answers.rows] for key in ("prediction", "label"))
    return score(answers.header["metric"], predictions, labels)


def _object(path: Path, number: int, line: str) -> Row:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise GradingError(f"{path}: line {number}: no JSON ({error}); the file is damaged") from error
    if not isinstance(value, dict):
        raise GradingError(f"{path}: line {number}: {type(value).__name__} where a JSON object is due")
    return value


def _need(path: Path, number: int, row: Row, fields: dict[str, Any]) -> None:
    wrong = [
        name for name, kind in fields.items() if not isinstance(row.get(name), kind) or row[name] is True
    ]
    if wrong:
        raise GradingError(f"{path}: line {number}: {', '.join(wrong)} missing or of a wrong type")
