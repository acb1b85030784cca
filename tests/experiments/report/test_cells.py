"""Tests of experiments/report/cells.py."""

import pytest
from made_records import TASKS, cell, failed, record, whole_row

from experiments.report import cells, grid
from experiments.report.grid import RowKey

QV = RowKey("tiny_roberta", "vblora", "qv")


def test_scores_are_percent_by_seed() -> None:
    found = cells.collect(cell("vblora-qv", "cola", [0.25, 0.5, 0.125]))
    assert found.by_row[QV].samples["cola"].scores == {0: 25, 1: 50, 2: 12.5}
    assert found.centre(QV, ["cola"]) == 25
    assert cells.collect(cell("vblora-qv", "cola", [0.25, 0.5]), epoch="last").sample(QV, "cola").values == [
        12.5,
        25,
    ]
    assert cells.collect(cell("vblora-qv", "cola", [0.0, 0.0, 0.9]), center="mean").centre(
        QV, ["cola"]
    ) == pytest.approx(30)


def test_failed_runs_and_other_families_are_left_out() -> None:
    other = record("e2e/e2e/gpt2_medium/vblora-all/seed0")
    found = cells.collect([failed("glue/cola/tiny_roberta/vblora-qv/seed0"), other])
    assert found.by_row == {}


def test_average_needs_every_task() -> None:
    part = [each for each in whole_row("vblora-qv", 0.8) if "/rte/" not in each.run_id]
    assert cells.collect(part).centre(QV, TASKS) is None
    assert cells.collect(whole_row("vblora-qv", 0.8)).centre(QV, TASKS) == pytest.approx(80, abs=1)


def test_layout_of_a_fixed_grid_has_gaps_and_other_rows_last() -> None:
    found = cells.collect([*cell("vblora-qv", "rte", [0.5]), *cell("unilora-qv", "rte", [0.5])])
    rows, tasks = cells.layout(grid.load("tiny"), found)
    assert rows[:-1] == grid.load("tiny").rows
    assert rows[-1] == RowKey("tiny_roberta", "unilora", "qv")
    assert [column.key for column in tasks] == list(TASKS)


def test_variant_stands_below_its_row_and_replaces_its_gap() -> None:
    changed = RowKey("tiny_roberta", "vblora", "qv", "k4")
    only_variant = cells.collect(cell("vblora-qv-k4", "rte", [0.5]))
    rows, _ = cells.layout(grid.load("tiny"), only_variant)
    assert changed in rows and QV not in rows
    both = cells.collect([*cell("vblora-qv-k4", "rte", [0.5]), *cell("vblora-qv", "rte", [0.5])])
    rows, _ = cells.layout(grid.load("tiny"), both)
    assert rows.index(changed) == rows.index(QV) + 1


def test_without_a_grid_the_table_shows_what_there_is_in_printed_order() -> None:
    made = [
        cell(row, "stsb", [0.5], "local", "mine")
        for row in ("vblora-all", "lora-qv", "full-full", "head-none")
    ]
    made.append(cell("lora-qv", "cola", [0.5], "local", "mine"))
    rows, tasks = cells.layout(grid.load("local"), cells.collect(each for group in made for each in group))
    assert [row.method for row in rows] == ["head", "full", "lora", "vblora"]
    assert [column.key for column in tasks] == ["cola", "stsb"]


def test_a_task_beside_the_grids_has_its_column() -> None:
    made = [each for task in ("cola", "rte") for each in cell("lora-qv", task, [0.5], "minilm", "minilm")]
    _, tasks = cells.layout(grid.load("minilm"), cells.collect(made))
    assert [column.key for column in tasks] == ["cola", "stsb", "mrpc", "rte"]
