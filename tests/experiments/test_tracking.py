import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from offline_runs import offline_runs, read
from small_world import make, overrides

from experiments import pipeline, tracking
from experiments.composing import load
from experiments.config import ConfigError
from experiments.records import RunRecord
from experiments.tracking import TrackingWarning
from experiments.wandb_run import WandbTracker, artifact_name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run of VB-LoRA with everything shown was made."""
    return tmp_path_factory.mktemp("tracked")


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    more = ["optim.epochs=2", "optim.batch_size=20", "tracker=wandb", "tracker.adapters=true"]
    words = overrides(make(folder / "world"), folder, "vblora", "qv", *more, f"paths.adapters={folder}/left")
    found = pipeline.run(load(words))
    assert found.status == "success", found.error
    return found


@pytest.fixture(scope="module")
def run(record: RunRecord, folder: Path) -> dict[str, Any]:
    (path,) = offline_runs(folder / "cache")
    return read(path)


def test_run_says_which_it_is_by_one_scheme(record: RunRecord, run: dict[str, Any], folder: Path) -> None:
    words = {"family": "glue", "task": "cola", "model": "minilm", "method": "vblora", "targets": "qv"}
    words |= {"scale": "minilm", "row": "vblora-qv", "variant": "small", "hash": record.hash}
    assert run["run"].display_name == record.run_id == "glue/cola/minilm/vblora-qv-small/seed0"
    assert run["run"].run_group == "minilm/glue/cola/minilm/vblora-qv-small"
    assert run["run"].job_type == "vblora-qv"
    assert list(run["run"].tags) == ["minilm", "glue", "cola", "vblora-qv", "small"]
    assert {key: run["config"][key] for key in words} == words and run["config"]["seed"] == 0
    assert run["config"]["run"] == record.config
    (path,) = offline_runs(folder / "cache")
    assert "glue.cola.minilm.vblora-qv-small.seed0." in path.parent.name
    assert record.circumstances["tracker_url"] is None and run["exit_code"] == 0


def test_curves_are_those_of_the_trainer(record: RunRecord, run: dict[str, Any]) -> None:
    keys = {key for row in run["history"] for key in row}
    trainers = {"loss", "grad_norm", "learning_rate", "global_step", "epoch"}
    assert {f"train/{key}" for key in trainers} | {"eval/matthews"} <= keys
    scores = [row["eval/matthews"] for row in run["history"] if "eval/matthews" in row]
    assert record.outcome is not None
    assert scores == [epoch["scores"]["matthews"] for epoch in record.outcome["history"]]


def test_summary_holds_the_numbers_of_the_record(record: RunRecord, run: dict[str, Any]) -> None:
    assert record.outcome is not None
    known = {**record.circumstances, **record.outcome}
    assert run["summary"]["best/matthews"] == record.outcome["scores"]["matthews"]
    assert run["summary"]["last/matthews"] == record.outcome["last_scores"]["matthews"]
    assert {key: run["summary"][key] for key in tracking.SUMMARY} == {k: known[k] for k in tracking.SUMMARY}


def test_selections_are_shown_as_an_image_at_the_last_step(
    record: RunRecord, run: dict[str, Any], folder: Path
) -> None:
    row = run["history"][-1]
    assert record.outcome is not None and row[tracking.STEP] == record.outcome["num_steps"]
    (path,) = offline_runs(folder / "cache")
    image = path.parent / "files" / row[f"{tracking.FOOTPRINT}/path"]
    assert image.read_bytes().startswith(b"\x89PNG")


def test_adapter_becomes_an_artifact_that_says_whose_it_is(
    record: RunRecord, run: dict[str, Any], folder: Path
) -> None:
    (artifact,) = run["artifacts"]
    assert (artifact.type, artifact.name) == ("model", "minilm.glue.cola.minilm.vblora-qv-small.seed0")
    assert record.outcome is not None
    assert json.loads(artifact.metadata) == {
        "run_id": record.run_id,
        "scale": "minilm",
        "hash": record.hash,
        "scores": record.outcome["scores"],
        "stored_bytes": record.outcome["stored_bytes"],
        "stored_params": record.outcome["stored_params"],
    }
    left = folder / "left" / "minilm" / record.run_id
    files = {str(path.relative_to(left)) for path in left.rglob("*") if path.is_file()}
    assert {entry.path for entry in artifact.manifest.contents} == files and files
    kept = {entry.path: Path(entry.local_path).read_bytes() for entry in artifact.manifest.contents}
    assert kept == {name: (left / name).read_bytes() for name in files}


def test_adapter_as_an_artifact_needs_a_tracker_and_a_folder() -> None:
    for words in (["tracker=wandb"], ["tracker=none", "paths.adapters=x"]):
        with pytest.raises(ConfigError, match="tracker.adapters: needs tracker=wandb, and paths.adapters="):
            load(["tracker.adapters=true", *words])


def test_long_names_are_cut_where_wandb_takes_none(tmp_path: Path) -> None:
    variant = "v" * 200
    cfg = load(["tracker=wandb", "optim.epochs=1", f"variant={variant}", f"paths.cache={tmp_path}"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrackingWarning)
        with tracking.tracked(cfg) as tracker:
            assert isinstance(tracker, WandbTracker)
    (path,) = offline_runs(tmp_path)
    assert read(path)["run"].display_name.endswith(f"{variant}/seed0")
    about = {"scale": "tiny", "run_id": f"glue/cola/{variant}/seed0", "hash": "0123456789"}
    assert len(artifact_name(about)) == 128 and artifact_name(about).endswith(".01234567")


def test_each_job_of_a_process_has_its_own_run_and_a_failed_one_is_closed_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    world = make(tmp_path / "world")
    more = ["tracker=wandb", "optim.epochs=1", "optim.batch_size=20"]
    pipeline.run(load(overrides(world, tmp_path, "head", "none", *more)))
    monkeypatch.setattr(pipeline.training, "train", breaks)
    pipeline.run(load(overrides(world, tmp_path, "head", "none", *more, "seed=1")))
    assert wandb.run is None
    runs = [read(path) for path in offline_runs(tmp_path / "cache")]
    assert sorted((run["run"].display_name[-5:], run["exit_code"]) for run in runs) == [
        ("seed0", 0),
        ("seed1", 1),
    ]


# Fails if an error of the tracker reaches the run, whose record would then say that it failed.
@pytest.mark.parametrize(("call", "message"), [("finish", "is gone"), ("summarise", "NoneType")])
def test_a_tracker_that_breaks_late_costs_no_run(
    call: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        offline, summary = True, None

        def finish(self, exit_code: int) -> None:
            raise RuntimeError("the service is gone")

    monkeypatch.setattr(tracking, "_open", lambda cfg: Broken())
    with (
        pytest.warns(TrackingWarning, match=f"W&B: .*{message}.*; this run goes on without it"),
        tracking.tracked(load(["tracker=wandb"])) as tracker,
    ):
        if call == "summarise":
            tracker.summarise({"best/matthews": 0.5})
            monkeypatch.setattr(Broken, "finish", lambda self, exit_code: None)


@pytest.mark.parametrize("row", [("vblora", "qv", "task=cola"), ("lora", "qv", "task=stsb")])
def test_tracking_changes_no_outcome(row: tuple[str, str, str], tmp_path: Path) -> None:
    world = make(tmp_path / "world")
    records = [
        pipeline.run(load(overrides(world, tmp_path / tracker, *row, f"tracker={tracker}")))
        for tracker in ("none", "wandb")
    ]
    assert records[0].status == "success"
    assert records[0].outcome == records[1].outcome and records[0].hash == records[1].hash


DIES = """
import os, signal, subprocess, sys, time
from experiments import pipeline
from experiments.composing import load
from experiments.wandb_run import Window

