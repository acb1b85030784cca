import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from small_world import make, overrides

from experiments import bars, claims, pipeline, progress, records, run, sweeps
from experiments.composing import load
from experiments.progress import Display, Outcome

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(progress.display, "outcomes", [])


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    progress.display.outcomes.clear()
    with pytest.raises(SystemExit) as ended:
        run.main()
    return int(ended.value.code or 0)


def words(world: Path, tmp_path: Path, *more: str) -> list[str]:
    """A command line without its task; CoLA is there, SST-2 is not."""
    plain = overrides(world, tmp_path, "head", "none", *more)
    return [word for word in plain if not word.startswith("task=")]


def test_single_run_says_where_its_record_is_and_leaves_nothing_else(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *words(world, tmp_path), "task=cola") == 0
    out = capsys.readouterr().out
    path = tmp_path / "runs/minilm/glue/cola/minilm/head-none-small/seed0.json"
    assert out.startswith("success glue/cola/minilm/head-none-small/seed0") and str(path) in out
    assert records.read(path).status == "success"
    assert "\x1b" not in out and len(out.splitlines()) == 1, "quiet where there is no terminal"
    assert not list((tmp_path / "here").iterdir())
    assert call(monkeypatch, *words(world, tmp_path), "task=cola") == 0
    assert capsys.readouterr().out.startswith("skipped glue/cola")


def test_failing_run_exits_with_1_and_the_first_line_of_its_error(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *words(world, tmp_path), "task=sst2") == 1
    out = capsys.readouterr().out
    assert out.startswith("failed  glue/sst2/minilm/head-none-small/seed0") and "DataError: " in out
    assert (
        records.read(tmp_path / "runs/minilm/glue/sst2/minilm/head-none-small/seed0.json").status == "failed"
    )


