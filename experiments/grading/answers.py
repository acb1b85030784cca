"""The file of answers: one JSON object a line, the first of which says what was asked.

    {"family": "glue", "task": "cola", "metric": "matthews", "version": 1}
    {"index": 0, "label": 1, "prediction": 1, "scores": [-0.71, 0.93]}
    {"index": 1, …}

`index` is the example's row in the validation set, `scores` the model's raw outputs (logits, or the
regression's one number). Where answers are text, a row is one example of a test set:

    {"index": 0, "group": "gsm8k", "source": "How many …?", "references": ["72"], "prediction": "… 72"}
"""

import hashlib
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import storage
from experiments.families import FAMILIES, is_generative
from experiments.grading.glue import GradingError, score

Row = dict[str, Any]
VALUE_FIELDS: dict[str, Any] = {"index": int, "label": (int, float), "prediction": (int, float)}
TEXT_FIELDS: dict[str, Any] = {
    "index": int,
    "group": str,
    "source": str,
    "references": list,
    "prediction": str,
}


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
        with storage.naming(path), scratch.open("w", encoding="utf-8") as file:
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
    if rows[0]["family"] not in FAMILIES:
        raise GradingError(
            f"{path}: line 1: family {rows[0]['family']!r:.40} is none of {', '.join(FAMILIES)}"
        )
    fields = TEXT_FIELDS if is_generative(rows[0]["family"]) else VALUE_FIELDS
    for number, row in enumerate(rows[1:], start=2):
        _need(path, number, row, fields)
    return Answers(rows[0], rows[1:])


def grade(answers: Answers) -> dict[str, float]:
    """Score the answers as their header says.

    Raises:
        GradingError: an example is answered twice, or the family's grader refuses them.
    """
    indices = [row["index"] for row in answers.rows]
    if len(set(indices)) < len(indices):
        raise GradingError(f"{len(indices) - len(set(indices))} examples are answered more than once")
    family = answers.header["family"]
    if is_generative(family):
        # Imported when asked for: each brings its own libraries.
        grader = importlib.import_module(f"experiments.grading.families.{family}")
        scores: dict[str, float] = grader.grade(answers.header, answers.rows)
        return scores
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
