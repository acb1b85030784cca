"""Tests of experiments/report/tables.py: thousands of records, and the files in results/tables."""

import os
import time
from pathlib import Path

import pytest
from made_records import whole_row, write_all

from experiments import records
from experiments.report import checks, tables
from experiments.report.paper_table import PaperTable

RESULTS = Path(__file__).resolve().parents[3] / "results"
MODELS = {"tiny": "tiny_roberta", "paper": "roberta_base"}
LONGEST = 60  # seconds, for 3,030 files; about 5 are needed


@pytest.mark.parametrize("scale", MODELS)
def test_thousands_of_runs_take_seconds(scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it takes longer than all the rest
    rows = ["lora-qv", *(f"vblora-qv-k{n}" for n in range(100))]
    made = [each for row in rows for each in whole_row(row, 0.5, 5, scale=scale, model=MODELS[scale])]
    write_all(made, tmp_path)
    start = time.perf_counter()
    written = tables.texts(tables.of_family(PaperTable(records.find([tmp_path], scale), scale)))
    assert time.perf_counter() - start < LONGEST
    assert all("k99" in text for text in written.values())


@pytest.mark.parametrize("scale", sorted(path.name for path in (RESULTS / "tables").iterdir()))
def test_committed_tables_are_what_the_projects_records_give(scale: str) -> None:
    assert checks.problems([RESULTS / "reference"], RESULTS / "tables", scale) == []
