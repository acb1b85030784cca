"""Who may run: a finished run is skipped, one with another record refused, and one process runs it.

The lock (`experiments.locks`) lies in the cache, as the run's checkpoints do.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments import locks, records, storage
from experiments.config import Config, run_id
from experiments.identity import described, flat, run_hash
from experiments.records import RecordError, RunRecord

LEFT = "run.json"  # in a folder of what a run trained: whose it is
ROOM = 2**16  # bytes that a results folder must take before a run starts; a record has about 20,000


class ClaimError(Exception):
    """The run cannot be run now; the message says why and what to do."""


class BusyError(ClaimError):
    """Another process is running this run."""


def record_path(cfg: Config) -> Path:
    """Where the run's record lies."""
    return records.path_of(Path(cfg.paths.results), cfg.scale.name, run_id(cfg))


def answers_path(cfg: Config) -> Path:
    """Where the run's answers lie: beside its record."""
    return record_path(cfg).with_suffix(".answers.jsonl")


def new_answers_path(cfg: Config) -> Path:
    """Where its answers wait until its record is written, so that a repeat leaves the old pair whole."""
    return record_path(cfg).with_suffix(".answers.new")


def footprint_path(cfg: Config) -> Path:
    """Where the run's selection footprint lies: beside its record."""
    return record_path(cfg).with_suffix(".footprint.safetensors")


def new_footprint_path(cfg: Config) -> Path:
    """Where its footprint waits until its record is written."""
    return record_path(cfg).with_suffix(".footprint.new")


def adapter_dir(cfg: Config) -> Path | None:
    """Where the run leaves what it trained; None if it is not asked to."""
    return Path(cfg.paths.adapters) / cfg.scale.name / run_id(cfg) if cfg.paths.adapters else None


def checkpoint_dir(cfg: Config) -> Path:
    """The run's own folder of checkpoints."""
    return Path(cfg.paths.cache) / "checkpoints" / cfg.scale.name / run_id(cfg)


def lock_dir(cache: Path, scale: str) -> Path:
    """Where the locks of a scale's runs lie, each under its run_id."""
    return cache / "locks" / scale


def finished(cfg: Config) -> RunRecord | None:
    """The record of this very run if it is finished, unless `force` asks to repeat it.

    A failed or cancelled record holds no number and gives way to a new run.

    Raises:
        ClaimError: the place is taken by a finished run with other settings, or by a file that is no record;
            or the run left no adapter and one is wanted.
    """
    path = record_path(cfg)
    if cfg.force or not path.exists():
        return None
    try:
        record = records.read(path)
    except RecordError as error:
        raise ClaimError(f"{error}; move it away, or replace it with force=true") from error
    if record.status != "success":
        return None
    if record.hash != run_hash(cfg):
        raise ClaimError(
            f"{path}: holds this run with other settings ({_difference(record, cfg)}); repeat it "
            "with force=true, or keep both by naming this one: variant=<name>"
        )
    folder = adapter_dir(cfg)
    if folder is not None and _left_by(folder) != record.hash:
        raise ClaimError(f"{path}: this run is finished but left no {folder}; repeat it with force=true")
    return record


def leave_adapter(cfg: Config, save: Callable[[Path], None]) -> None:
    """Let a run leave what it trained if it is asked to, with its hash, which tells whose it is."""
    folder = adapter_dir(cfg)
    if folder is None:
        return
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save(partial)
    about = {"run_id": run_id(cfg), "hash": run_hash(cfg)}
    (partial / LEFT).write_text(json.dumps(about) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def leave_footprint(cfg: Config, save: Callable[[Path], None]) -> str:
    """Let a run write its selections, to wait for its record. Returns the file's SHA-256."""
    save(new_footprint_path(cfg))
    return hashlib.sha256(new_footprint_path(cfg).read_bytes()).hexdigest()


def _left_by(folder: Path) -> str | None:
    """The hash of the run that left a folder whole; None if none did."""
    try:
        found = json.loads((folder / LEFT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(found.get("hash")) if isinstance(found, dict) else None


def is_settled(cfg: Config) -> bool:
    """Whether a finished run left nothing to put in order; one killed right after its record did."""
    left = (new_answers_path(cfg), new_footprint_path(cfg), checkpoint_dir(cfg))
    return not any(path.exists() for path in left)


def settle(cfg: Config, record: RunRecord) -> None:
    """Under the claim of a finished run: put its files beside its record, and delete its checkpoints."""
    digests = {**record.circumstances, **(record.outcome or {})}
    _place(new_answers_path(cfg), answers_path(cfg), digests.get("answers_sha256"))
    _place(new_footprint_path(cfg), footprint_path(cfg), digests.get("footprint_sha256"))
    if digests.get("footprint_sha256") is None:
        footprint_path(cfg).unlink(missing_ok=True)  # of the run that this one replaced
    shutil.rmtree(checkpoint_dir(cfg), ignore_errors=True)


def _place(new: Path, path: Path, digest: str | None) -> None:
    """Put a waiting file in its place; one of a repeat that was killed before its record is deleted."""
    if not new.is_file():
        return
    if hashlib.sha256(new.read_bytes()).hexdigest() == digest:
        new.replace(path)
    else:
        new.unlink()


def holds_result(cfg: Config) -> bool:
    """Whether a finished run lies where this run's record goes."""
    try:
        return records.read(record_path(cfg)).status == "success"
    except RecordError:
        return False


@contextlib.contextmanager
def claim(cfg: Config) -> Iterator[RunRecord | None]:
    """Hold the run for this process while the block runs.

    Yields:
        Its record if it is finished, which then need not run; else None.

    Raises:
        BusyError: another process holds it.
        ClaimError: see `finished`.
        OSError: a folder cannot be written, which is better known before training than after.
    """
    _make_writable(record_path(cfg).parent)
    lock = lock_dir(Path(cfg.paths.cache), cfg.scale.name) / f"{run_id(cfg)}.lock"
    try:
        with locks.hold(lock):
            _clear(record_path(cfg))
            record = finished(cfg)
            if record is not None:
                settle(cfg, record)
            yield record
    except locks.HeldError as error:
        raise BusyError(f"{run_id(cfg)}: another process is running it: {error}") from error


def _make_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with storage.naming(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(ROOM))


def _clear(path: Path) -> None:
    """Delete what processes left that died while they wrote a file of this run."""
    for left in path.parent.glob(f".{path.stem}.*"):
        left.unlink(missing_ok=True)


def _difference(record: RunRecord, cfg: Config) -> str:
    """The settings in which a record and a config differ."""
    before, now = flat(record.config), flat(described(cfg))
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    shown = [f"{key} {before.get(key)} there, {now.get(key)} here" for key in keys[:5]]
    return ", ".join(shown) + (", ..." if len(keys) > 5 else "") or "none that it shows"
