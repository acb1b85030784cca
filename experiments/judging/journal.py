"""The journal of judgements: one line a judgement, appended and on disk before the next is asked for.

    {"key": "5f2c…", "question_id": 81, "turn": 1, "template": "single-v1", "judgment": "… [[7]]",
     "model": "gpt-4-0613", "prompt_tokens": 512, "completion_tokens": 130, "tstamp": 1760000000.0}

`key` is a digest of all that was asked (`calls.key`), so a changed answer, prompt or judge is judged anew and
an old line stays without use. A last line that a kill or a full disk cut off is dropped when it is opened.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import filelock

from experiments.judging.settings import JudgingError

Entry = dict[str, Any]


class Journal:
    """The judgements so far; one process at a time may have it open.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Open, and read what is there.

        Raises:
            JudgingError: another process has it open, or a line is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise JudgingError(f"{self.path}: another process is judging into it; wait for it") from error
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            self._drop_cut_line()
            self.entries = read(self.path)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, key: str, entry: Mapping[str, Any]) -> None:
        """Add a judgement; it is on disk when this returns."""
        line = (json.dumps({"key": key, **entry}, allow_nan=False) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]
        os.fsync(self._descriptor)
        self.entries[key] = {"key": key, **entry}

    def close(self) -> None:
        """Let other processes in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def _drop_cut_line(self) -> None:
        raw = self.path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.truncate(self._descriptor, whole)


def read(path: Path) -> dict[str, Entry]:
    """The judgements of a journal by their key.

    Raises:
        JudgingError: a line is damaged.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            entry = json.loads(line)
            entries[entry["key"]] = entry
            fit = isinstance(entry["judgment"], str) and isinstance(entry["tstamp"], float)
        except (ValueError, KeyError, TypeError):
            fit = False
        if not fit:
            raise JudgingError(
                f"{path}: line {number}: no judgement; take the line out to have it judged again"
            )
    return entries
