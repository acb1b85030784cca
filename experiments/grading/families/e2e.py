"""Descriptions of restaurants, scored as the E2E challenge scores them."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.grading import e2e


def grade(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The challenge's measures; texts are scored in the form in which they were learned and saved.

    Where every description is empty, each measure is 0: no word is one of a reference's.
    """
    grouped = e2e.group(rows)
    if not any(text.strip() for text in grouped.predictions):
        return dict.fromkeys(e2e.MEASURES, 0.0)
    return e2e.score(grouped.predictions, grouped.references)
