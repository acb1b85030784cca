"""Checkpoints that are either whole or not there.

    <folder>/checkpoint-<step>/    the files, and manifest.json: identity, step, SHA-256 and size of each
    <folder>/.partial-<step>/      one being written; what a killed run left is removed at the next start

A checkpoint is filled under its partial name, its files are synced, the manifest is written last and the
folder renamed; the previous one is deleted only then. So a process killed anywhere leaves the last whole
checkpoint, and one damaged afterwards is recognised by its manifest and passed over for the one before.
(The stock Trainer takes the folder of the highest number, whatever is in it.)

The identity names the run's settings: a checkpoint of other settings is no checkpoint of this run.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
KEPT = 2  # the newest, and the one before in case the newest is damaged on disk


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over, or not written; the run goes on and its result stays the same."""


class CheckpointError(ValueError):
    """A folder that is no whole checkpoint of this run; the message says what is wrong."""


@dataclass(frozen=True)
class Folder:
    """The checkpoints of one run.

    Attributes:
        path: where they lie.
        identity: a digest of all that determines the run.
    """

    path: Path
    identity: str

    def latest(self) -> Path | None:
        """The newest whole checkpoint of this run; what is newer but not whole is warned of and removed."""
        for partial in self.path.glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)
        for checkpoint in reversed(self._all()):
            try:
                self.verify(checkpoint)
            except CheckpointError as error:
                warnings.warn(f"{checkpoint} is not used: {error}", CheckpointWarning, stacklevel=2)
                shutil.rmtree(checkpoint, ignore_errors=True)
            else:
                return checkpoint
        return None

    def verify(self, checkpoint: Path) -> None:
        """Check a checkpoint against its manifest.

        Raises:
            CheckpointError: the manifest is missing or unreadable, a file is missing or altered, or the
                checkpoint belongs to other settings.
        """
        manifest = _manifest(checkpoint)
        if manifest["identity"] != self.identity:
            raise CheckpointError("it belongs to other settings or data; this run starts without it")
        for name, expected in manifest["files"].items():
            if _facts(checkpoint / name) != expected:
                raise CheckpointError(f"{name} is not the file that was written; it is damaged")

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """A folder to fill with the checkpoint of `step`; published at the end, dropped on failure."""
        partial = self.path / f".partial-{step}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            self._publish(partial, step)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _publish(self, partial: Path, step: int) -> None:
        files = {file.name: _facts(file, sync=True) for file in sorted(partial.iterdir())}
        manifest = {"identity": self.identity, "step": step, "files": files}
        with (partial / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(manifest, file)
            file.flush()
            os.fsync(file.fileno())
        target = self.path / f"checkpoint-{step}"
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        _sync_folder(self.path)
        for old in self._all()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _all(self) -> list[Path]:
        """Published checkpoints, oldest first."""
        found = [path for path in self.path.glob("checkpoint-*") if path.name[11:].isdigit()]
        return sorted(found, key=lambda path: int(path.name[11:]))

    def remove(self) -> None:
        """Delete all checkpoints; called when the run's record is safe."""
        shutil.rmtree(self.path, ignore_errors=True)


def num_bytes(checkpoint: Path) -> int:
    """What a checkpoint takes on disk, its manifest included."""
    return sum(file.stat().st_size for file in checkpoint.iterdir())


def _manifest(checkpoint: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        if isinstance(manifest["files"], dict) and isinstance(manifest["identity"], str):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"its manifest is missing or damaged ({error})") from error
    raise CheckpointError("its manifest is no manifest")


def _facts(path: Path, *, sync: bool = False) -> dict[str, Any]:
    """SHA-256 and size of a file, which is synced to disk first if asked."""
    try:
        with path.open("rb") as file:
            if sync:
                os.fsync(file.fileno())
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error})") from error


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
