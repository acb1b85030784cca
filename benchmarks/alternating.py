"""Time several ways to do one thing, in turn, and compare them round by round."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

Sides = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Timing:
    """What a side took.

    Attributes:
        seconds: of each round, in their order.
        median_seconds, least_seconds, most_seconds: of these.
        ratio: median over the rounds of the base's seconds by this side's: above 1, this side is faster.
        least_ratio, most_ratio: of the rounds.
    """

    seconds: list[float]
    median_seconds: float
    least_seconds: float
    most_seconds: float
    ratio: float
    least_ratio: float
    most_ratio: float


def alternate(sides: Sides, rounds: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Run all sides once to warm up, then in turn, every second round backwards.

    Args:
        sides: what to run, by name; the first is the base that ratios refer to.
        rounds: times that each side is run and counted.
        clock: seconds.

    Returns:
        The fields of `Timing` by side.

    Raises:
        ValueError: there is no side or no round.
    """
    if not sides or rounds < 1:
        raise ValueError(f"{len(sides)} sides in {rounds} rounds; give at least one of each")
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in tqdm(range(rounds), "rounds", leave=False, disable=None):
        order = list(sides.items())
        for name, side in order if number % 2 == 0 else reversed(order):
            begin = clock()
            side()
            seconds[name].append(clock() - begin)
    base = next(iter(seconds.values()))
    return {name: asdict(_timing(taken, base)) for name, taken in seconds.items()}


def _timing(seconds: list[float], base: list[float]) -> Timing:
    ratios = [other / own for own, other in zip(seconds, base, strict=True)]
    spread = statistics.median(seconds), min(seconds), max(seconds)
    return Timing(seconds, *spread, statistics.median(ratios), min(ratios), max(ratios))
