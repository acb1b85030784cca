"""Footprints made up for tests: no run stands behind them."""

from pathlib import Path

import torch

from experiments import records
from experiments.records import RunRecord
from vblora import footprint_file
from vblora.footprint import Footprint

LAYERS, TILES, VECTORS, LENGTH = 6, 4, 10, 3
SITES = [
    f"encoder.layer.{number}.attention.self.{role}" for number in range(LAYERS) for role in ("query", "value")
]


def footprint(topk: int = 2, seed: int = 0) -> Footprint:
    """Each site has TILES sub-vectors in A and in B; sub-vector n selects vectors n, n + 1, … at the end."""
    rows = len(SITES) * 2 * TILES
    numbers = torch.arange(rows)
    last = ((numbers[:, None] + torch.arange(topk)) % VECTORS).int()
    counts = [[period, row, int(v), 5] for period in range(6) for row in range(rows) for v in last[row]]
    return Footprint(
        sites=SITES,
        site=(numbers // (2 * TILES)).int(),
        side=(numbers // TILES % 2).int(),
        vectors=torch.randn(VECTORS, LENGTH, generator=torch.Generator().manual_seed(seed)),
        first=((last + 1) % VECTORS).int(),
        last=last,
        weights=torch.full((rows, topk), 1 / topk),
        watched=numbers.int(),
        counts=torch.tensor(counts, dtype=torch.int32),
        num_periods=6,
        num_steps=30,
    )


def leave(record: RunRecord, root: Path, found: Footprint | None = None) -> Path:
    """Write a record and a footprint beside it."""
    path = records.write(record, root).with_suffix(".footprint.safetensors")
    footprint_file.save(found or footprint(), path)
    return path
