import errno
import hashlib
import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_world import make, overrides

from experiments import claims, pipeline, records
from experiments.claims import BusyError, ClaimError
from experiments.composing import load
from experiments.config import Config


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def parts(world: Path, tmp_path_factory: pytest.TempPathFactory) -> pipeline.Parts:
    """What one real run finds."""
    return pipeline.work(small(world, tmp_path_factory.mktemp("parts")))


@pytest.fixture
def quick(parts: pipeline.Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs find what that one found, without training."""
    monkeypatch.setattr(pipeline, "work", lambda cfg: found(cfg, parts))


def found(cfg: Config, parts: pipeline.Parts) -> pipeline.Parts:
    """Leave answers as `work` does."""
    text = f"of seed {cfg.seed}"
    claims.new_answers_path(cfg).write_text(text, encoding="utf-8")
    return parts[0] | {"answers_sha256": hashlib.sha256(text.encode()).hexdigest()}, parts[1]


def small(world: Path, out: Path, *more: str, method: str = "vblora") -> Config:
    return load(overrides(world, out, method, "qv", "task=stsb", *more))


def breaks(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[object]:
    """Let training raise; returns the calls made."""
    calls: list[object] = []

    def stop(*_: object, **__: object) -> None:
        calls.append(error)
        raise error

    monkeypatch.setattr(pipeline.training, "train", stop)
    return calls


def test_two_jobs_in_one_process_give_the_records_that_each_gives_alone(world: Path, tmp_path: Path) -> None:
    jobs = [("vblora", "seed=1"), ("lora", "seed=2")]
    together = [pipeline.run(small(world, tmp_path / "a", seed, method=m)).outcome for m, seed in jobs]
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        alone = [pool.apply(outcome_of, (world, tmp_path / "b", m, seed)) for m, seed in jobs]
    assert json.dumps(together) == json.dumps(alone)
    assert together[0] != together[1]


def outcome_of(world: Path, out: Path, method: str, seed: str) -> Any:
    return pipeline.run(small(world, out, seed, method=method)).outcome


def test_seed_decides_the_outcome(world: Path, tmp_path: Path) -> None:
    outcomes = [pipeline.run(small(world, tmp_path, f"seed={n}")).outcome for n in (0, 1)]
    assert outcomes[0]["history"] != outcomes[1]["history"]
    torch.manual_seed(99)
    assert pipeline.run(small(world, tmp_path, "force=true")).outcome == outcomes[0]


def test_finished_run_is_skipped_and_force_repeats_it(world: Path, tmp_path: Path, quick: None) -> None:
    first = pipeline.run(small(world, tmp_path))
    path = claims.record_path(small(world, tmp_path))
    before = path.stat().st_mtime_ns
    assert pipeline.run(small(world, tmp_path)) == first and path.stat().st_mtime_ns == before
    again = pipeline.run(small(world, tmp_path, "force=true"))
    assert path.stat().st_mtime_ns != before and again.outcome == first.outcome


def test_record_with_another_hash_is_never_replaced_unless_told(
    world: Path, tmp_path: Path, quick: None
) -> None:
    first = pipeline.run(small(world, tmp_path))
    with pytest.raises(ClaimError, match=r"optim.epochs 2 there, 3 here.*force=true.*variant=<name>"):
        pipeline.run(small(world, tmp_path, "optim.epochs=3"))
    assert records.read(claims.record_path(small(world, tmp_path))) == first
    assert pipeline.run(small(world, tmp_path, "optim.epochs=3", "force=true")).hash != first.hash


def test_a_folder_is_known_by_its_content_not_by_its_name(world: Path, tmp_path: Path, quick: None) -> None:
    pipeline.run(small(world, tmp_path))
    (tmp_path / "other").symlink_to(world / "model")
    assert claims.finished(small(world, tmp_path, f"model.path={tmp_path}/other")) is not None
    shutil.copytree(world / "model", tmp_path / "changed/model")
    (tmp_path / "changed/model/vocab.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ClaimError, match=r"versions.backbone"):
        pipeline.run(small(world, tmp_path, f"model.path={tmp_path}/changed/model"))


@pytest.mark.parametrize("repeat", [False, True])
def test_killed_right_after_its_record_a_run_is_put_in_order(
    world: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, repeat: bool
) -> None:
    cfg = small(world, tmp_path)
    if repeat:
        pipeline.run(cfg)
        claims.answers_path(cfg).write_text("older", encoding="utf-8")

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(claims, "settle", die)
        pipeline.run(small(world, tmp_path, "force=true") if repeat else cfg)
    claims.checkpoint_dir(cfg).mkdir(parents=True)
    assert claims.finished(cfg) is not None and not claims.is_settled(cfg)
    pipeline.run(cfg)
    assert claims.is_settled(cfg) and claims.answers_path(cfg).read_text(encoding="utf-8") == "of seed 0"


def test_answers_of_a_repeat_killed_early_are_dropped(world: Path, tmp_path: Path, quick: None) -> None:
    cfg = small(world, tmp_path)
    pipeline.run(cfg)
    claims.new_answers_path(cfg).write_text("half", encoding="utf-8")
    pipeline.run(cfg)
    assert claims.answers_path(cfg).read_text(encoding="utf-8") == "of seed 0" and claims.is_settled(cfg)


def test_damaged_record_is_named_with_what_to_do(world: Path, tmp_path: Path) -> None:
    cfg = small(world, tmp_path)
    claims.record_path(cfg).parent.mkdir(parents=True)
    claims.record_path(cfg).write_text('{"schema_version": 1, "run', encoding="utf-8")
    with pytest.raises(ClaimError, match=r"seed0.json.*damaged.*force=true"):
        pipeline.run(cfg)


def test_failing_run_leaves_a_failed_record_and_gives_way_to_the_next(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = small(world, tmp_path)
    with monkeypatch.context() as patch:
        breaks(patch, RuntimeError("the loss is nan"))
        record = pipeline.run(cfg)
    assert (record.status, record.outcome) == ("failed", None)
    assert record.error is not None
    assert (record.error["type"], record.error["message"]) == ("RuntimeError", "the loss is nan")
    assert "in stop" in record.error["traceback"]
    assert records.read(claims.record_path(cfg)) == record
    assert pipeline.run(cfg).status == "success"


def test_ctrl_c_leaves_a_cancelled_record_and_stops_the_caller(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = small(world, tmp_path)
    breaks(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(cfg)
    record = records.read(claims.record_path(cfg))
    assert (record.status, record.error) == ("cancelled", None)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_broken_repeat_keeps_the_finished_record(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    first = pipeline.run(small(world, tmp_path))
    breaks(monkeypatch, error)
    try:
        assert pipeline.run(small(world, tmp_path, "force=true")).status == "failed"
    except KeyboardInterrupt:
        assert isinstance(error, KeyboardInterrupt)
    assert records.read(claims.record_path(small(world, tmp_path))) == first


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_repeat_that_cannot_write_its_record_keeps_the_old_answers(
    world: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    pipeline.run(small(world, tmp_path))
    path = claims.answers_path(small(world, tmp_path))
    path.write_text("the first", encoding="utf-8")

    def refuse(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(records, "write", refuse)
        patch.setattr(claims, "holds_result", lambda cfg: False)
        pipeline.run(small(world, tmp_path, "force=true"))
    assert path.read_text(encoding="utf-8") == "the first"
    pipeline.run(small(world, tmp_path, "force=true"))
    assert path.read_text(encoding="utf-8") == "of seed 0"
    assert not claims.new_answers_path(small(world, tmp_path)).exists()


def test_full_disk_is_an_error_that_names_it_and_leaves_no_part_of_a_record(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cfg = small(world, tmp_path)
    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pipeline.run(cfg)
    assert not list((tmp_path / "runs").rglob("*.json*"))


def test_results_folder_that_cannot_be_written_stops_the_run_before_it_trains(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = breaks(monkeypatch, AssertionError("it trained"))
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(OSError, match="runs"):
        pipeline.run(small(world, tmp_path))
    assert not calls


def test_run_is_held_by_one_process_at_a_time(world: Path, tmp_path: Path, quick: None) -> None:
    cfg = small(world, tmp_path)
    with claims.claim(cfg) as finished:
        assert finished is None
        with pytest.raises(BusyError, match="another process is running it"):
            pipeline.run(cfg)
    assert pipeline.run(cfg).status == "success"


def test_threads_are_as_configured_and_afterwards_as_before(
    world: Path, tmp_path: Path, parts: pipeline.Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(
        pipeline, "work", lambda cfg: seen.append(torch.get_num_threads()) or found(cfg, parts)
    )
    record = pipeline.run(small(world, tmp_path, "scale.num_threads=2"))
    assert seen == [2] and record.circumstances["num_threads"] == 2 and torch.get_num_threads() == before


def test_record_says_when_where_and_with_what(world: Path, tmp_path: Path) -> None:
    cfg = small(world, tmp_path)
    about = pipeline.run(cfg).circumstances
    assert about["started_at"] <= about["finished_at"] and about["total_seconds"] > about["train_seconds"] > 0
    assert about["versions"]["torch"] == torch.__version__ and about["python"].startswith("3.")
    assert len(about["git_commit"] or "0" * 40) == 40 and about["device"] and about["tracker_url"] is None
    assert not claims.checkpoint_dir(cfg).exists(), "checkpoints go when the record is safe"
