"""Where an adapter lies on disk: a file or folder of ours, a folder of PEFT's, or a name in a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from vblora import peft_files
from vblora.adapter import Adapter
from vblora.adapter_file import Blob, Source, file_in, read_header
from vblora.banks import read_bank
from vblora.errors import VBLoRAError
from vblora.peft_adapters import load_peft
from vblora.storage import load_from
from vblora.store import Store
from vblora.store_file import is_store


@dataclass(frozen=True)
class Place:
    """One adapter.

    Attributes:
        source: its file, the file that a store holds, or a folder of PEFT's.
        bank: (h, b) that it may share; None if none was given.
    """

    source: Source
    bank: Tensor | None = None

    @property
    def peft(self) -> bool:
        """Whether PEFT wrote it."""
        return isinstance(self.source, Path) and self.source.is_dir()

    @property
    def num_bytes(self) -> int:
        """Of the file that holds its tensors."""
        if isinstance(self.source, Blob):
            return len(self.source.data)
        return (self.source / peft_files.WEIGHTS if self.peft else self.source).stat().st_size

    def attach(self, model: nn.Module) -> Adapter:
        """Attach it under the name "default"; errors as of `vblora.load`."""
        if self.peft:
            return load_peft(model, Path(str(self.source)))
        return load_from(model, self.source, "default", self.bank)


def find(path: Path, name: str | None = None, bank: Path | None = None) -> Place:
    """The adapter that a command line names.

    Args:
        path: of a file, a folder or a store.
        name: of the adapter in the store; only there.
        bank: adapter or store that has the bank which it shares; a store has its own.

    Raises:
        AdapterFileError: the store or the bank is damaged or missing.
        VBLoRAError: a name is missing, or there where no store is, or not in it.
    """
    if is_store(path):
        if name is None:
            raise VBLoRAError(
                f"{path}: a store; --name says which adapter, `python -m vblora list` what it has"
            )
        with Store(path) as store:
            source: Source = store.file(name)
            return Place(source, store.bank(name) if bank is None else _bank(source, bank))
    if name is not None:
        raise VBLoRAError(f"{path}: no store, so --name {name} has no meaning here")
    if peft_files.is_peft(path):
        if bank is not None:
            raise VBLoRAError(f"{path}: PEFT's folders hold their bank, so --bank has no meaning here")
        return Place(path)
    return Place(file_in(path), None if bank is None else _bank(file_in(path), bank))


def _bank(source: Source, bank: Path) -> Tensor:
    return read_bank(bank, read_header(source).bank)
