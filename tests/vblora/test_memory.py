import mmap

import pytest
import torch

from vblora import memory


@pytest.mark.parametrize("limit", [0, memory.HEAP_LIMIT])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zeros_are_zero_writable_and_outlive_what_they_were_made_like(limit, dtype, monkeypatch):
    monkeypatch.setattr(memory, "HEAP_LIMIT", limit)
    like = torch.randn(7, 300).to(dtype)
    found = memory.zeros(like)
    del like
    assert (found.shape, found.dtype) == ((7, 300), dtype) and not found.any()
    found.add_(1)
    assert found.sum() == 7 * 300 and found.is_contiguous()


# Fails if the error of a kernel without huge pages is passed on.
def test_a_kernel_without_huge_pages_will_do(monkeypatch):
    class Refusing(mmap.mmap):
        def madvise(self, option):
            raise OSError("Invalid argument")

    monkeypatch.setattr(memory, "HEAP_LIMIT", 0)
    monkeypatch.setattr(memory.mmap, "mmap", Refusing)
    assert not memory.zeros(torch.ones(3, 5)).any()
