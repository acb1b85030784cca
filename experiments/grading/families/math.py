"""Answers to GSM8K and MATH, by three rules (`experiments.grading.math`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.grading.math import scoring


def grade(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By group: accuracy by the proper rule, by `_released` and `_exact`, and `_num_differ`.

    The last is the number of answers that the proper and the released rule judge differently.
    """
    graded = scoring.grade(rows)
    differ = {f"{group}_num_differ": float(counts["num_differ"]) for group, counts in graded.counts().items()}
    return graded.scores() | differ
