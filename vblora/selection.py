"""Which logits of each row are the k largest, found faster than by `torch.topk` where k is small.

`torch.topk` sorts parts of a row one element at a time. Maxima are found many at a time: one round of maxima
gives the largest, the next one, without it, the second. Of a long row only those k blocks of columns are
looked into that have the largest maxima: no other block can hold one of the k largest.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vblora.once import traced

MOST_ROUNDS = 4
BLOCK = 32  # columns; on two CPU cores 32 and 64 were the fastest at 2048 columns
LONG_ROW = 256  # columns; below, rounds over the whole row were faster


def largest(rows: Float[Tensor, "*site h"], k: int) -> Int[Tensor, "*site k"]:
    """Columns of the k largest values in each row, the largest first, as `rows.topk(k).indices`.

    Of equal values either may come. On a GPU and for what `traced` names this is `torch.topk`.
    """
    if k > MOST_ROUNDS or rows.device.type != "cpu" or traced():
        return rows.topk(k, dim=-1).indices
    flat = rows.detach().reshape(-1, rows.shape[-1])
    found = _by_rounds(flat, k) if flat.shape[1] < LONG_ROW else _by_blocks(flat, k)
    return found.view(*rows.shape[:-1], k)


def _by_rounds(rows: Float[Tensor, "n c"], k: int) -> Int[Tensor, "n k"]:
    """By k rounds of maxima, each without the last one's."""
    columns = [rows.max(dim=1, keepdim=True).indices]
    if k > 1:
        rows = rows.scatter(1, columns[0], -torch.inf)  # a copy
    while len(columns) < k:
        columns.append(rows.max(dim=1, keepdim=True).indices)
        rows.scatter_(1, columns[-1], -torch.inf)
    return torch.cat(columns, dim=1)


def _by_blocks(rows: Float[Tensor, "n c"], k: int) -> Int[Tensor, "n k"]:
    """By the maxima of blocks of columns, then within the k best blocks and what is left of the row."""
    (n, width), number = rows.shape, rows.shape[1] // BLOCK
    blocks = rows[:, : number * BLOCK].unflatten(1, (number, BLOCK))  # (n, number, BLOCK)
    best = _by_rounds(blocks.amax(dim=2), k)  # (n, k)
    starts = torch.arange(n, device=rows.device)[:, None]
    candidates = blocks[starts, best].flatten(1)  # (n, k·BLOCK)
    columns = (best[:, :, None] * BLOCK + torch.arange(BLOCK, device=rows.device)).flatten(1)
    if number * BLOCK < width:
        candidates = torch.cat([candidates, rows[:, number * BLOCK :]], dim=1)
        rest = torch.arange(number * BLOCK, width, device=rows.device).expand(n, -1)
        columns = torch.cat([columns, rest], dim=1)
    return columns.gather(1, _by_rounds(candidates, k))
