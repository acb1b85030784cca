"""The lock of a run: one process holds it, and anyone can look at it without disturbing a start.

It is `flock` on a file: the operating system frees it when its process dies, however that happens. The file
says who holds it. What it still says when nobody does was left by a process that died: its run was cut off.

A look takes a shared lock between two system calls. Looks do not exclude each other, and `hold` tries for
PATIENCE seconds before it calls a lock another's, so no look makes a starting run give way. (F_GETLK sees no
`flock`, and /proc/locks knows one machine, while a cluster's file system may ask its server.)
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock

from experiments import storage

PATIENCE = 1.0  # seconds; a look takes microseconds, on a network some milliseconds
_MOST = 4096  # bytes that are read of a file that says who holds a lock


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host, pid: the process.
        since: when it took the lock, by its own clock.
    """

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        """One phrase for a person."""
        return f"process {self.pid} on {self.host}, since {self.since}"


@dataclass(frozen=True)
class Look:
    """What a look at a lock saw.

    Attributes:
        held: whether a process holds it.
        holder: which, or which one died holding it; None if the file does not say.
    """

    held: bool
    holder: Holder | None

    @property
    def cut_off(self) -> bool:
        """Whether its last holder died without letting go."""
        return not self.held and self.holder is not None


class HeldError(Exception):
    """Another process holds the lock; the message says which."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock for this process while the block runs.

    Raises:
        HeldError: another process holds it.
        OSError: the file cannot be written, or its file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lent: list[int] = []  # the descriptor: to close another one of this file would free some systems' locks
    lock = filelock.FileLock(path, timeout=PATIENCE, on_acquired=lent.append)
    try:
        with storage.naming(path):
            lock.acquire()
    except filelock.Timeout as error:
        holder = _read(path)
        raise HeldError(str(holder) if holder else "it does not say which") from error
    try:
        with storage.naming(path):
            _write(lent[0], json.dumps(asdict(_me())))
        yield
    finally:  # an error is an orderly end too: only a process that dies leaves its name
        with contextlib.suppress(OSError):
            _write(lent[0], "")
        lock.release()


def look(path: Path) -> Look:
    """See whether a lock is held, without taking it from a process that is about to.

    Raises:
        OSError: there is no such file, or its file system has no locks.
    """
    holder = _read(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return Look(True, _read(path))
    finally:
        os.close(descriptor)
    return Look(False, holder)


def _me() -> Holder:
    return Holder(socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _read(path: Path) -> Holder | None:
    """Who the file says holds the lock; None if it says nothing, or is being written."""
    with path.open("rb") as file:
        text = file.read(_MOST)
    try:
        told = json.loads(text)
        return Holder(str(told["host"]), int(told["pid"]), str(told["since"]))
    except (ValueError, KeyError, TypeError):
        return None
