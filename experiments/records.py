"""RunRecord: one small JSON per run, the only source of numbers. Write, read, find.

A record lies at `<root>/<scale>/<run_id>.json`, with
run_id = `<family>/<task>/<model>/<method>-<targets>[-<variant>]/seed<n>`.
`outcome` is the same bit for bit whenever the run is repeated; `circumstances` (times, machine, versions) is
not. Scores are fractions. A record is written whole or not at all, and never holds NaN or infinity.
"""

import contextlib
import json
import os
import re
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments import storage
from experiments.record_schema import KEYS, PART, RUN_ID, SCHEMA_VERSION, problems_of

# A record has some kilobytes (160 epochs of history: about 20 kB); a file near this size is something else.
MAX_BYTES = 16 * 2**20


class RecordError(Exception):
    """A file is no record, or a value cannot stand in one. The message says what and where."""


@dataclass(frozen=True)
class Identity:
    """What a run is, read from its run_id; the tables place a record by it."""

    family: str
    task: str
    model: str
    method: str
    targets: str
    variant: str
    seed: int


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked (`config`), what came out (`outcome`), and when and where (`circumstances`).

    `outcome` is None unless status is "success"; `error` holds type, message and traceback of a failed run.
    """

    run_id: str
    scale: str
    status: str
    hash: str
    config: Mapping[str, Any]
    outcome: Mapping[str, Any] | None
    circumstances: Mapping[str, Any]
    error: Mapping[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def identity(self) -> Identity:
        """The parts of the run_id."""
        return parse_run_id(self.run_id)


@dataclass(frozen=True)
class Problem:
    """A file that `find` could not use, and why."""

    path: Path
    message: str


@dataclass(frozen=True)
class Found:
    """Every readable record of a scale, one per run_id, unfinished runs included; and the unusable files.

    Attributes:
        records: sorted by run_id.
        problems: files that are no records.
        from_first_root: run_ids of the records that lie under the first root, the user's own.
    """

    records: list[RunRecord]
    problems: list[Problem]
    from_first_root: frozenset[str] = frozenset()


def parse_run_id(run_id: str) -> Identity:
    """Split a run_id into its parts; the variant is "paper" where none is written.

    Raises:
        RecordError: the text has another form, so it could also lead out of the results folder.
    """
    match = RUN_ID.fullmatch(run_id)
    if match is None:
        rule = "<family>/<task>/<model>/<method>-<targets>[-<variant>]/seed<n>"
        raise RecordError(f"run_id {run_id[:200]!r} is not of the form {rule}")
    family, task, model, method, targets, variant, seed = match.groups()
    return Identity(family, task, model, method, targets, variant or "paper", int(seed))


def path_of(root: Path, scale: str, run_id: str) -> Path:
    """Where the record of a run lies under `root`.

    Raises:
        RecordError: the scale or the run_id is malformed.
    """
    parse_run_id(run_id)
    if not re.fullmatch(PART, scale):
        raise RecordError(f"scale {scale[:200]!r} is not a plain name")
    return Path(root) / scale / f"{run_id}.json"


def write(record: RunRecord, root: Path) -> Path:
    """Write a record so that a reader sees the old file or the new one, never a part. Returns its path.

    Raises:
        RecordError: the record breaks the schema, or holds NaN, infinity or something JSON has no word for.
    """
    path = path_of(root, record.scale, record.run_id)
    content = {"schema_version": record.schema_version} | asdict(record)  # the version stands first
    _raise_if(problems_of(content), path)
    try:
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordError(f"{path}: cannot be written as JSON: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace_atomically(path, text)
    return path


def read(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        RecordError: missing, damaged, too large, foreign, of another schema version, or incomplete.
    """
    text = _read_text(path)
    try:
        content = _parse(text, path)
        problems = problems_of(content)
    except RecursionError as error:
        raise RecordError(f"{path}: damaged, nested too deeply") from error
    _raise_if(problems, path)
    return RunRecord(**{key: content[key] for key in KEYS})


def find(roots: Sequence[Path], scale: str) -> Found:
    """Read every record of a scale under several roots.

    Where two roots hold the same run the first wins, but a finished run always beats an unfinished one.
    Files that are no records are named in `problems` and stop nothing.
    """
    by_id: dict[str, RunRecord] = {}
    problems: list[Problem] = []
    first: set[str] = set()
    for number, root in enumerate(roots):
        for path in _json_files(Path(root) / scale, problems):
            try:
                record = _read_in_place(path, Path(root), scale)
            except RecordError as error:
                problems.append(Problem(path, str(error).removeprefix(f"{path}: ")))
                continue
            known = by_id.get(record.run_id)
            if known is None or (known.status != "success" and record.status == "success"):
                by_id[record.run_id] = record
                (first.discard if number else first.add)(record.run_id)
    return Found([by_id[run_id] for run_id in sorted(by_id)], problems, frozenset(first))


def _raise_if(problems: list[str], path: Path) -> None:
    if problems:
        raise RecordError(f"{path}: {'; '.join(problems)}")


def _replace_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with storage.naming(path), open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    # The new name itself must survive a power cut; Windows cannot open folders, and needs no such step.
    with contextlib.suppress(PermissionError):
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _read_text(path: Path) -> str:
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise RecordError(f"{path}: no regular file")
        if about.st_size > MAX_BYTES:
            raise RecordError(f"{path}: {about.st_size:,} bytes; a record has at most {MAX_BYTES:,}")
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: no UTF-8 text") from error


def _parse(text: str, path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"holds {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise RecordError(f"{path}: damaged or cut off: {error}") from error


def _json_files(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(Problem(Path(error.filename), f"cannot be listed: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".json") and not name.startswith("."):
                yield Path(parent) / name


def _read_in_place(path: Path, root: Path, scale: str) -> RunRecord:
    record = read(path)
    if record.scale != scale:
        raise RecordError(f"{path}: scale {record.scale!r}, but it lies under {scale!r}")
    if path != path_of(root, scale, record.run_id):
        raise RecordError(f"{path}: holds the run {record.run_id}, whose place is elsewhere")
    return record
