"""Sides run in turn; ratios are of one round's two times."""

from collections.abc import Iterator

import pytest

from benchmarks.alternating import alternate


def clock(seconds: list[float]) -> Iterator[float]:
    """Readings before and after each run, of the given lengths."""
    now = 0.0
    for taken in seconds:
        yield now
        now += taken
        yield now


def test_sides_alternate_and_the_first_goes_last_in_every_second_round() -> None:
    calls: list[str] = []
    alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"  # first the warm-up


def test_ratio_is_the_median_over_rounds_not_of_the_medians() -> None:
    """A machine twice as slow in one round changes no ratio of that round."""
    readings = clock([4.0, 2.0, 4.0, 8.0, 6.0, 2.0])  # a b, b a, a b
    found = alternate({"a": lambda: None, "b": lambda: None}, 3, lambda: next(readings))
    assert found["a"]["seconds"] == [4.0, 8.0, 6.0] and found["b"]["seconds"] == [2.0, 4.0, 2.0]
    assert found["a"]["ratio"] == 1.0
    assert (found["b"]["ratio"], found["b"]["least_ratio"], found["b"]["most_ratio"]) == (2.0, 2.0, 3.0)
    assert found["b"]["median_seconds"] == 2.0


@pytest.mark.parametrize(("sides", "rounds"), [({}, 1), ({"a": lambda: None}, 0)])
def test_nothing_to_time_is_refused(sides: dict[str, object], rounds: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        alternate(sides, rounds)  # type: ignore[arg-type]
