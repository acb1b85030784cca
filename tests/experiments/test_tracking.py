import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_world import make, overrides
from wandb.proto import wandb_internal_pb2

from experiments import pipeline, tracking
from experiments.composing import load
from experiments.config import ConfigError
from experiments.tracking import TrackingWarning

BLOCK = 2**15


def offline_runs(cache: Path) -> list[Path]:
    return sorted((cache / "wandb").glob("offline-run-*/*.wandb"))


def messages(path: Path) -> Iterator[bytes]:
    """The messages of a .wandb file: LevelDB's log format after a header of 7 bytes.

    Blocks of 32 KiB hold chunks: checksum (4 bytes), length (2), kind (1 whole, 2 first, 3 middle, 4 last).
    """
    data, position, message = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:  # a block's last bytes are zeros if no chunk fits
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        message += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield message
            message = b""


def read(path: Path) -> dict[str, Any]:
    """What an offline run holds: identity, last config and summary, all of the history, exit code."""
    found: dict[str, Any] = {"config": {}, "summary": {}, "history": []}
    for data in messages(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
            found["config"] |= values(record.run.config.update)
        elif kind == "config":
            found["config"] |= values(record.config.update)
        elif kind == "summary":
            found["summary"] |= values(record.summary.update)
        elif kind == "history":
            found["history"].append(values(record.history.item))
        elif kind == "exit":
            found["exit_code"] = record.exit.exit_code
    return found


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_offline_run_holds_identity_curves_and_scores(tmp_path: Path) -> None:
    more = ["tracker=wandb", "optim.epochs=1", "optim.batch_size=20"]
    world = make(tmp_path / "world")
    record = pipeline.run(load(overrides(world, tmp_path, "vblora", "qv", *more)))
    assert record.status == "success", record.error
    assert record.circumstances["tracker_url"] is None

    (path,) = offline_runs(tmp_path / "cache")
    run = read(path)
    assert run["run"].display_name == record.run_id == "glue/cola/minilm/vblora-qv-small/seed0"
    assert run["run"].run_group == "glue/cola/minilm/vblora-qv-small" and run["run"].job_type == "vblora-qv"
    assert {"minilm", "glue", "cola", "vblora-qv", "small"} <= set(run["run"].tags)
    assert run["config"]["run"] == record.config

    keys = {key for row in run["history"] for key in row}
    assert {
        "train/loss",
        "train/grad_norm",
        "train/learning_rate",
        "eval/matthews",
        "train/global_step",
    } <= keys
    scores = [row["eval/matthews"] for row in run["history"] if "eval/matthews" in row]
    assert record.outcome is not None
    assert scores == [epoch["scores"]["matthews"] for epoch in record.outcome["history"]]
    assert run["summary"]["best/matthews"] == record.outcome["scores"]["matthews"]
    assert run["summary"]["stored_params"] == record.outcome["stored_params"]
    assert run["exit_code"] == 0


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


def test_tracking_changes_no_outcome(tmp_path: Path) -> None:
    world = make(tmp_path / "world")
    records = [
        pipeline.run(
            load(overrides(world, tmp_path / tracker, "lora", "qv", f"tracker={tracker}", "task=stsb"))
        )
        for tracker in ("none", "wandb")
    ]
    assert records[0].outcome == records[1].outcome and records[0].hash == records[1].hash


def test_without_wandb_the_tracker_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="wandb is not installed.*tracker=none"):
        load(["tracker=wandb"])
    assert load(["tracker=none"])
