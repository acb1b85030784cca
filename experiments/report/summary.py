"""From scores to what a table prints: centre, spread, and a difference with its confidence interval."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

CENTERS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": statistics.median,
    "mean": statistics.fmean,
}
LEAST_FOR_INTERVAL = 3  # runs; with fewer a bootstrap says nothing
NUM_RESAMPLES = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A difference of centres and its interval, which is None, None where a side has fewer than 3 runs."""

    value: float
    low: float | None
    high: float | None


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n-1) over the seeds; None for fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def mean_of_centers(samples: Sequence[Sequence[float]], center: str) -> float:
    """Centre of each sample, averaged: the average column of a table. One sample: its centre."""
    return statistics.fmean(CENTERS[center](sample) for sample in samples)


def difference(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]] | float, center: str
) -> Difference:
    """How much higher `ours` lies, with a percentile bootstrap interval over the seeds.

    Every sample is resampled on its own, a published number is taken as exact. The draws are fixed, so that
    a table is the same each time it is made.

    Args:
        ours: one sample for a cell, one a task for an average.
        theirs: the same of another row, or a published number.
        center: a key of CENTERS.
    """
    others = [] if isinstance(theirs, int | float) else list(theirs)
    constant = float(theirs) if isinstance(theirs, int | float) else 0.0
    samples = [np.asarray(sample, dtype=float) for sample in [*ours, *others]]
    statistic = _statistic(len(ours), constant, center)
    value = float(statistic(*samples, axis=-1))
    if min(len(sample) for sample in samples) < LEAST_FOR_INTERVAL:
        return Difference(value, None, None)
    if all(np.ptp(sample) == 0 for sample in samples):
        return Difference(value, value, value)
    found = scipy.stats.bootstrap(
        samples,
        statistic,
        n_resamples=NUM_RESAMPLES,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Difference(value, float(found.low), float(found.high))


def _statistic(num_ours: int, constant: float, center: str) -> Callable[..., Any]:
    take = np.median if center == "median" else np.mean

    def statistic(*samples: Any, axis: int) -> Any:
        centers = [take(sample, axis=axis) for sample in samples]
        ours, theirs = centers[:num_ours], centers[num_ours:]
        return sum(ours) / len(ours) - (sum(theirs) / len(theirs) if theirs else constant)

    return statistic
