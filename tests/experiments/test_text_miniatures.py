"""Tiny is a fair miniature of Tables 2 to 4: the project's records, three seeds of every row and control."""

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
# By family: task, main scores with their ranges, the model, and the row that shows what is possible.
FAMILIES = {
    "e2e": ("e2e", {"bleu": (0.0, 1.0)}, "tiny_gpt2", ("full", "full")),
    "math": ("metamath", {"gsm8k": (0.0, 1.0), "math": (0.0, 1.0)}, "tiny_llama", ("full", "full")),
    "instruct": ("alpaca", {"mt_bench": (1.0, 10.0)}, "tiny_llama", ("lora", "all")),
}


@cache
def finished() -> dict[str, RunRecord]:
    found = records.find([REFERENCE], "tiny").records
    return {record.run_id: record for record in found if record.status == "success"}


def score(family: str, row: RowKey) -> float:
    """Mean over seeds and main scores, each as a share of its range."""
    task, scores, *_ = FAMILIES[family]
    shares = []
    for seed in SEEDS:
        outcome = finished()[grid.run_id(family, row, task, seed)].outcome or {}
        shares += [(outcome["scores"][name] - low) / (high - low) for name, (low, high) in scores.items()]
    return statistics.fmean(shares)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if not any(run_id.startswith(f"{name}/") for run_id in finished()):
        pytest.skip(f"no finished runs of {name} under results/reference/tiny yet")
    return name


def test_no_run_of_the_grid_is_missing(family: str) -> None:
    wanted = grid.load("tiny", family)
    runs = [grid.run_id(family, row, task, s) for row in wanted.rows for task in wanted.tasks for s in SEEDS]
    assert [run for run in runs if run not in finished()] == []


def test_records_answer_the_questions_that_the_code_asks_now(family: str) -> None:
    """Fails if examples change while the world's version stays, as records of other questions would show."""
    asked = sources.text(family, DataConfig(source="synthetic")).description["sha256"]
    found = {
        (record.outcome or {})["data"]["sha256"]
        for run_id, record in finished().items()
        if run_id.startswith(f"{family}/")
    }
    assert found == {asked}


def test_vblora_closes_most_of_the_gap_between_untuned_and_best(family: str) -> None:
    _, _, model, top = FAMILIES[family]
    untuned = score(family, RowKey(model, "none", "none"))
    best, ours = score(family, RowKey(model, *top)), score(family, RowKey(model, "vblora", "all"))
    assert best - untuned >= 0.3
    assert ours - untuned >= 0.8 * (best - untuned)


# VB-LoRA as on the pretrained backbone, and what full fine-tuning reaches with a rate of its own.
@pytest.mark.parametrize(("method", "targets", "gap"), [("vblora", "all", 0.3), ("full", "full", 0.15)])
def test_without_pretraining_all_falls_behind(family: str, method: str, targets: str, gap: float) -> None:
    model = FAMILIES[family][2]
    row = RowKey(f"{model}_scratch", method, targets)
    if row not in grid.load("tiny", family).rows:
        pytest.skip(f"{family} has no full fine-tuning")
    assert score(family, RowKey(model, "vblora", "all")) - score(family, row) >= gap


def test_vblora_stores_the_least_of_the_adapters_that_adapt_every_layer(family: str) -> None:
    task, _, model, _ = FAMILIES[family]
    stored = {
        row: (finished()[grid.run_id(family, row, task, 0)].outcome or {})["stored_params"]
        for row in grid.load("tiny", family).rows
        if row.model == model and row.targets == "all"
    }
    assert min(stored, key=lambda row: stored[row]) == RowKey(model, "vblora", "all")
