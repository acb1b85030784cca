"""Grading of mixed answers to GSM8K's and MATH's test sets by all three rules, in several processes and one.

Half of the answers are the sets' own solutions, half are those of other problems, so that equal and unequal
formulas are compared.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternating import Side, alternate
from experiments.data import math
from experiments.grading.math import scoring


def rows(data: Path, most: int | None = None) -> list[dict[str, Any]]:
    """Answers as `experiments.grading.math` takes them: at even places right, at odd ones the neighbour's."""
    examples = math.local_splits(data, "gsm8k", None, 0)["test"]
    chosen = examples[:: max(1, len(examples) // most) if most else 1]
    return [
        {"index": i, "group": own.group, "references": own.references, "prediction": given.target}
        for i, own in enumerate(chosen)
        for given in [chosen[(i + 1) % len(chosen)] if i % 2 else own]
    ]


def measure(data: Path, rounds: int, workers: int, most: int | None = None) -> Mapping[str, Any]:
    """One worker beside several, their start included; their verdicts must be the same.

    Raises:
        RuntimeError: they are not.
    """
    answers = rows(data, most)
    runs = {_workers(number): partial(scoring.grade, answers, number) for number in (1, workers)}
    first, *others = [run().verdicts for run in runs.values()]
    if any(verdicts != first for verdicts in others):
        raise RuntimeError("verdicts depend on the number of workers; report it as a fault")
    sides = {name: Side(run, len(answers)) for name, run in runs.items()}
    return {"GSM8K and MATH": {"unit": "answers", "sides": alternate(sides, rounds, warm_up=False)}}


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"
