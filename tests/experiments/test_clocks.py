"""A clock that jumps changes no number and no duration. A duration by `time.time` made this fail."""

import itertools
import time
from pathlib import Path

import pytest
from small_world import make, overrides

from experiments import circumstances, pipeline, records
from experiments.claims import record_path
from experiments.composing import load


def test_clock_that_jumps_changes_no_number_and_no_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(tmp_path / "world")
    steady = pipeline.run(load(overrides(world, tmp_path / "steady", "lora", "qv")))
    cfg = load(overrides(world, tmp_path / "jumps", "lora", "qv", "paths.save_seconds=0"))
    days, honest = itertools.cycle([400, -400, 0, 30_000, -10_000]), time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: honest() + 86_400 * next(days))
        moments = iter(["2099-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"])  # it ends before it starts
        patch.setattr(circumstances, "now", lambda: next(moments))
        record = pipeline.run(cfg)
    assert record.outcome == steady.outcome
    about = record.circumstances
    assert 0 < about["train_seconds"] <= about["total_seconds"] < 300
    assert 0 <= about["eval_seconds"] <= about["total_seconds"]
    assert records.read(record_path(cfg)) == record
