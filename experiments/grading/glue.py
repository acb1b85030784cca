"""GLUE's three measures, as fractions, from predictions and labels.

`evaluate` (0.4.6) can load such a measure offline from a local module (tried), but adds six seconds of
imports and 60 ms a call, so scikit-learn and scipy are called directly, as GLUE's own scripts do.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, matthews_corrcoef

Values = Sequence[int] | Sequence[float]


class GradingError(ValueError):
    """Answers that cannot be graded; the message says which and why."""


def accuracy(predictions: Values, labels: Values) -> float:
    """The share of predictions that equal their label."""
    return float(accuracy_score(labels, predictions))


def matthews(predictions: Values, labels: Values) -> float:
    """Matthews correlation; 0 where predictions or labels are all one class, as scikit-learn defines it.

    (TP·TN - FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)): its denominator is then 0, and such predictions are
    worth no more than chance.
    """
    if len(set(labels)) == 1:  # scikit-learn gives 0 too, but warns when predictions equal them
        return 0.0
    return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Values, labels: Values) -> float:
    """Pearson correlation; 0 where predictions or labels are constant.

    The correlation is undefined there. A model that answers every pair with one number has learned nothing
    of their order, so it gets what chance gets, as in `matthews`; NaN would poison means and medians of a
    table. Numbers that differ by float32's rounding alone count as constant.
    """
    first, second = np.asarray(predictions, dtype=float), np.asarray(labels, dtype=float)
    if len(first) < 2 or _constant(first) or _constant(second):
        return 0.0
    return float(pearsonr(first, second).statistic)


def _constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-6 * np.abs(values).max())  # float32 resolves 1.2e-7 of a value


METRICS: dict[str, Callable[[Values, Values], float]] = {
    "accuracy": accuracy,
    "matthews": matthews,
    "pearson": pearson,
}


def score(metric: str, predictions: Values, labels: Values) -> dict[str, float]:
    """The score under its metric's name.

    Raises:
        GradingError: the metric is unknown, there is no answer, numbers do not match or are not finite.
    """
    if metric not in METRICS:
        raise GradingError(f"no metric {metric!r}; choose one of {', '.join(METRICS)}")
    if not len(predictions) or len(predictions) != len(labels):
        raise GradingError(f"{len(predictions)} predictions for {len(labels)} labels; each needs the other")
    odd = [
        i for i, pair in enumerate(zip(predictions, labels, strict=True)) if not all(map(math.isfinite, pair))
    ]
    if odd:
        raise GradingError(f"answer {odd[0]} is not finite: {predictions[odd[0]]} for label {labels[odd[0]]}")
    return {metric: METRICS[metric](predictions, labels)}
