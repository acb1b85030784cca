"""Tests of experiments/report/checks.py: each fault that `make check-results` must find."""

import math
from pathlib import Path

import pytest
from made_records import cell, failed, judged, outcome, record, text_run, whole_row, write_all

from experiments import records
from experiments.grading import answers
from experiments.records import RunRecord
from experiments.report import checks, finding, tables
from experiments.report.paper_table import PaperTable


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_all([*whole_row("vblora-qv", 0.8, 3), *whole_row("lora-qv", 0.7, 3)], tmp_path / "runs")
    return tmp_path


def problems(results: Path, scale: str = "tiny") -> list[str]:
    roots = [results / "runs", results / "reference"]
    return checks.problems(roots, scale) + checks.stale_tables(roots, results / "tables" / scale, scale)


def make_tables(results: Path, epoch: str = "best", family: str = "glue") -> None:
    found = finding.find([results / "runs", results / "reference"], "tiny", family)
    tables.write(results / "tables/tiny", tables.of_family(PaperTable(found, "tiny", family, epoch)))


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
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("80.", "99.", 1), encoding="utf-8")
    assert text != path.read_text(encoding="utf-8")
    assert [line.split(":")[0] for line in problems(results)] == [str(path)]


def test_table_older_than_its_records_is_found(results: Path) -> None:
    make_tables(results, "last")
    write_all(cell("vera-qv", "rte", [0.5]), results / "runs")
    assert len(problems(results)) == 3
    assert "table1-last.md: not what the records give; make tables" in problems(results)[0]


def test_damaged_record_is_found(results: Path) -> None:
    (results / "runs/tiny/glue/rte/tiny_roberta/lora-qv/seed1.json").write_text("{", encoding="utf-8")
    assert len(problems(results)) == 1
    assert "seed1.json: damaged" in problems(results)[0]


def test_score_that_is_no_fraction_is_found(results: Path) -> None:
    write_all(cell("vera-qv", "rte", [54.2]), results / "runs")
    assert "scores.accuracy is 54.2, outside 0 to 1" in problems(results)[0]


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
    for score in (0.5, math.nextafter(0.5, 1)):  # on another processor the last bit may differ
        graded(results, prediction=0, score=score)
        assert problems(results) == []
    graded(results, prediction=0, score=0.5 + 1e-6)
    assert "graded again it gives {'accuracy': 0.5}" in problems(results)[0]


def test_other_answers_than_those_graded_are_found(results: Path) -> None:
    path = graded(results, prediction=0, score=0.5)
    path.write_text(
        path.read_text(encoding="utf-8").replace('"prediction": 0', '"prediction": 1'), encoding="utf-8"
    )
    assert problems(results) == [f"{path}: not the answers that the record was graded from"]


def test_scales_are_those_with_records_or_tables(results: Path) -> None:
    (results / "tables/minilm").mkdir(parents=True)
    assert checks.all_scales([results / "runs", results / "reference"], results / "tables") == [
        "minilm",
        "tiny",
    ]


def write(results: Path, *made: RunRecord) -> None:
    write_all(made, results / "runs")


@pytest.mark.parametrize(
    ("run", "wrong"),
    [
        (text_run("e2e", "vblora-all", bleu=68.2), "scores.bleu is 68.2, outside 0 to 1"),
        (text_run("e2e", "vblora-all", cider=-0.1), "scores.cider is -0.1, outside 0 to inf"),
        (text_run("instruct", "vblora-all", mt_bench=0.5), "scores.mt_bench is 0.5, outside 1 to 10"),
        (text_run("math", "vblora-all", math_released=17.9), "scores.math_released is 17.9, outside 0 to 1"),
        (judged(text_run("instruct", "vblora-all"), 55), "judgement.mt_bench is 55, no rating from 1 to 10"),
        (record("e2e/webnlg/m/vblora-all/seed0"), "e2e has no task webnlg; it has e2e"),
        (
            record("vision/cifar/m/vblora-all/seed0"),
            "no family vision; it is one of glue, e2e, instruct, math",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_scores_and_runs_without_a_table_are_found(
    run: RunRecord, wrong: str, results: Path
) -> None:
    write(results, run)
    assert len(problems(results)) == 1
    assert wrong in problems(results)[0] and problems(results)[0].startswith(run.run_id)


@pytest.mark.parametrize(("family", "number"), [("e2e", 2), ("instruct", 3), ("math", 4)])
def test_stale_table_of_each_family_is_found(family: str, number: int, results: Path) -> None:
    write(results, text_run(family, "vblora-all"))
    found = finding.find([results / "runs"], "tiny", family)
    tables.write(results / "tables/tiny", tables.of_family(PaperTable(found, "tiny", family)))
    assert problems(results) == []
    write(results, text_run(family, "lora-all"))
    assert [line.split(": ")[0] for line in problems(results)] == [
        str(results / f"tables/tiny/table{number}.{kind}") for kind in ("md", "tex", "csv")
    ]
    assert problems(results)[0].endswith(f"make tables FAMILY={family}")


def test_damaged_file_of_another_family_makes_no_table_stale(results: Path) -> None:
    write(results, text_run("math", "vblora-all"))
    (results / "runs/tiny/math/x.json").write_text("{", encoding="utf-8")
    make_tables(results, family="math")
    make_tables(results)
    assert [line.split(": ")[1] for line in problems(results)] == ["damaged or cut off"]


def test_one_family_can_be_checked_alone(results: Path) -> None:
    write(results, text_run("math", "vblora-all", math=5.0), *cell("vera-qv", "rte", [54.2]))
    roots = [results / "runs"]
    (line,) = checks.problems(roots, "tiny", ["math"])
    assert "scores.math is 5.0" in line


def test_seeds_rated_by_different_judges_are_found(results: Path) -> None:
    runs = [text_run("instruct", "vblora-all", seed) for seed in range(3)]
    write(results, runs[0], judged(runs[1], 5.0), judged(runs[2], 6.0))
    assert problems(results) == []
    write(results, judged(runs[2], 6.0, "llama"))
    assert problems(results) == ["tiny_llama/vblora/all/paper, alpaca: its seeds differ in judge"]


def graded_text(results: Path, monkeypatch: pytest.MonkeyPatch, **again: float) -> list[str]:
    """Problems of an E2E record whose answers, graded again, get these scores."""
    run = text_run("e2e", "vblora-all")
    path = results / f"runs/tiny/{run.run_id}.answers.jsonl"
    header = {"family": "e2e", "task": "e2e", "metric": "bleu", "version": 1}
    row = {"index": 0, "group": "e2e", "source": "a", "references": ["b"], "prediction": "b"}
    digest = answers.write(path, header, [row])
    write(results, RunRecord(**{**vars(run), "outcome": {**(run.outcome or {}), "answers_sha256": digest}}))
    monkeypatch.setattr(answers, "grade", lambda _: again)
    return problems(results)


def test_texts_are_graded_again_and_meteor_may_need_java(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: dict[str, float] = dict((text_run("e2e", "vblora-all").outcome or {})["scores"])
    assert graded_text(results, monkeypatch, **scores) == []
    without = {name: value for name, value in scores.items() if name != "meteor"}
    assert graded_text(results, monkeypatch, **without) == []
    assert "graded again it gives" in graded_text(results, monkeypatch, **scores | {"meteor": 0.3})[0]
    assert "graded again it gives" in graded_text(results, monkeypatch, bleu=scores["bleu"])[0]
