"""Whole numbers packed to the bits that they need, and sets of k of h as one number.

A set {c_1 < … < c_k} of columns below h has the number Σ C(c_j, j), its place among all such sets in
colexicographic order (Knuth, The Art of Computer Programming 4A, 7.2.1.3). So a set takes ⌈log2 C(h, k)⌉
bits, where k columns one by one take k·⌈log2 h⌉.
"""

import math

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from vblora.errors import VBLoRAError

MOST_BITS = 62  # of a signed 64-bit whole number


def bits_for(count: int) -> int:
    """Bits that tell `count` values apart."""
    return max(count - 1, 0).bit_length()


def packed_bytes(number: int, bits: int) -> int:
    """Bytes of `number` values of so many bits: the last byte is filled with zeros."""
    return -(-number * bits // 8)


def pack(values: Int[Tensor, " n"], bits: int) -> UInt8[Tensor, " m"]:
    """Write values one after the other, the lowest bit first, each byte filled from its lowest bit."""
    places = torch.arange(bits)
    stream = ((values[:, None] >> places) & 1).flatten()
    stream = torch.cat([stream, stream.new_zeros(-len(stream) % 8)]).view(-1, 8)
    return (stream << torch.arange(8)).sum(dim=1).to(torch.uint8)


def unpack(packed: UInt8[Tensor, " m"], number: int, bits: int) -> Int[Tensor, " n"]:
    """Read what `pack` wrote.

    Raises:
        VBLoRAError: a bit behind the last value is not 0.
    """
    stream = ((packed.long()[:, None] >> torch.arange(8)) & 1).flatten()
    if bool(stream[number * bits :].any()):
        raise VBLoRAError("the packed indices do not end in zeros")
    return (stream[: number * bits].view(number, bits) << torch.arange(bits)).sum(dim=1)


def set_bits(h: int, k: int) -> int | None:
    """Bits of a set's number, or None if 64-bit arithmetic is too small for such sets."""
    widest = min(k, h // 2)
    if k < h and (widest > MOST_BITS or bits_for(math.comb(h, widest)) > MOST_BITS):
        return None  # C(h, j) ≥ 2^j, so that a foreign file's k is not even tried
    return bits_for(math.comb(h, k))


def set_numbers(columns: Int[Tensor, "n k"], h: int) -> Int[Tensor, " n"]:
    """The number of each row's set; its columns ascend."""
    if columns.shape[1] == h:
        return columns.new_zeros(len(columns))
    table = _binomials(h, columns.shape[1])
    return torch.stack([table[j + 1][column] for j, column in enumerate(columns.unbind(1))]).sum(dim=0)


def sets_numbered(numbers: Int[Tensor, " n"], h: int, k: int) -> Int[Tensor, "n k"]:
    """The ascending columns of each set, from its number.

    Raises:
        VBLoRAError: a number is that of no set.
    """
    if bool((numbers >= math.comb(h, k)).any()):
        raise VBLoRAError(f"a number stands for no choice of {k} of the {h} vectors")
    if k == h:
        return torch.arange(h).expand(len(numbers), h)
    table, rest, columns = _binomials(h, k), numbers, []
    for j in range(k, 0, -1):
        column = torch.searchsorted(table[j], rest, right=True) - 1  # the largest c with C(c, j) ≤ rest
        rest = rest - table[j][column]
        columns.append(column)
    return torch.stack(columns[::-1], dim=1)


def _binomials(h: int, k: int) -> Int[Tensor, "j h"]:
    """C(c, j) for j ≤ k and c < h."""
    return torch.tensor([[math.comb(c, j) for c in range(h)] for j in range(k + 1)], dtype=torch.int64)
