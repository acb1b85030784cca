"""The container of a store: one SQLite database with adapter files, and the banks that they share.

    banks      identity, num_vectors, vector_length, vectors (float32, little-endian, row by row)
    adapters   name, and method, kind, precision, bank, num_bytes and sha256 of its file
    files      the whole adapter file (`adapter_file`), so that a list reads none of them

Every change is one transaction of SQLite, on the disk when the call returns. A process that is killed or a
machine that stops leaves the store as it was before that change: https://sqlite.org/atomiccommit.html
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from vblora.errors import AdapterFileError, AdapterStateError, VBLoRAError

MAGIC = b"SQLite format 3\0"
APPLICATION = int.from_bytes(b"vblr", "big")  # in the database's header, as `file` and others read it
VERSION = 1
MODES = ("r", "a")
WAIT_SECONDS = 30.0  # for another process that writes
SCHEMA = (
    "CREATE TABLE banks (identity TEXT PRIMARY KEY NOT NULL, num_vectors INTEGER NOT NULL,"
    " vector_length INTEGER NOT NULL, vectors BLOB NOT NULL)",
    "CREATE TABLE adapters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, method TEXT NOT NULL,"
    " kind TEXT NOT NULL, precision TEXT NOT NULL, bank TEXT REFERENCES banks (identity),"
    " num_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL)",
    "CREATE TABLE files (id INTEGER PRIMARY KEY REFERENCES adapters (id) ON DELETE CASCADE,"
    " data BLOB NOT NULL)",
    "CREATE INDEX adapters_by_bank ON adapters (bank)",
)
# A foreign schema runs nothing, a removed adapter's bytes are gone, and a commit outlives a power cut.
SETTINGS = ("trusted_schema = OFF", "foreign_keys = ON", "secure_delete = ON", "synchronous = EXTRA")
# What SQLite says, and what to do about it.
ADVICE = {
    "locked": "another process holds it for long; try again",
    "full": "nothing was written; free disk space and try again",
    "disk I/O": "nothing was written; see whether the disk is full or failing",
    "readonly": 'nothing was written; it needs mode="a" and a file and folder that can be written',
    "not a database": "no store, or a damaged one",
    "malformed": "damaged; restore it from a copy",
}


def is_store(path: Path) -> bool:
    """Whether this is a database, and so no adapter file."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class StoreFile:
    """An open container. Threads may share it; a process forked from this one opens its own."""

    def __init__(self, path: Path, mode: str) -> None:
        """Open the file; mode "a" makes it where it is missing.

        Raises:
            VBLoRAError: the mode is unknown.
            AdapterFileError: there is no such file, or it is something else.
        """
        if mode not in MODES:
            raise VBLoRAError(f"mode {mode!r} is unknown; choose r to read or a to add")
        if mode == "r" and not path.is_file():
            raise AdapterFileError(f'{path}: no such file; mode="a" makes a store')
        self.path, self._lock, self._depth = path, threading.RLock(), 0
        self._connection: sqlite3.Connection | None = None
        with self._errors():
            self._connection = _connect(path, mode)
            try:
                self._prepare(mode)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close it; a second time does nothing.

        Raises:
            AdapterStateError: a block of changes is open.
        """
        with self._lock:
            if self._depth:
                raise AdapterStateError(f"{self.path}: changes are being made together; close it afterwards")
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows that a query gives.

        Raises:
            AdapterFileError: the file is damaged or cannot be read.
            AdapterStateError: it is closed.
        """
        with self._lock:
            return self._execute(query, values)

    def changing(self) -> AbstractContextManager[None]:
        """Make all changes of the block at its end, or none if it raises. Blocks may stand in each other.

        An inner block that raises undoes its own changes; the outer one's are made if it catches that.

        Raises:
            AdapterFileError: they cannot be written.
        """
        return self._transaction("BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[None]:
        """See one state of the file throughout the block, whatever other processes write meanwhile."""
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock:
            connection, level = self._open(), self._depth
            self._execute(begin if level == 0 else f"SAVEPOINT level{level}")
            self._depth += 1
            try:
                yield
                self._execute("COMMIT" if level == 0 else f"RELEASE level{level}")
            except BaseException:
                if connection.in_transaction and level == 0:
                    connection.rollback()
                elif connection.in_transaction:  # what the outer block changed stays
                    connection.execute(f"ROLLBACK TO level{level}")
                    connection.execute(f"RELEASE level{level}")
                raise
            finally:
                self._depth -= 1

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        connection = self._open()
        if self._depth and not connection.in_transaction:  # SQLite gives up a transaction on a full disk
            raise AdapterFileError(f"{self.path}: the changes of this block are lost; leave it and try again")
        with self._errors():
            return connection.execute(statement, values).fetchall()

    def bank(self, identity: str) -> Tensor:
        """The bank (h, b) of this identity; its values are not checked against it.

        Raises:
            AdapterFileError: there is none, or its sizes are not those of its values.
        """
        found = self.rows(
            "SELECT num_vectors, vector_length, vectors FROM banks WHERE identity = ?", identity
        )
        if not found:
            raise AdapterFileError(f"{self.path}: damaged: the bank {identity[:12]}… is missing")
        h, b, data = found[0]
        sized = isinstance(h, int) and isinstance(b, int) and isinstance(data, bytes) and h > 0 and b > 0
        if not sized or len(data) != 4 * h * b:
            raise AdapterFileError(f"{self.path}: damaged: the bank {identity[:12]}… has other sizes")
        return torch.frombuffer(bytearray(data), dtype=torch.float32).view(h, b)

    def banks(self) -> list[str]:
        """The identities of all banks.

        Raises:
            AdapterFileError: the file is damaged.
        """
        found = [identity for (identity,) in self.rows("SELECT identity FROM banks ORDER BY identity")]
        if not all(isinstance(identity, str) for identity in found):
            raise AdapterFileError(f"{self.path}: damaged: the identity of a bank is no text")
        return found

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise AdapterStateError(f"{self.path}: the store is closed")
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeError) as error:  # text that is no UTF-8, in a row or a message
            advice = next((text for word, text in ADVICE.items() if word in str(error)), None)
            raise AdapterFileError(f"{self.path}: {advice or 'damaged, or no store'} ({error})") from error

    def _prepare(self, mode: str) -> None:
        """Make an empty database a store, and refuse one of something else."""
        for setting in SETTINGS:
            self.rows(f"PRAGMA {setting}")
        if mode == "r":
            self.rows("PRAGMA query_only = ON")
        elif not self._schema():
            self.rows("PRAGMA auto_vacuum = FULL")  # the file shrinks when adapters go
            with self.changing():
                self._create()
        ((application, version),) = self.rows("SELECT * FROM pragma_application_id, pragma_user_version")
        if application == APPLICATION and version != VERSION:
            raise AdapterFileError(
                f"{self.path}: store of version {version}; this version of vblora reads {VERSION}"
            )
        if application != APPLICATION or self._schema() != sorted(SCHEMA):
            raise AdapterFileError(f"{self.path}: a database of something else, not a store of vblora")

    def _create(self) -> None:
        if self._schema():  # another process was faster
            return
        for statement in SCHEMA:
            self.rows(statement)
        self.rows(f"PRAGMA application_id = {APPLICATION}")
        self.rows(f"PRAGMA user_version = {VERSION}")

    def _schema(self) -> list[str]:
        """All that was created: tables, indexes, views and triggers; what SQLite adds itself has no text."""
        return sorted(str(text) for (text,) in self.rows("SELECT sql FROM sqlite_schema") if text is not None)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Also for reading the file may be written: what a killed writer left is undone first, if it can be."""
    way = "rwc" if mode == "a" else "rw"
    where = f"file://{quote(os.fsencode(path.absolute()))}?mode={way}"
    return sqlite3.connect(
        where, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
