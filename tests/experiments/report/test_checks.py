"""Tests of experiments/report/checks.py: each fault that `make check-results` must find."""

from pathlib import Path

import pytest
from made_records import cell, failed, outcome, record, whole_row, write_all

from experiments import records
from experiments.grading import answers
from experiments.report import checks, tables
from experiments.report.table1 import Table1


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_all([*whole_row("vblora-qv", 0.8, 3), *whole_row("lora-qv", 0.7, 3)], tmp_path / "runs")
    return tmp_path


def problems(results: Path, scale: str = "tiny") -> list[str]:
    return checks.problems([results / "runs", results / "reference"], results / "tables", scale)


def make_tables(results: Path, epoch: str = "best") -> None:
    found = records.find([results / "runs", results / "reference"], "tiny")
    tables.write(results / "tables", Table1(found, "tiny", epoch))


def test_good_results_have_no_problem(results: Path) -> None:
    make_tables(results)
    make_tables(results, "last")
    write_all([failed("glue/rte/tiny_roberta/vera-qv/seed0")], results / "runs")
    make_tables(results)
    make_tables(results, "last")
    assert problems(results) == []


@pytest.mark.parametrize("kind", ["md", "tex", "csv"])
def test_edited_cell_is_found(results: Path, kind: str) -> None:
    make_tables(results)
    path = results / f"tables/tiny/table1.{kind}"
    text = path.read_text()
    path.write_text(text.replace("80.", "99.", 1))
    assert text != path.read_text()
    assert [line.split(":")[0] for line in problems(results)] == [str(path)]


def test_table_older_than_its_records_is_found(results: Path) -> None:
    make_tables(results, "last")
    write_all(cell("vera-qv", "rte", [0.5]), results / "runs")
    assert len(problems(results)) == 3
    assert "table1-last.md: not what the records give; make tables SCALE=tiny" in problems(results)[0]


def test_damaged_record_is_found(results: Path) -> None:
    (results / "runs/tiny/glue/rte/tiny_roberta/lora-qv/seed1.json").write_text("{")
    assert len(problems(results)) == 1
    assert "seed1.json: damaged" in problems(results)[0]


def test_score_that_is_no_fraction_is_found(results: Path) -> None:
    write_all(cell("vera-qv", "rte", [54.2]), results / "runs")
    assert "scores.accuracy is 54.2, no fraction" in problems(results)[0]


def test_seeds_with_other_settings_or_data_are_found(results: Path) -> None:
    run = "glue/rte/tiny_roberta/lora-qv/seed7"
    other = outcome("accuracy") | {"data": {"source": "hub", "sha256": "0"}}
    records.write(
        record(run, outcome=other, config={**record().config, "optim": {"epochs": 3}}), results / "runs"
    )
    assert problems(results) == [
        "tiny_roberta/lora/qv/paper, rte: its seeds differ in settings of optim, data"
    ]


def test_own_runs_may_differ_from_the_projects(results: Path) -> None:
    run = "glue/rte/tiny_roberta/lora-qv/seed7"
    other = outcome("accuracy") | {"model_fingerprint": "0"}
    records.write(record(run, outcome=other), results / "reference")
    assert problems(results) == []


def graded(results: Path, prediction: int, score: float) -> Path:
    run = "glue/rte/tiny_roberta/vera-qv/seed0"
    path = results / f"runs/tiny/{run}.answers.jsonl"
    header = {"family": "glue", "task": "rte", "metric": "accuracy", "version": 1}
    rows = [
        {"index": i, "label": 1, "prediction": p, "scores": [0.0, 1.0]} for i, p in enumerate((1, prediction))
    ]
    digest = answers.write(path, header, rows)
    records.write(
        record(run, outcome=outcome("accuracy", score) | {"answers_sha256": digest}), results / "runs"
    )
    return path


def test_answers_are_graded_again(results: Path) -> None:
    graded(results, prediction=0, score=0.5)
    assert problems(results) == []
    graded(results, prediction=0, score=0.6)
    assert "graded again it gives {'accuracy': 0.5}" in problems(results)[0]


def test_other_answers_than_those_graded_are_found(results: Path) -> None:
    path = graded(results, prediction=0, score=0.5)
    path.write_text(path.read_text().replace('"prediction": 0', '"prediction": 1'))
    assert problems(results) == [f"{path}: not the answers that the record was graded from"]


def test_scales_are_those_with_records_or_tables(results: Path) -> None:
    (results / "tables/minilm").mkdir(parents=True)
    assert checks.scales([results / "runs", results / "reference"], results / "tables") == ["minilm", "tiny"]