def test_impossible_configuration_exits_with_1_and_all_problems_before_anything_is_loaded(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "run", None)
    assert (
        call(monkeypatch, *words(world, tmp_path), "task=cola", "optim.bank_lr=1", "optim.batch_size=0") == 1
    )
    out = capsys.readouterr().out
    assert "2 problems" in out and "bank_lr" in out and "batch_size" in out
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_check_runs_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola,stsb", "check=true") == 0
    assert "2 runs: 2 checked" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_sweep_goes_on_after_a_failure_sums_up_and_exits_with_1(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=sst2,cola", "seed=0,1") == 1
    out = capsys.readouterr().out
    summary = out[out.index("4 runs: 2 success, 2 failed") :]
    assert summary.count("DataError: ") == 2 and "head-none-small/seed1.json" in summary
    assert not list((tmp_path / "here").iterdir())
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola", "seed=0,1") == 0
    assert capsys.readouterr().out == "2 runs: 2 skipped\n"


def test_forced_sweep_repeats_every_time(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola", "seed=0,1", "force=true") == 0
        assert "2 runs: 2 success" in capsys.readouterr().out


def test_run_of_another_process_is_no_success(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words(world, tmp_path), "task=cola"]
    with claims.claim(load(asked)):
        assert call(monkeypatch, "-m", *asked, "seed=0,1") == 1
    out = capsys.readouterr().out
    assert "2 runs: 1 success, 1 busy" in out
    assert out.endswith("1 runs belong to another process; call again when it is done\n")


def test_sweep_that_loses_an_outcome_exits_with_1(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "report", lambda outcome, sweep_dir: None)
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola", "seed=0,1", "check=true") == 1
    assert "2 without an outcome" in capsys.readouterr().out


def test_several_processes_for_a_sweep_are_refused(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola", "seed=0,1") == 1
    assert "a sweep (-m) was started by 2 processes" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_stops_the_sweep(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.training, "train", interrupt)
    assert call(monkeypatch, "-m", *words(world, tmp_path), "task=cola", "seed=0,1") == 130
    captured = capsys.readouterr()
    assert "2 runs: 2 without an outcome" in captured.out and "cancelled" in captured.err
    (path,) = (tmp_path / "runs").rglob("*.json")
    assert records.read(path).status == "cancelled"


def test_joblib_sweep_in_two_processes_gives_the_records_of_a_plain_one(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parallel = ["launcher=joblib", "hydra.launcher.n_jobs=2"]
    grid = ["task=cola,stsb,sst2", "seed=3"]
    assert call(monkeypatch, "-m", *words(world, tmp_path / "two"), *parallel, *grid) == 1
    assert "3 runs: 2 success, 1 failed" in capsys.readouterr().out
    assert call(monkeypatch, "-m", *words(world, tmp_path / "one"), *grid) == 1
    found = [
        {r.run_id: (r.hash, r.outcome) for r in records.find([tmp_path / n / "runs"], "minilm").records}
        for n in ("two", "one")
    ]
    assert len(found[0]) == 3 and json.dumps(found[0]) == json.dumps(found[1])


def test_misspelt_key_is_readable_and_runs_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *words(world, tmp_path), "task=cola", "optim.haed_lr=1") == 1
    err = capsys.readouterr().err
    assert "optim.haed_lr" in err and "Traceback" not in err


def test_run_killed_in_the_middle_goes_on_where_it_was(world: Path, tmp_path: Path) -> None:
    more = ["task=stsb", "optim.epochs=60", "seed=5"]
    whole = pipeline.run(load(overrides(world, tmp_path / "whole", "lora", "qv", *more)))
    asked = overrides(world, tmp_path / "killed", "lora", "qv", *more, "paths.save_seconds=0")
    command = [sys.executable, "-m", "experiments.run", *asked]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(PROJECT)})
    cfg = load(asked)
    kept, deadline = claims.checkpoint_dir(cfg), time.monotonic() + 120
    while not list(kept.glob("checkpoint-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = pipeline.run(cfg)
    assert resumed.circumstances["num_resumes"] == 1, "the dead process's lock is free, its checkpoint used"
    assert resumed.outcome == whole.outcome and resumed.hash == whole.hash


def test_bars_show_on_a_terminal_only() -> None:
    shown = Display(Console(file=io.StringIO(), force_terminal=True))
    shown.start()
    assert shown.add("sweep", 3) is not None
    shown.note(Outcome("glue/x", "success"))
    shown.stop()
    hidden = Display(Console(file=io.StringIO()))
    hidden.start()
    assert hidden.add("sweep", 3) is None and bars.callbacks("a run") == []


def test_sweep_counts_its_jobs_as_hydra_does(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted: list[int] = []

    def count(config: object, honest: Callable[[object], int] = sweeps.num_jobs) -> int:
        counted.append(honest(config))
        return counted[-1]

    monkeypatch.setattr(sweeps, "num_jobs", count)
    more = [
        "experiment=glue",
        "row=head,vblora_qv",
        "task=cola,stsb",
        "model=tiny_roberta,tiny_scratch",
        "check=true",
    ]
    assert call(monkeypatch, "-m", *more) == 0
    assert counted == [1 * 2 * 2 * 2] and len(progress.display.outcomes) == 8


def test_a_glob_is_counted_and_its_failures_are_told(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [*words(world, tmp_path), "check=true", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert call(monkeypatch, "-m", "task=glob(*,exclude=[alpaca,e2e,metamath])", *plain) == 0
    assert "6 runs: 6 checked" in capsys.readouterr().out
    assert call(monkeypatch, "-m", "task=glob(c*)", *plain, "optim.batch_size=0") == 1
    assert "1 runs: 1 failed" in capsys.readouterr().out


def test_a_sweep_that_nobody_watched_is_no_success(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweeps, "num_jobs", None)  # Hydra only logs what a callback raises
    plain = [*words(world, tmp_path), "check=true", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert call(monkeypatch, "-m", "task=cola", *plain) == 1
    assert "nobody knows how its runs ended" in capsys.readouterr().err


def test_misspelt_words_come_all_at_once_with_their_choices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "task=colla", "optim.epoch=3") == 1
    out = capsys.readouterr().err
    assert "2 problems" in out and "did you mean cola?" in out and "did you mean epochs?" in out


def test_names_that_make_no_run_id_come_with_all_other_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "seed=-1", "optim.batch_size=-2") == 1
    out = capsys.readouterr().out
    assert "seed: -1" in out and "optim.batch_size: -2" in out
