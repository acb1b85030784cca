"""Two rows compared over the seeds and tasks that both have: mean difference, interval, and a paired test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from experiments.report.cells import Cells
from experiments.report.grid import RowKey
from experiments.report.summary import CONFIDENCE, LEAST_FOR_INTERVAL, NUM_RESAMPLES


@dataclass(frozen=True)
class Paired:
    """How much one row lies above another, run by run.

    Attributes:
        num_pairs: runs of equal task and seed.
        num_tasks: over how many tasks.
        mean: of the tasks' mean differences, in the units of the table.
        low, high: its bootstrap interval; None where a task has fewer than three pairs.
        p: two-sided, of the sign-flip test of `least`; None for fewer than three pairs.
        least: the difference that is tested, such as 0.
    """

    num_pairs: int
    num_tasks: int
    mean: float
    low: float | None
    high: float | None
    p: float | None
    least: float = 0.0

    @property
    def above(self) -> bool | None:
        """Whether the row lies above by more than `least`; None unless interval and test both say so."""
        if self.low is None or self.high is None or self.p is None or self.p > 1 - CONFIDENCE:
            return None
        return True if self.low > self.least else False if self.high < self.least else None

    def __str__(self) -> str:
        """As a table says it."""
        interval = "" if self.low is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        tested = f" of {self.least:+g}" if self.least else ""
        test = "" if self.p is None else f", p{tested} = {self.p:.3f}"
        return f"{self.mean:+.2f}{interval}{test}, {self.num_pairs} pairs"


def paired(
    found: Cells, ours: RowKey, theirs: RowKey, columns: Sequence[str], least: float = 0.0
) -> Paired | None:
    """Compare two rows by the runs that share task and seed.

    Runs of one seed see the training examples in one order, so that a part of the noise cancels. The test
    asks how often a mean as far from zero comes of random signs of the differences, all of them where there
    are at most 9,999 ways to choose them (Fisher's randomisation test for matched pairs).

    Args:
        found: the cells of a table.
        ours: the row that should lie above.
        theirs: the other one.
        columns: the scores, one a task; each counts alike.
        least: the difference that the test asks about.

    Returns:
        None where a column has no pair.
    """
    differences = {column: _differences(found, ours, theirs, column) for column in columns}
    if not differences or not all(differences.values()):
        return None
    samples = [np.array(values) for values in differences.values()]
    mean = float(np.mean([sample.mean() for sample in samples]))
    low, high = _interval(samples)
    p = _p_value([sample - least for sample in samples])
    return Paired(sum(map(len, samples)), len(samples), mean, low, high, p, least)


def _differences(found: Cells, ours: RowKey, theirs: RowKey, column: str) -> list[float]:
    one: Mapping[int, float] = found.sample(ours, column).scores
    other: Mapping[int, float] = found.sample(theirs, column).scores
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def _interval(samples: list[np.ndarray]) -> tuple[float | None, float | None]:
    """Percentile bootstrap of the mean of means, each task resampled on its own; fixed draws."""
    if min(map(len, samples)) < LEAST_FOR_INTERVAL:
        return None, None
    generator = np.random.default_rng(0)
    means = [generator.choice(sample, (NUM_RESAMPLES, len(sample))).mean(axis=1) for sample in samples]
    edge = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(np.mean(means, axis=0), [edge, 100 - edge])
    return float(low), float(high)


def _p_value(samples: list[np.ndarray]) -> float | None:
    weighted = np.concatenate([sample / len(sample) for sample in samples])  # each task counts alike
    if len(weighted) < LEAST_FOR_INTERVAL:
        return None
    if not weighted.any():
        return 1.0

    def statistic(values: np.ndarray, axis: int) -> Any:
        return values.sum(axis=axis)

    test = scipy.stats.permutation_test(
        (weighted,),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=NUM_RESAMPLES,
        random_state=np.random.default_rng(0),
    )
    return float(test.pvalue)
