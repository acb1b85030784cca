"""Full disks and disks that can only be read, real ones of some KiB, and what is said about them."""

import errno
from pathlib import Path

import pytest
from disks import read_only, run_all, tmpfs
from small_world import make, overrides

from experiments import pipeline, records, storage
from experiments.composing import load

RUN = "minilm/glue/cola/minilm/lora-qv-small/seed0.json"
FREE_SPACE = "the disk or your quota is full: free some space"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


def words(world: Path, out: Path, *more: str) -> list[str]:
    return overrides(world, out, "lora", "qv", *more)


def test_full_disks_lose_nothing(world: Path, tmp_path: Path) -> None:
    clean = pipeline.run(load(words(world, tmp_path / "clean")))
    plain = words(world, tmp_path)
    no_room = words(world, tmp_path / "small", "paths.save_seconds=0")
    for folder in ("runs", "small/cache"):
        (tmp_path / folder).mkdir(parents=True)
    mounts = [tmpfs(tmp_path / "runs", 512), tmpfs(tmp_path / "small/cache", 64)]
    steps = [(plain, "full"), (plain, "free, fills"), (plain, "free"), (no_room, "")]
    begun, broken, again, small = run_all(mounts, tmp_path / "runs", steps)
    for step in (begun, broken):
        assert step["status"] == 1 and "[Errno 28] No space left on device" in step["out"], step
        assert FREE_SPACE in step["out"] and str(tmp_path / "runs") in step["out"]
    assert begun["trained"] == [], "it was told before it trained"
    assert (again["status"], again["trained"]) == (0, [1]), "it went on from its last checkpoint"
    assert records.read(tmp_path / "runs.kept" / RUN).outcome == clean.outcome
    assert small["status"] == 0 and len(small["warned"]) > 1, "checkpoints found no room, the record did"
    assert "Free disk space" in small["warned"][0]
    assert records.read(tmp_path / "small/runs" / RUN).outcome == clean.outcome


def test_disks_that_can_only_be_read_are_told_before_training_and_are_still_read(
    world: Path, tmp_path: Path
) -> None:
    plain, closed = words(world, tmp_path), words(world, tmp_path / "closed")
    pipeline.run(load(plain))
    before = (tmp_path / "runs" / RUN).read_bytes()
    (tmp_path / "closed/cache").mkdir(parents=True)
    mounts = [read_only(tmp_path / "runs"), read_only(tmp_path / "closed/cache")]
    steps = [(plain, ""), ([*plain, "seed=1"], ""), (closed, ""), (["-m", *closed], "")]
    known, new, single, sweep = run_all(mounts, tmp_path / "runs", steps)
    assert known["status"] == 0 and known["out"].startswith("skipped")
    for step, said, word in ((new, "out", "results"), (single, "out", "cache"), (sweep, "err", "cache")):
        assert step["status"] == 1 and step["trained"] == []
        assert "[Errno 30] Read-only file system" in step[said] and f"paths.{word}=FOLDER" in step[said]
        assert "Traceback" not in step["err"]
    assert (tmp_path / "runs" / RUN).read_bytes() == before


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a"), FREE_SPACE),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a"), FREE_SPACE),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "get it, or choose another folder"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "can only be read"),
        (OSError(errno.ENOLCK, "No locks available", "a"), "paths.cache=FOLDER"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), FREE_SPACE),
    ],
)
def test_what_the_system_refuses_comes_with_what_to_do(error: Exception, advice: str) -> None:
    assert storage.told(error).startswith(str(error)) and advice in storage.told(error)


@pytest.mark.parametrize("error", [OSError("odd"), OSError(errno.EIO, "I/O"), ValueError("28"), KeyError()])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert storage.told(error) == (str(error) or "KeyError")


def test_write_without_a_name_gets_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="here.json"), storage.naming(tmp_path / "here.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="there.json"), storage.naming(tmp_path / "here.json"):
        raise OSError(errno.ENOSPC, "No space left on device", "there.json")
