"""Tests of experiments/report/judgements.py."""

from typing import Any

import pytest
from made_records import judged, text_run

from experiments.report import judgements
from experiments.report.judgements import Judgement

RUN = text_run("instruct", "vblora-all")


def test_ratings_of_a_judge_are_read() -> None:
    assert judgements.of(judged(RUN, 5.5, num_invalid=2)) == Judgement(5.5, "gpt-4", "2026-01-31", 2)
    assert judgements.of(judged(RUN, None, num_invalid=80)) == Judgement(None, "gpt-4", "2026-01-31", 80)
    assert judgements.of(RUN) is None and judgements.problems(RUN) == []


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"rating": 0.5}, "mt_bench is 0.5, no rating from 1 to 10"),
        ({"rating": "5"}, "mt_bench is '5', no rating"),
        ({"rating": 5.0, "judge_model": None}, "judge_model is no text"),
        ({"rating": 5.0, "date": 20260131}, "date is no text"),
        ({"rating": 5.0, "num_invalid": -1}, "num_invalid is -1, no number from 0"),
    ],
)
def test_damaged_judgement_counts_nowhere_and_is_named(changes: dict[str, Any], wrong: str) -> None:
    run = judged(RUN, **changes)
    assert judgements.of(run) is None
    (problem,) = judgements.problems(run)
    assert wrong in problem
