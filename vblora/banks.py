"""A bank of vectors that several adapters share: where it is read from, and how it is told again.

Any VB-LoRA adapter's file that holds its bank serves as a bank. Its identity is a hash of its values, so an
adapter that was trained against one bank refuses another.
"""

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor

from vblora.adapter_file import file_in, read_all, read_header
from vblora.encoding import decoded
from vblora.errors import AdapterFileError
from vblora.store_file import StoreFile, is_store

VECTORS = "adapter.bank.vectors", "adapter.vectors"  # in a trained file, in a top-k file


def identity(vectors: Tensor) -> str:
    """SHA-256 over shape and float32 values of a bank (h, b)."""
    values = vectors.detach().cpu().float().contiguous()
    return hashlib.sha256(f"{list(values.shape)}\n".encode() + values.numpy().tobytes()).hexdigest()


def read_bank(path: str | os.PathLike[str], wanted: str | None = None) -> Tensor:
    """The vectors (h, b) in an adapter's file, in the folder of one, or in a store, in float32.

    Args:
        path: of the file, folder or store.
        wanted: identity by which a store's bank is chosen; without, it must have one alone.

    Raises:
        AdapterFileError: there is no such file, it is damaged, or it holds no bank, or several.
    """
    file = file_in(path)
    if is_store(file):
        return _of_store(file, wanted)
    header = read_header(file)
    if header.method != "vblora" or header.bank is not None:
        raise AdapterFileError(
            f"{file}: this adapter holds no bank of its own; give the file that its bank is in"
        )
    tensors = decoded(read_all(file, header.sha256))
    vectors = next((tensors[name] for name in VECTORS if name in tensors), None)
    if vectors is None or vectors.dim() != 2 or vectors.dtype != torch.float32:
        raise AdapterFileError(f"{file}: its bank is no float32 matrix")
    return vectors


def _of_store(path: Path, wanted: str | None) -> Tensor:
    store = StoreFile(path, "r")
    try:
        found = [wanted] if wanted is not None else store.banks()
        if len(found) != 1:
            raise AdapterFileError(
                f"{path}: holds {len(found)} banks; give the file of an adapter with the one"
            )
        vectors = store.bank(found[0])
        check_identity(path, vectors, found[0])
        return vectors
    finally:
        store.close()


def check_identity(path: Path, vectors: Tensor, wanted: str) -> None:
    """Refuse a store's bank that has other values than its identity says.

    Raises:
        AdapterFileError: it has.
    """
    if identity(vectors) != wanted:
        raise AdapterFileError(f"{path}: damaged: the bank {wanted[:12]}… has other values")
