"""Thousands of adapters in one file; those on a shared bank beside a single copy of it.

    with vblora.Store("users.vblora", "a") as store:
        store.save(model, "anna", precision="tiny")

    store = vblora.Store("users.vblora")
    store.load(model, "anna")

An adapter that was learned with `VBLoRAConfig(bank=…, train_bank=False)` takes its selections and its head;
any other is stored whole. `store_file` says how they lie and what a crash leaves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from torch import Tensor, nn

from vblora.adapter import Adapter
from vblora.adapter_file import Blob, Header, file_in, read_all, read_header
from vblora.attachment import can_name, required_attachment
from vblora.banks import check_identity, identity, read_bank
from vblora.errors import AdapterFileError, AdapterStateError, VBLoRAError
from vblora.sharding import gathered
from vblora.storage import file_of, load_from
from vblora.store_file import StoreFile
from vblora.vb_lora import VBLoRA

MOST_LETTERS = 255  # of a name
MOST_BYTES = 10**9  # of one file: SQLite's limit of a value
KEEP_BANK = (
    "INSERT INTO banks VALUES (?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET"
    " num_vectors = excluded.num_vectors, vector_length = excluded.vector_length, vectors = excluded.vectors"
)
COLUMNS = "name, method, kind, precision, bank, num_bytes, sha256"


@dataclass(frozen=True)
class Entry:
    """What a store's list tells of an adapter.

    Attributes:
        name: in the store.
        method, kind, precision: as of its file's header, see `adapter_file`.
        bank: identity of the bank that it shares, or None.
        num_bytes: of its file, without the shared bank.
        sha256: of its tensors, as in its file's header.
    """

    name: str
    method: str
    kind: str
    precision: str
    bank: str | None
    num_bytes: int
    sha256: str


class Store:
    """A file of many adapters. Each change is on the disk when its call returns, closed or not."""

    def __init__(self, path: str | os.PathLike[str], mode: str = "r") -> None:
        """Open a store.

        Args:
            path: of the file.
            mode: "r" to read it; "a" to add and remove adapters also, where a missing file is made.

        Raises:
            VBLoRAError: the mode is unknown.
            AdapterFileError: there is no such file, it is damaged, or it is no store.
        """
        self.path = Path(path)
        self._file = StoreFile(self.path, mode)
        self._banks: dict[str, Tensor] = {}

    def __enter__(self) -> Store:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        """Number of adapters."""
        return int(self._file.rows("SELECT count(*) FROM adapters")[0][0])

    def __contains__(self, name: object) -> bool:
        """Whether there is an adapter of this name."""
        if not isinstance(name, str):
            return False
        return bool(self._file.rows("SELECT 1 FROM adapters WHERE name = ?", name))

    def __iter__(self) -> Iterator[str]:
        """The names, sorted."""
        return iter([entry.name for entry in self.entries()])

    def entries(self) -> list[Entry]:
        """All adapters, sorted by name; their files are not read.

        Raises:
            AdapterFileError: the store is damaged.
        """
        return [self._entry(row) for row in self._file.rows(f"SELECT {COLUMNS} FROM adapters ORDER BY name")]

    def entry(self, name: str) -> Entry:
        """One adapter.

        Raises:
            AdapterStateError: there is none of this name.
        """
        found = self._file.rows(f"SELECT {COLUMNS} FROM adapters WHERE name = ?", name)
        if not found:
            raise AdapterStateError(f"{self.path}: no adapter {name!r} among the {len(self)} in it")
        return self._entry(found[0])

    def _entry(self, row: tuple[object, ...]) -> Entry:
        match row:
            case str(name), str(method), str(kind), str(precision), str() | None as bank, int(size), str(sha):
                found = Entry(name, method, kind, precision, bank, size, sha)
                if all(text.isprintable() for text in (name, method, kind, precision, bank or "", sha)):
                    return found
        raise AdapterFileError(f"{self.path}: damaged: its list of adapters has an entry that is none")

    def save(
        self,
        model: nn.Module,
        name: str,
        kind: str = "topk",
        precision: str = "exact",
        adapter: str | None = None,
        replace: bool = False,
    ) -> None:
        """Store an adapter of a model, with its head and, once for all, the bank that it shares.

        Where FSDP2 shards the model, every process must call this, each on a store of its own.

        Args:
            model: the model it is attached to.
            name: in the store: up to 255 printable characters; where an adapter on a model cannot have it,
                `load` must be given another one.
            kind: as of `vblora.save`.
            precision: as of `vblora.save`.
            adapter: its name on the model; by default the active one.
            replace: an adapter of this name gives way; else it is an error.

        Raises:
            AdapterStateError: the name is taken, no such adapter is on the model, or the store is closed.
            VBLoRAError: `kind`, `precision` or the name is impossible, or a number is not finite.
            AdapterFileError: the store cannot be written; nothing was changed.
        """
        chosen = required_attachment(model).adapter(adapter)
        with gathered(model, chosen):
            data = file_of(chosen, kind, precision)
        shared = chosen.bank.vectors if isinstance(chosen, VBLoRA) and chosen.shared_bank() else None
        self._insert(name, data, shared, replace)

    def add(
        self,
        name: str,
        adapter: str | os.PathLike[str] | Blob,
        bank: str | os.PathLike[str] | Tensor | None = None,
        replace: bool = False,
    ) -> None:
        """Store an adapter that `vblora.save` wrote, byte by byte, without its model.

        Args:
            name: as of `save`.
            adapter: the folder or file that was written, or what another store's `file` gave.
            bank: as of `vblora.load`, or its vectors (h, b); not needed where the store has it.
            replace: as of `save`.

        Raises:
            AdapterFileError: the adapter is damaged or its bank another; or the store cannot be written.
            AdapterStateError: the name is taken, or the store is closed.
        """
        source = adapter if isinstance(adapter, Blob) else file_in(adapter)
        header = read_header(source)
        data = source.data if isinstance(source, Blob) else source.read_bytes()
        read_all(Blob(str(source), data), header.sha256)
        self._insert(name, data, self._needed(header, bank), replace)

    def _needed(self, header: Header, bank: str | os.PathLike[str] | Tensor | None) -> Tensor | None:
        if header.bank is None:
            return None
        if bank is None and header.bank in self._file.banks():
            return self._bank(header.bank)
        if bank is None:
            raise AdapterFileError(
                f"this adapter was trained against the bank {header.bank[:12]}…, which the store lacks;"
                " give bank=path to the adapter that has it"
            )
        vectors = bank if isinstance(bank, Tensor) else read_bank(bank, header.bank)
        if identity(vectors) != header.bank:
            raise AdapterFileError(
                f"the bank given is {identity(vectors)[:12]}…, not the adapter's {header.bank[:12]}…"
            )
        return vectors

    def _insert(self, name: str, data: bytes, shared: Tensor | None, replace: bool) -> None:
        _check(name)
        if len(data) >= MOST_BYTES:
            raise VBLoRAError(
                f"adapter {name!r} has {len(data):,} bytes; a store takes less than {MOST_BYTES:,}"
            )
        header = read_header(Blob(name, data))
        with self._file.changing():
            replaced = name in self
            if replaced:
                if not replace:
                    raise AdapterStateError(
                        f"{self.path}: adapter {name!r} is in it already; replace=True takes its place"
                    )
                self._delete(name)
            if shared is not None and header.bank is not None:
                self._keep_bank(header.bank, shared)
            entry = astuple(_entry(name, header, data))
            self._file.rows(f"INSERT INTO adapters ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", *entry)
            self._file.rows("INSERT INTO files VALUES (last_insert_rowid(), ?)", data)
            if replaced:
                self._drop_unused_banks()

    def _keep_bank(self, wanted: str, shared: Tensor) -> None:
        """Write the bank if it is not in the file, or there and damaged."""
        self._banks.pop(wanted, None)  # what was read once may have gone with its last adapter since
        try:
            self._bank(wanted)
        except AdapterFileError:
            values = shared.detach().cpu().float().contiguous()
            row = (wanted, *values.shape, values.numpy().tobytes())
            self._file.rows(KEEP_BANK, *row)

    def load(self, model: nn.Module, name: str, adapter: str | None = None) -> Adapter:
        """Attach a stored adapter to a model with its head, and make it the active one.

        Only this adapter's file is read, and the first time its bank.

        Args:
            model: the root module.
            name: in the store.
            adapter: its name on the model; by default the one in the store.

        Raises:
            AdapterFileError: the adapter is damaged, or made for another model.
            AdapterStateError: there is none of this name, or the model has one already.
        """
        if adapter is None and not can_name(name):
            raise AdapterStateError(
                f"on a model {name!r} cannot name an adapter; give adapter= another name there"
            )
        with self._file.reading():
            blob, shared = self.file(name), self.bank(name)
        return load_from(model, blob, name if adapter is None else adapter, shared)

    def file(self, name: str) -> Blob:
        """The whole file of an adapter, as `vblora.save` writes it; one on a shared bank does not hold that.

        Raises:
            AdapterFileError: the store is damaged.
            AdapterStateError: there is none of this name.
        """
        with self._file.reading():
            entry = self.entry(name)
            found = self._file.rows("SELECT data FROM adapters JOIN files USING (id) WHERE name = ?", name)
        if len(found) != 1 or not isinstance(found[0][0], bytes):
            raise AdapterFileError(f"{self.path}: damaged: the file of adapter {name!r} is missing")
        blob = Blob(f"{self.path}, adapter {name!r}", found[0][0])
        if _entry(name, read_header(blob), blob.data) != entry:
            raise AdapterFileError(f"{blob}: damaged: the list says something else of it")
        return blob

    def bank(self, name: str) -> Tensor | None:
        """The bank (h, b) that an adapter shares with others; None if its file holds its own.

        Raises:
            AdapterFileError: the store is damaged.
            AdapterStateError: there is no adapter of this name.
        """
        shared = self.entry(name).bank
        return None if shared is None else self._bank(shared)

    def banks(self) -> list[str]:
        """The identities of all shared banks."""
        return self._file.banks()

    def _bank(self, wanted: str) -> Tensor:
        if wanted not in self._banks:
            vectors = self._file.bank(wanted)
            check_identity(self.path, vectors, wanted)
            self._banks[wanted] = vectors
        return self._banks[wanted]

    def remove(self, name: str) -> None:
        """Take an adapter out; a bank that no other shares goes with it, and the file shrinks.

        Raises:
            AdapterStateError: there is none of this name.
            AdapterFileError: the store cannot be written; nothing was changed.
        """
        with self._file.changing():
            self._delete(self.entry(name).name)
            self._drop_unused_banks()

    def _delete(self, name: str) -> None:
        self._file.rows("DELETE FROM adapters WHERE name = ?", name)

    def _drop_unused_banks(self) -> None:
        self._file.rows(
            "DELETE FROM banks WHERE NOT EXISTS (SELECT 1 FROM adapters WHERE bank = banks.identity)"
        )

    def together(self) -> AbstractContextManager[None]:
        """Make all changes of a block at its end in one go, or none: much faster for many."""
        return self._file.changing()

    def verify(self) -> int:
        """Read everything: the container, each file, each bank. Returns the number of adapters.

        Raises:
            AdapterFileError: something is damaged; the message names it.
        """
        with self._file.reading():
            ((found,), *_) = self._file.rows("PRAGMA integrity_check(1)")
            if found != "ok":
                raise AdapterFileError(f"{self.path}: damaged: {found}")
            self._banks.clear()
            entries = self.entries()
            for entry in entries:
                read_all(self.file(entry.name), entry.sha256)
                self.bank(entry.name)
        return len(entries)


def _entry(name: str, header: Header, data: bytes) -> Entry:
    return Entry(name, header.method, header.kind, header.precision, header.bank, len(data), header.sha256)


def _check(name: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MOST_LETTERS or not name.isprintable():
        raise VBLoRAError(
            f"{name!r:.300} cannot name an adapter in a store; take 1 to {MOST_LETTERS} printable characters"
        )
