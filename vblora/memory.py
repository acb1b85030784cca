"""Large blocks of main memory that cost little to make in every step."""

import contextlib
import math
import mmap

import torch
from torch import Tensor

# glibc gives larger blocks back to the system when they are freed, so every page of the next one is new.
HEAP_LIMIT = 32 * 2**20


def keep_freed_blocks() -> None:
    """Let glibc keep freed blocks of up to 32 MiB for the next allocation.

    It does so for blocks as large as the largest that was freed before (mallopt(3), M_MMAP_THRESHOLD). A
    training with large activations has freed one sooner or later; here it happens at once, to a block that
    is never touched. Other systems' allocators take no notice.
    """
    torch.empty(HEAP_LIMIT - 2**20, dtype=torch.uint8)


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
