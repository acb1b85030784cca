"""Tests of experiments/report/sameness.py: one kind of runs in each cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_records import cell, outcome, record, write_all

from experiments import records
from experiments.records import Found, RunRecord
from experiments.report import finding, grid, sameness, status, table_text
from experiments.report.grid import RowKey
from experiments.report.paper_table import PaperTable

QV = RowKey("tiny_roberta", "vblora", "qv")
CONFIG: dict[str, Any] = {
    "task": {"name": "cola"},
    "data": {"source": "local", "root": "glue", "max_length": 64, "padding": "longest"},
    "model": {"source": "local", "path": "mine"},
    "method": {"options": {"topk": 2}},
    "targets": {"modules": ["query"]},
    "optim": {"epochs": 3},
    "scale": {"num_threads": 1},
}


def run(seed: int, config: Mapping[str, Any] = CONFIG, finished_at: str = "", **measured: Any) -> RunRecord:
    return record(
        f"glue/cola/tiny_roberta/vblora-qv/seed{seed}",
        config={**config, "seed": seed},
        outcome=outcome() | measured,
        circumstances={"finished_at": finished_at},
    )


def changed(group: str, **values: Any) -> dict[str, Any]:
    return {**CONFIG, group: {**CONFIG[group], **values}}


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (run(1, changed("data", max_length=128)), "settings of data"),
        (run(1, changed("data", standardise_targets=True)), "settings of data"),
        (run(1, changed("scale", num_threads=2)), "settings of scale"),
        (run(1, changed("optim", epochs=4)), "settings of optim"),
        (run(1, data={"sha256": "0"}), "data"),
        (run(1, task_version=2), "version of the task"),
        (run(1, model_fingerprint="0"), "backbone"),
    ],
)
def test_what_differs_is_named(other: RunRecord, name: str) -> None:
    assert sameness.differences(run(0), other) == [name]


def test_run_that_ended_in_the_future_does_not_decide_what_counts() -> None:
    older = [run(seed, finished_at="2099-01-01T00:00:00+00:00") for seed in (0, 1)]
    newer = run(2, changed("optim", epochs=4), finished_at="2026-01-31T00:00:00+00:00")
    kept, left_out = sameness.separate(Found([*older, newer], []))
    assert kept == [newer] and len(left_out) == 2
    wrong = run(3, changed("optim", epochs=4), finished_at="no time")
    assert not sameness.is_in_future(wrong) and not sameness.is_in_future(run(4))


def test_seeds_and_names_of_folders_may_differ() -> None:
    assert sameness.differences(run(0), run(1)) == []
    assert sameness.differences(run(0), run(0, changed("data", root="elsewhere"))) == []
    assert sameness.differences(run(0), run(0, changed("model", path="elsewhere"))) == []


# Fails if the place is compared beside what was found there.
def test_hub_and_folder_may_differ_where_the_content_is_one() -> None:
    hub = {**CONFIG, "data": {**CONFIG["data"], "source": "hub", "root": None, "revision": "main"}}
    hub |= {"model": {"source": "hub", "path": "org/mine", "revision": None}}
    assert sameness.differences(run(0), run(1, hub)) == []
    assert sameness.differences(run(0), run(1, hub, model_fingerprint="0")) == ["backbone"]
    made_here = changed("data", source="synthetic")
    assert sameness.differences(run(0), run(1, made_here)) == ["settings of data"]


def test_a_shared_bank_may_be_another_for_each_seed() -> None:
    own, shared, other = (
        changed("method", options={"rank": 4} | bank) for bank in ({}, {"bank": "a"}, {"bank": "b"})
    )
    assert sameness.differences(run(0, shared), run(1, other)) == []
    assert sameness.differences(run(0, own), run(1, other)) == ["settings of method"]


def test_weights_that_were_never_pretrained_differ_by_seed() -> None:
    scratch = changed("model", source="scratch")
    assert sameness.differences(run(0, scratch), run(1, scratch, model_fingerprint="0")) == []


def test_the_projects_newer_runs_do_not_push_out_the_users(tmp_path: Path) -> None:
    write_all([run(0, finished_at="2026-01-01", model_fingerprint="mine")], tmp_path / "mine")
    write_all([run(seed, finished_at="2026-02-02") for seed in (0, 1, 2)], tmp_path / "theirs")
    kept, left_out = sameness.separate(finding.every([tmp_path / "mine", tmp_path / "theirs"], "tiny"))
    assert kept == [run(0, finished_at="2026-01-01", model_fingerprint="mine")]
    assert left_out == []


def test_the_same_kind_under_both_roots_stays_together(tmp_path: Path) -> None:
    write_all([run(0)], tmp_path / "mine")
    write_all([run(1), run(2)], tmp_path / "theirs")
    found = records.find([tmp_path / "mine", tmp_path / "theirs"], "tiny")
    assert sameness.separate(found) == (found.records, [])


def test_without_own_runs_the_newest_is_the_measure() -> None:
    made = [
        run(0, finished_at="2026-01-02"),
        run(1, finished_at="2026-01-01", task_version=0),
        run(2, finished_at="2026-01-01"),
    ]
    kept, _ = sameness.separate(Found(made, []))
    assert [each.identity.seed for each in kept] == [0, 2]


def test_table_shows_one_kind_and_names_the_others() -> None:
    made = cell("vblora-qv", "rte", [0.5]) + [run(0), run(1, task_version=0), run(2)]
    table = PaperTable(Found(made, []), "tiny")
    assert table.cells.by_row[QV].samples["cola"].scores.keys() == {0, 2}
    notes = table_text.scores(table).notes
    assert notes[-1] == "Left out: 1 run unlike the others of its cell; make status lists them."
    away, measure = (f"glue/cola/tiny_roberta/vblora-qv/seed{seed}" for seed in (1, 2))
    listed = status.status(Found(made, []), grid.load("tiny")).notes
    assert f"Not in a table: {away}: unlike {measure} in version of the task" in listed
