"""Tests of experiments/report/columns.py."""

import pytest
from made_records import cell, judged, text_run

from experiments.families import FAMILIES
from experiments.report import columns, published
from experiments.report.columns import COLUMNS, MEASURES, Score


@pytest.mark.parametrize("family", FAMILIES)
def test_every_printed_column_is_there_in_printed_order(family: str) -> None:
    own = [column.key for column in COLUMNS[family] if column.key == column.printed]
    assert own == published.columns(FAMILIES[family].table)
    assert {column.task for column in COLUMNS[family]} == set(FAMILIES[family].tasks)


@pytest.mark.parametrize("family", FAMILIES)
def test_printed_numbers_lie_where_the_measure_can(family: str) -> None:
    for row in published.rows(FAMILIES[family].table):
        for column in COLUMNS[family]:
            if column.printed:
                value = row.scores[column.printed]
                assert column.measure.holds(value / column.measure.factor)
                assert round(value, column.measure.digits) == value


def test_shares_are_multiplied_and_other_scores_are_not() -> None:
    run = text_run("e2e", "vblora-all", bleu=0.25, nist=8.5)
    found = {column.key: columns.score(run, column) for column in COLUMNS["e2e"]}
    assert found["bleu"] == Score(25.0) and found["nist"] == Score(8.5)


def test_last_epoch_is_glues() -> None:
    (run,) = cell("vblora-qv", "cola", [0.5])
    column = next(column for column in COLUMNS["glue"] if column.key == "cola")
    assert columns.score(run, column, "last") == Score(25.0)


def test_score_that_a_run_lacks_is_none() -> None:
    run = text_run("e2e", "vblora-all", meteor=None)
    missing = [column.key for column in COLUMNS["e2e"] if columns.score(run, column) is None]
    assert missing == ["meteor"]


def test_rating_of_the_run_itself_counts_before_a_judges() -> None:
    rating = COLUMNS["instruct"][0]
    run = text_run("instruct", "vblora-all")
    assert columns.score(run, rating) is None
    assert columns.score(judged(run, 5.5), rating) == Score(5.5, "gpt-4")
    assert columns.score(judged(text_run("instruct", "vblora-all", mt_bench=9.0), 5.5), rating) == Score(9.0)
    assert columns.score(judged(run, 55), rating) is None
    assert columns.score(judged(run, None), rating) is None


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("accuracy", 0.0, -0.1),
        ("pearson", -1.0, -1.1),
        ("bleu", 1.0000000001, 68.2),
        ("nist", 9.5, -0.1),
        ("cider", 2.5, -0.1),
        ("mt_bench", 10.0, 0.5),
        ("gsm8k_released", 0.0, 1.1),
        ("log_likelihood", -3.0, 0.5),
    ],
)
def test_measures_know_where_a_score_can_lie(name: str, inside: float, outside: float) -> None:
    assert MEASURES[name].holds(inside) and not MEASURES[name].holds(outside)
