import json
from dataclasses import asdict

import pytest

from experiments import progress, sweeps
from experiments.progress import Outcome
from experiments.sweeps import Watcher


def line(run_id: str) -> str:
    return json.dumps(asdict(Outcome(run_id, "success"))) + "\n"


def test_line_that_is_half_written_waits_for_its_end(tmp_path):
    seen: list[Outcome] = []
    watcher = Watcher(tmp_path / "outcomes.jsonl", seen.append)
    watcher.look()
    for text, count in ((line("a") + line("b")[:20], 1), (line("a") + line("b"), 2)):
        watcher.path.write_text(text, encoding="utf-8")
        watcher.look()
        watcher.look()
        assert len(seen) == count
    assert [outcome.run_id for outcome in seen] == ["a", "b"]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of two jobs, of which one says how it ended."""
    monkeypatch.setattr(progress.display, "outcomes", [])
    monkeypatch.setattr(sweeps, "_sweep", sweeps._Sweep(tmp_path, 2))
    monkeypatch.setattr(sweeps, "_closed", None)
    progress.report(Outcome("a", "success"), tmp_path)


def test_job_without_an_outcome_is_lost(sweep, capsys):
    assert sweeps.lost() == 0
    sweeps.close()
    assert sweeps.lost() == 1 and not sweeps.complete()
    out = capsys.readouterr().out
    assert "2 runs: 1 success, 1 without an outcome" in out and "the same command goes on" in out


def test_outcomes_of_an_earlier_sweep_in_the_same_folder_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(progress.display, "outcomes", [])
    progress.report(Outcome("old", "success"), tmp_path)
    monkeypatch.setattr(sweeps, "_sweep", sweeps._Sweep(tmp_path, 1))
    progress.report(Outcome("new", "success"), tmp_path)
    sweeps.close()
    assert [outcome.run_id for outcome in progress.display.outcomes] == ["new"]


def test_busy_run_neither_failed_nor_is_finished(sweep, tmp_path):
    progress.report(Outcome("b", "busy"), tmp_path)
    sweeps.close()
    assert [outcome.run_id for outcome in progress.display.busy()] == ["b"]
    assert not progress.display.failures() and not sweeps.lost() and not sweeps.complete()
