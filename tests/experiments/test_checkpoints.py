import json
import shutil
from pathlib import Path

import pytest

from experiments.checkpoints import MANIFEST, CheckpointError, CheckpointWarning, Folder, num_bytes


def write(folder: Folder, step: int, text: str = "state") -> Path:
    with folder.writing(step) as partial:
        (partial / "a.bin").write_text(f"{text} {step}", encoding="utf-8")
        (partial / "b.bin").write_text("b", encoding="utf-8")
    return folder.path / f"checkpoint-{step}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "run", "identity")


def test_no_checkpoint_in_a_new_folder(folder: Folder) -> None:
    assert folder.latest() is None


def test_latest_is_the_highest_step_and_two_are_kept(folder: Folder) -> None:
    for step in (5, 9, 10, 100):
        write(folder, step)
    assert folder.latest() == folder.path / "checkpoint-100"
    assert sorted(path.name for path in folder.path.iterdir()) == ["checkpoint-10", "checkpoint-100"]


def test_manifest_names_each_file_with_its_digest_and_size(folder: Folder) -> None:
    checkpoint = write(folder, 1)
    manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
    assert set(manifest["files"]) == {"a.bin", "b.bin"}
    assert manifest["files"]["a.bin"]["bytes"] == len("state 1")
    assert num_bytes(checkpoint) == len("state 1") + 1 + (checkpoint / MANIFEST).stat().st_size


def damage(checkpoint: Path, how: str) -> None:
    match how:
        case "truncated":
            (checkpoint / "a.bin").write_text("sta", encoding="utf-8")
        case "one byte changed":
            (checkpoint / "a.bin").write_text("stale 2", encoding="utf-8")
        case "file missing":
            (checkpoint / "a.bin").unlink()
        case "manifest missing":
            (checkpoint / MANIFEST).unlink()
        case "manifest truncated":
            text = (checkpoint / MANIFEST).read_text(encoding="utf-8")
            (checkpoint / MANIFEST).write_text(text[: len(text) // 2], encoding="utf-8")
        case "manifest of another form":
            (checkpoint / MANIFEST).write_text("[1, 2]", encoding="utf-8")
        case "empty folder":
            shutil.rmtree(checkpoint)
            checkpoint.mkdir()


DAMAGES = ("truncated", "one byte changed", "file missing", "manifest missing", "manifest truncated",
           "manifest of another form", "empty folder")  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_checkpoint_is_passed_over_for_the_one_before(folder: Folder, how: str) -> None:
    before, newest = write(folder, 1), write(folder, 2)
    damage(newest, how)
    with pytest.warns(CheckpointWarning, match="checkpoint-2 is not used"):
        assert folder.latest() == before
    assert folder.latest() == before  # without a second warning


def test_checkpoint_of_other_settings_is_not_used(folder: Folder) -> None:
    write(folder, 1)
    with pytest.warns(CheckpointWarning, match="other settings"):
        assert Folder(folder.path, "another").latest() is None


def test_failed_write_leaves_the_one_before_and_no_trace(folder: Folder) -> None:
    before = write(folder, 1)
    with pytest.raises(OSError, match="full"), folder.writing(2) as partial:
        (partial / "a.bin").write_text("half", encoding="utf-8")
        raise OSError("disk full")
    assert list(folder.path.iterdir()) == [before]


def test_what_a_killed_run_left_is_removed(folder: Folder) -> None:
    checkpoint = write(folder, 1)
    (folder.path / ".partial-2").mkdir()
    (folder.path / ".partial-2" / "a.bin").write_text("half", encoding="utf-8")
    assert folder.latest() == checkpoint
    assert list(folder.path.iterdir()) == [checkpoint]


def test_a_step_can_be_written_again(folder: Folder) -> None:
    write(folder, 1, "old")
    checkpoint = write(folder, 1, "new")
    folder.verify(checkpoint)
    assert (checkpoint / "a.bin").read_text(encoding="utf-8") == "new 1"


def test_verify_says_what_is_wrong(folder: Folder) -> None:
    checkpoint = write(folder, 1)
    damage(checkpoint, "file missing")
    with pytest.raises(CheckpointError, match=r"a\.bin cannot be read"):
        folder.verify(checkpoint)


def test_remove_deletes_all(folder: Folder) -> None:
    write(folder, 1)
    folder.remove()
    assert not folder.path.exists()
