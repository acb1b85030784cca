"""Sides run in turn; ratios are of one round's two times."""

from collections.abc import Iterator
from functools import partial

import pytest

from benchmarks.alternating import Side, alternate


def clock(seconds: list[float]) -> Iterator[float]:
    """Readings before and after each run, of the given lengths."""
    now = 0.0
    for taken in seconds:
        yield now
        now += taken
        yield now


def test_sides_alternate_and_the_first_goes_last_in_every_second_round() -> None:
    calls: list[str] = []
    sides = {name: Side(partial(calls.append, name), 1) for name in "ab"}
    alternate(sides, rounds=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"  # first the warm-up
    calls.clear()
    alternate(sides, rounds=1, warm_up=False)
    assert calls == ["a", "b"]


def test_ratio_is_the_median_over_rounds_not_of_the_medians() -> None:
    """A machine twice as slow in one round changes no ratio of that round."""
    readings = clock([4.0, 2.0, 4.0, 8.0, 6.0, 2.0])  # a b, b a, a b
    sides = {name: Side(list, 8) for name in "ab"}
    found = alternate(sides, 3, False, lambda: next(readings))
    assert found["a"]["seconds"] == [4.0, 8.0, 6.0] and found["b"]["seconds"] == [2.0, 4.0, 2.0]
    assert found["a"]["ratio"] == 1.0
    assert (found["b"]["ratio"], found["b"]["least_ratio"], found["b"]["most_ratio"]) == (2.0, 2.0, 3.0)
    assert (found["b"]["median_speed"], found["b"]["least_speed"], found["b"]["most_speed"]) == (4, 2, 4)


def test_sides_of_unequal_work_are_compared_by_their_speed() -> None:
    readings = clock([2.0, 2.0])
    found = alternate({"a": Side(list, 10), "b": Side(list, 30)}, 1, False, lambda: next(readings))
    assert (found["b"]["median_speed"], found["b"]["ratio"]) == (15.0, 3.0)


@pytest.mark.parametrize(("sides", "rounds"), [({}, 1), ({"a": Side(list, 1)}, 0)])
def test_nothing_to_time_is_refused(sides: dict[str, Side], rounds: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        alternate(sides, rounds)
