"""Scale tiny is a fair miniature: asserted on the project's records, three seeds of the whole grid.

Head-only must lie clearly below full fine-tuning, VB-LoRA near it, and pretraining must matter. A score here
is the mean over the six tasks of each run's best epoch, as a fraction.
"""

import statistics
from functools import cache
from pathlib import Path

import pytest

from experiments import data as sources
from experiments import records
from experiments.config import DataConfig
from experiments.records import RunRecord
from experiments.report import grid
from experiments.report.grid import RowKey

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
SEEDS = (0, 1, 2)
HEAD, SCRATCH = grid.CONTROLS["glue"]
FULL = RowKey("tiny_roberta", "full", "full")
VBLORA = [RowKey("tiny_roberta", "vblora", targets) for targets in ("qv", "all")]


@cache
def finished() -> dict[str, RunRecord]:
    found = records.find([REFERENCE], "tiny").records
    return {record.run_id: record for record in found if record.status == "success"}


@pytest.fixture(autouse=True)
def _records_there() -> None:
    if not finished():
        pytest.skip("no finished runs under results/reference/tiny yet")


def run_id(row: RowKey, task: str, seed: int) -> str:
    return grid.run_id("glue", row, task, seed)


def score(row: RowKey) -> float:
    return statistics.fmean(
        (outcome := finished()[run_id(row, task, seed)].outcome or {})["scores"][outcome["metric"]]
        for task in grid.load("tiny").tasks
        for seed in SEEDS
    )


def test_no_run_of_the_grid_is_missing() -> None:
    wanted = grid.load("tiny")
    runs = [run_id(row, task, seed) for row in wanted.rows for task in wanted.tasks for seed in SEEDS]
    assert [run for run in runs if run not in finished()] == []
    assert len(runs) == 10 * 6 * 3


@pytest.mark.parametrize("task", grid.load("tiny").tasks)
def test_records_are_of_the_examples_that_the_code_makes_now(task: str) -> None:
    made = sources.glue(task, DataConfig(source="synthetic")).description["sha256"]
    found = {
        (record.outcome or {})["data"]["sha256"]
        for run_id, record in finished().items()
        if run_id.startswith(f"glue/{task}/")
    }
    assert found == {made}


def test_full_fine_tuning_lies_clearly_above_the_head() -> None:
    assert score(FULL) - score(HEAD) >= 0.15


@pytest.mark.parametrize("row", VBLORA, ids=lambda row: row.targets)
def test_vblora_closes_most_of_the_gap(row: RowKey) -> None:
    assert score(row) - score(HEAD) >= 0.8 * (score(FULL) - score(HEAD))


def test_without_pretraining_vblora_falls_far_behind() -> None:
    assert score(VBLORA[0]) - score(SCRATCH) >= 0.15
