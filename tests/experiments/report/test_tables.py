"""Tests of experiments/report/tables.py: thousands of records."""

import os
import time
from pathlib import Path

import pytest
from made_records import whole_row, write_all

from experiments import records
from experiments.report import tables
from experiments.report.table1 import Table1

MODELS = {"tiny": "tiny_roberta", "paper": "roberta_base"}
LONGEST = 60  # seconds, for 3,030 files; about 5 are needed


@pytest.mark.parametrize("scale", MODELS)
def test_thousands_of_runs_take_seconds(scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it takes longer than all the rest
    rows = ["lora-qv", *(f"vblora-qv-k{n}" for n in range(100))]
    made = [each for row in rows for each in whole_row(row, 0.5, 5, scale=scale, model=MODELS[scale])]
    write_all(made, tmp_path)
    start = time.perf_counter()
    written = tables.texts(Table1(records.find([tmp_path], scale), scale))
    assert time.perf_counter() - start < LONGEST
    assert all("k99" in text for text in written.values())