log = Window.on_log

def kill_first(window, *arguments, **keywords):
    log(window, *arguments, **keywords)
    listed = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="]
    for line in subprocess.run(listed, capture_output=True, text=True).stdout.splitlines():
        if "wandb-core" in line and "defunct" not in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)
            time.sleep(1)  # until its end is known here

Window.on_log = kill_first
record = pipeline.run(load(sys.argv[1:]))
print("status", record.status, record.error)
"""


# Fails if a call of transformers' own callback to W&B is not guarded: the run then ends as failed.
@pytest.mark.slow
def test_run_goes_on_when_the_service_of_wandb_dies_in_it(tmp_path: Path) -> None:
    words = overrides(make(tmp_path / "world"), tmp_path, "vblora", "qv", "optim.epochs=4", "tracker=wandb")
    own = {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}  # not this process's
    command = [sys.executable, "-c", DIES, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert "status success None" in done.stdout, done.stderr
    in_training = re.findall(r"curves\.py.*TrackingWarning|wandb_run\.py:\d+: TrackingWarning", done.stderr)
    assert 1 <= len(in_training) <= 4, "once, and once for each thing shown at the end; not at each log"


def test_without_matplotlib_the_run_goes_on_without_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = overrides(make(tmp_path / "world"), tmp_path, "vblora", "qv", "tracker=wandb")
    with pytest.warns(TrackingWarning, match=r"matplotlib is not installed; pip install 'vblora\[figures\]'"):
        assert pipeline.run(load(words)).status == "success"


def test_without_wandb_the_tracker_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="wandb is not installed.*tracker=none"):
        load(["tracker=wandb"])
    assert load(["tracker=none"])
