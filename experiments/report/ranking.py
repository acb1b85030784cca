"""Which numbers of a table are printed bold: the best of each group of rows."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Row = TypeVar("Row", bound=Hashable)


def best(
    values: Mapping[Row, float | None],
    group: Callable[[Row], Hashable],
    alike: Mapping[Row, Hashable] | None = None,
    digits: int = 1,
) -> set[Row]:
    """The rows with the highest number of their group; a group with one number has no best.

    Args:
        values: the number of each row, None where there is none.
        group: which rows compete.
        alike: what the rows of a group must share, such as how many seeds each number is from; a group in
            which these differ has no best.
        digits: numbers that are equal when printed are equal.
    """
    groups: dict[Hashable, dict[Row, float]] = defaultdict(dict)
    for row, value in values.items():
        if value is not None:
            groups[group(row)][row] = round(value, digits)
    shared = alike or {}
    ranked = [
        members
        for members in groups.values()
        if len(members) > 1 and len({shared.get(row) for row in members}) == 1
    ]
    return {row for members in ranked for row, value in members.items() if value == max(members.values())}
