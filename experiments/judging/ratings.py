"""The rating in a judgement, read as FastChat reads it, and the mean of many.

    "… Rating: [[7]]"  7        "[[7.5]]"  7.5        "… [8]"  8        "7 of 10"  -1

The first `[[number]]` counts, or the first `[number]` where there is none. FastChat writes -1 for a judgement
without either and leaves it out of its mean. Here a number outside the asked 1 to 10 is written as -1 too,
since a mean on that scale cannot hold it; FastChat would average it.

Source: https://github.com/lm-sys/FastChat (fastchat/llm_judge/common.py).
"""

import re
from collections.abc import Sequence

INVALID = -1
LOWEST, HIGHEST = 1, 10
_PATTERNS = (r"\[\[(\d+\.?\d*)\]\]", r"\[(\d+\.?\d*)\]")


def stated(judgment: str) -> float | None:
    """The number that FastChat reads, whatever it is; None where it reads none."""
    for pattern in _PATTERNS:
        found = re.search(pattern, judgment)
        if found:
            return float(found[1])
    return None


def rating(judgment: str) -> float:
    """The rating, 1 to 10, an int where it is whole, as FastChat's files have it; -1 where there is none."""
    number = stated(judgment)
    if number is None or not LOWEST <= number <= HIGHEST:
        return INVALID
    return int(number) if number.is_integer() else number


def mean(ratings: Sequence[float]) -> float | None:
    """The mean of the valid ratings; None where none is valid."""
    valid = [rating for rating in ratings if rating != INVALID]
    return sum(valid) / len(valid) if valid else None
