"""Tests of experiments/report/tables.py: thousands of records, and the project's own table files."""

import os
import time
from pathlib import Path

import pytest
from made_records import whole_row, write_all

from experiments import records
from experiments.report import checks, finding, tables
from experiments.report.paper_table import PaperTable

REFERENCE = Path(__file__).resolve().parents[3] / "results" / "reference"
SCALES = sorted(path.name for path in REFERENCE.iterdir())
MODELS = {"tiny": "tiny_roberta", "paper": "roberta_base"}
LONGEST = 60  # seconds of the processor, for 3,030 files; about 5 are needed


@pytest.mark.parametrize("scale", MODELS)
def test_thousands_of_runs_take_seconds(scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it takes longer than all the rest
    rows = ["lora-qv", *(f"vblora-qv-k{n}" for n in range(100))]
    made = [each for row in rows for each in whole_row(row, 0.5, 5, scale=scale, model=MODELS[scale])]
    write_all(made, tmp_path)
    start = time.process_time()
    written = tables.texts(tables.of_family(PaperTable(records.find([tmp_path], scale), scale)))
    assert time.process_time() - start < LONGEST
    assert all("k99" in text for text in written.values())


@pytest.mark.parametrize("scale", SCALES)
def test_committed_tables_are_what_the_projects_records_give(scale: str) -> None:
    folder = tables.reference_folder(REFERENCE, scale)
    assert any(folder.iterdir())
    assert checks.problems([REFERENCE], scale) == []
    assert checks.stale_tables([REFERENCE], folder, scale) == []


@pytest.mark.parametrize("scale", SCALES)
def test_every_table_of_the_projects_records_is_kept(scale: str) -> None:
    made = tables.of_scale(finding.every([REFERENCE], scale), [REFERENCE], scale)
    kept = {path.stem for path in tables.reference_folder(REFERENCE, scale).iterdir()}
    assert {sheet.name for sheet in made} == kept
