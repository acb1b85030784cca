"""Tests of experiments/report/ranking.py."""

from experiments.report import ranking
from experiments.report.grid import RowKey

A, B, C = (RowKey("m", method, "qv") for method in ("a", "b", "c"))


def targets(row: RowKey) -> str:
    return row.targets


def test_ties_at_printed_precision_are_all_best() -> None:
    alone = RowKey("m", "d", "all")
    assert ranking.best({A: 80.04, B: 80.01, C: 79.0, alone: 1.0}, targets) == {A, B}
    assert ranking.best({A: 80.04, B: 80.01, C: 79.0}, targets, digits=2) == {A}
    assert ranking.best({A: 80.0, B: None}, targets) == set()


def test_rows_of_another_origin_make_their_group_no_best() -> None:
    values = {A: 2.0, B: 1.0, C: None}
    assert ranking.best(values, targets, {A: 3, B: 3, C: 1}) == {A}
    assert ranking.best(values, targets, {A: 3, B: 2, C: 3}) == set()
