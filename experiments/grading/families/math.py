"""Answers to GSM8K and MATH, by three rules (`experiments.grading.math`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.grading.glue import GradingError
from experiments.grading.math import scoring
from experiments.grading.math.pool import PoolError


def grade(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By group: accuracy by the proper rule, by `_released` and `_exact`; `_num_differ`, `_num_undecided`.

    The numbers are of answers that the proper and the released rule judge differently, and of those whose
    comparison took more than its time or memory and count as wrong.

    Raises:
        GradingError: a row is not as described, or no process can be started to compare formulas in.
    """
    try:
        graded = scoring.grade(rows)
    except PoolError as error:
        raise GradingError(str(error)) from error
    numbers = {
        f"{group}_{name}": float(value)
        for group, counts in graded.counts().items()
        for name, value in {
            "num_differ": counts["num_differ"],
            "num_undecided": counts["num_timeouts"] + counts["num_crashes"],
        }.items()
    }
    return graded.scores() | numbers
