"""Packed numbers and numbered sets, against counting by hand and `itertools`."""

import itertools
import math

import pytest
import torch

from vblora import packing
from vblora.errors import VBLoRAError


# Fails if bytes are filled from their highest bit.
def test_bits_by_hand():
    """5, 1, 6 with 3 bits each, the lowest first: 101 100 011 -> 10110001 | 1."""
    packed = packing.pack(torch.tensor([5, 1, 6]), 3)
    assert packed.tolist() == [0b10001101, 0b1]
    assert packing.unpack(packed, 3, 3).tolist() == [5, 1, 6]


@pytest.mark.parametrize("bits", [0, 1, 7, 8, 11, 21, 62])
@pytest.mark.parametrize("number", [0, 1, 8, 1001])
def test_numbers_come_back(bits, number):
    values = torch.randint(0, 2**bits, (number,), generator=torch.Generator().manual_seed(bits))
    packed = packing.pack(values, bits)
    assert len(packed) == packing.packed_bytes(number, bits) == math.ceil(number * bits / 8)
    assert torch.equal(packing.unpack(packed, number, bits), values)


def test_what_follows_the_last_number_must_be_zero():
    packed = packing.pack(torch.tensor([5, 1, 6]), 3)
    packed[1] += 128
    with pytest.raises(VBLoRAError, match="do not end in zeros"):
        packing.unpack(packed, 3, 3)


@pytest.mark.parametrize("h, k", [(6, 1), (6, 2), (7, 3), (9, 5), (4, 4)])
def test_sets_are_numbered_in_colexicographic_order(h, k):
    ordered = sorted(itertools.combinations(range(h), k), key=lambda chosen: chosen[::-1])
    columns = torch.tensor(ordered)
    numbers = packing.set_numbers(columns, h)
    assert numbers.tolist() == list(range(math.comb(h, k)))
    assert torch.equal(packing.sets_numbered(numbers, h, k), columns)
    with pytest.raises(VBLoRAError, match="stands for no choice"):
        packing.sets_numbered(numbers + 1, h, k)


def test_bits_of_a_set():
    assert packing.set_bits(90, 2) == 12 and packing.set_bits(2048, 2) == 21  # C: 4,005 and 2,096,128
    assert packing.set_bits(90, 90) == 0
    assert packing.set_bits(90, 45) is None and packing.set_bits(10**15, 10**9) is None
