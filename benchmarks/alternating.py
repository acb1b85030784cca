"""Time several ways to do one thing, in turn, and compare them round by round."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm


@dataclass(frozen=True)
class Side:
    """One way.

    Attributes:
        run: does the work once.
        amount: how much that is, in the case's unit.
    """

    run: Callable[[], Any]
    amount: int


@dataclass(frozen=True)
class Timing:
    """What a side took.

    Attributes:
        amount: units of work of a round.
        seconds: of each round, in their order.
        median_speed, least_speed, most_speed: units a second, over the rounds.
        ratio: median over the rounds of this side's speed by the base's: above 1, this side is faster.
        least_ratio, most_ratio: of the rounds.
    """

    amount: int
    seconds: list[float]
    median_speed: float
    least_speed: float
    most_speed: float
    ratio: float
    least_ratio: float
    most_ratio: float


def alternate(
    sides: dict[str, Side],
    rounds: int,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Run all sides in turn, every second round backwards.

    Args:
        sides: what to run, by name; the first is the base that ratios refer to.
        rounds: times that each side is run and counted.
        warm_up: run each side once before; not needed where it ran already.
        clock: seconds.

    Returns:
        The fields of `Timing` by side.

    Raises:
        ValueError: there is no side or no round.
    """
    if not sides or rounds < 1:
        raise ValueError(f"{len(sides)} sides in {rounds} rounds; give at least one of each")
    for side in sides.values() if warm_up else ():
        side.run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in tqdm(range(rounds), "rounds", leave=False, disable=None):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            begin = clock()
            sides[name].run()
            seconds[name].append(clock() - begin)
    speeds = {name: [side.amount / taken for taken in seconds[name]] for name, side in sides.items()}
    base = next(iter(speeds.values()))
    return {
        name: asdict(_timing(side.amount, seconds[name], speeds[name], base)) for name, side in sides.items()
    }


def _timing(amount: int, seconds: list[float], speeds: list[float], base: list[float]) -> Timing:
    ratios = [own / other for own, other in zip(speeds, base, strict=True)]
    spread = statistics.median(speeds), min(speeds), max(speeds)
    return Timing(amount, seconds, *spread, statistics.median(ratios), min(ratios), max(ratios))
