"""What a judge model said of a run's answers after the run: `circumstances.judgement` of its record.

    {"mt_bench": 5.71, "judge_model": "gpt-4", "date": "2026-01-31T09:00:00Z", "num_invalid": 0, …}

The mean rating from 1 to 10 (null where no rating is valid), who rated and when, and how many ratings were
invalid and count nowhere; `experiments.judging.result` has the other keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.judging.of_record import KEY
from experiments.records import RunRecord

SCORE = "mt_bench"


@dataclass(frozen=True)
class Judgement:
    """The ratings of one run's answers, by one judge model; the day is a date without its time."""

    rating: float | None
    judge: str
    day: str
    num_invalid: int


def of(record: RunRecord) -> Judgement | None:
    """The judgement of a run; None where there is none, or a damaged one, which `problems` names."""
    found = record.circumstances.get(KEY)
    if not isinstance(found, Mapping) or _problems(found):
        return None
    return Judgement(found[SCORE], found["judge_model"], found["date"][:10], found["num_invalid"])


def problems(record: RunRecord) -> list[str]:
    """What is wrong with the judgement of a run, a sentence each."""
    found = record.circumstances.get(KEY)
    if found is None:
        return []
    if not isinstance(found, Mapping):
        return [f"circumstances.{KEY} is no mapping"]
    return _problems(found)


def _problems(found: Mapping[str, object]) -> list[str]:
    wrong = [f"{key} is no text" for key in ("judge_model", "date") if not isinstance(found.get(key), str)]
    invalid = found.get("num_invalid")
    if SCORE not in found or not _is_rating(found[SCORE]):
        wrong.append(f"{SCORE} is {found.get(SCORE)!r:.40}, no rating from 1 to 10")
    if not isinstance(invalid, int) or isinstance(invalid, bool) or invalid < 0:
        wrong.append(f"num_invalid is {invalid!r:.40}, no number from 0")
    return [f"circumstances.{KEY}.{line}" for line in wrong]


def _is_rating(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 10
