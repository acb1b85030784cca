"""Tests of experiments/report/summary.py."""

import itertools
import statistics

import pytest

from experiments.report import summary


def test_spread_is_the_sample_standard_deviation() -> None:
    assert summary.spread([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.2909944)
    assert summary.spread([5.0]) is None


def test_average_is_the_mean_of_centers() -> None:
    assert summary.mean_of_centers([[1, 2, 9], [4, 4, 10]], "median") == 3
    assert summary.mean_of_centers([[1, 2, 9], [4, 4, 10]], "mean") == 5


def test_interval_of_three_runs_is_the_exact_one() -> None:
    """All 27 resamples of three values can be listed; 7 of them have the smallest as median."""
    sample = [1.0, 2.0, 4.0]
    medians = sorted(statistics.median(drawn) for drawn in itertools.product(sample, repeat=3))
    found = summary.difference([sample], 2.0, "median")
    assert (found.value, found.low, found.high) == (0.0, medians[0] - 2, medians[-1] - 2)


def test_no_interval_below_three_runs() -> None:
    assert summary.difference([[1.0, 2.0]], 1.0, "mean") == summary.Difference(0.5, None, None)
    assert summary.difference([[1.0, 2.0, 3.0]], [[1.0, 2.0]], "mean").low is None


def test_equal_scores_give_an_interval_of_no_width() -> None:
    assert summary.difference([[0.5] * 5], 0.25, "median") == summary.Difference(0.25, 0.25, 0.25)
    assert summary.difference([[0.5] * 3], [[0.25] * 3], "median") == summary.Difference(0.25, 0.25, 0.25)


def test_one_constant_side_still_has_an_interval() -> None:
    found = summary.difference([[1.0, 1.0, 1.0]], [[1.0, 2.0, 3.0]], "mean")
    assert found.low is not None and found.high is not None
    assert found.low < found.value == -1 < found.high


def test_interval_of_an_average_over_tasks_holds_the_value() -> None:
    ours = [[0.8, 0.9, 1.0], [0.4, 0.5, 0.7]]
    theirs = [[0.7, 0.7, 0.9], [0.3, 0.4, 0.4]]
    found = summary.difference(ours, theirs, "median")
    assert found.value == pytest.approx(0.7 - 0.55)
    assert found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high


def test_same_data_give_the_same_interval() -> None:
    ours = [[0.81, 0.84, 0.9, 0.88, 0.79]]
    assert summary.difference(ours, 0.8, "median") == summary.difference(ours, 0.8, "median")
