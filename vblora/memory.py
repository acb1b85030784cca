"""Zeros that are cheap to make however large they are."""

import contextlib
import math
import mmap

import torch
from torch import Tensor

# glibc gives larger blocks back to the system when they are freed, so every page of the next one is new.
HEAP_LIMIT = 32 * 2**20


def zeros(like: Tensor) -> Tensor:
    """A tensor of zeros of this one's shape, type and device.

    The dense gradient of the logits is made anew in each step. Above 32 MiB of main memory most of its cost
    is that of touching new pages of 4 KiB; here it lies on pages of 2 MiB where the system has them
    (Linux, transparent huge pages), which come as zeros.
    """
    size = math.prod(like.shape) * like.element_size()
    if like.device.type != "cpu" or size <= HEAP_LIMIT or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros_like(like, memory_format=torch.contiguous_format)
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them: small pages, zero all the same
        block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=like.dtype).view(like.shape)
