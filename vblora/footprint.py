"""Which bank vectors each sub-vector selected, and when: the selection footprint of a training run.

    recorder = footprint.Recorder(adapter, num_steps=1000)
    with recorder:
        for step in range(1000):
            recorder.begin(step)
            ...                                     # forward, backward, optimizer step
    found = recorder.footprint()                    # `footprint_file` writes and reads it

Source: Li et al. 2024, Figures 3 to 8. A composition in training tells the recorder what it chose, noise
included, so nothing is computed twice. The selections of all sub-vectors are kept as they were first and
last; how often a vector was selected is counted for a sample of the sub-vectors, period by period.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vblora.bank import Layout, VectorBank
from vblora.errors import AdapterStateError
from vblora.vb_lora import VBLoRA

NUM_PERIODS = 30  # as many as the epochs of the paper's Figure 5
NUM_WATCHED = 96  # sub-vectors, as in the paper's Figures 3 and 5
SIDES = ("A", "B")


@dataclass(frozen=True)
class Footprint:
    """What was selected, on the CPU; M combinations of period, sub-vector and vector occurred.

    Attributes:
        sites: names of the adapted sites.
        site, side: of each sub-vector (N), an index into `sites` and into `SIDES`.
        vectors: the bank at the end (h, b).
        first, last: the selected vectors at the start and at the end (N, k), the largest weight first.
        weights: of `last` (N, k); each row sums to 1.
        watched: the sub-vectors whose selections were counted (W).
        counts: (M, 4): period, place in `watched`, vector, compositions in training that selected it.
        num_periods: equal parts of training.
        num_steps: optimiser steps of the whole training.
    """

    sites: list[str]
    site: Int[Tensor, " N"]
    side: Int[Tensor, " N"]
    vectors: Float[Tensor, "h b"]
    first: Int[Tensor, "N k"]
    last: Int[Tensor, "N k"]
    weights: Float[Tensor, "N k"]
    watched: Int[Tensor, " W"]
    counts: Int[Tensor, "M 4"]
    num_periods: int
    num_steps: int

    def selected(self, first_period: int = 0, last_period: int | None = None) -> Int[Tensor, "W h"]:
        """How often each watched sub-vector selected each vector, over periods from the first to the last."""
        end = self.num_periods - 1 if last_period is None else last_period
        inside = self.counts[(self.counts[:, 0] >= first_period) & (self.counts[:, 0] <= end)]
        inside = inside.long()
        found = torch.zeros(len(self.watched), len(self.vectors), dtype=torch.int64)
        return found.index_put_((inside[:, 1], inside[:, 2]), inside[:, 3], accumulate=True)

    def usage(self) -> Int[Tensor, " h"]:
        """How many sub-vectors select each vector at the end."""
        return self.last.flatten().bincount(minlength=len(self.vectors))

    def weight_sums(self, rows: Tensor | None = None) -> Float[Tensor, " h"]:
        """The weights that the chosen sub-vectors, all by default, give each vector at the end, summed."""
        last, weights = (self.last, self.weights) if rows is None else (self.last[rows], self.weights[rows])
        sums = torch.zeros(len(self.vectors), dtype=weights.dtype)
        return sums.index_add_(0, last.flatten().long(), weights.flatten())

    def subvectors(self) -> Float[Tensor, "N b"]:
        """The sub-vectors as they are composed at the end."""
        return torch.einsum("nk,nkb->nb", self.weights, self.vectors[self.last.long()])


class Recorder:
    """Records the footprint of one adapter while it trains; entered, it listens.

    Args:
        adapter: a VB-LoRA adapter that trains.
        num_steps: optimiser steps of the whole training.
        num_periods: equal parts of training that are counted apart; at most `num_steps`.
        num_watched: sub-vectors whose selections are counted, evenly spread over all.

    Raises:
        AdapterStateError: the adapter selects nothing anew, as it was loaded from a top-k file.
    """

    def __init__(
        self,
        adapter: VBLoRA,
        num_steps: int,
        num_periods: int = NUM_PERIODS,
        num_watched: int = NUM_WATCHED,
    ) -> None:
        if not isinstance(adapter.bank, VectorBank):
            raise AdapterStateError("a top-k file's selections are fixed: there is no footprint to record")
        self.adapter, self.bank, self.num_steps = adapter, adapter.bank, num_steps
        self.num_periods = max(1, min(num_periods, num_steps))
        rows, device = adapter.layout.num_rows, self.bank.logits.device
        number = min(num_watched, rows)
        self.watched = (torch.arange(number) * rows) // number
        self._rows = self.watched.to(device)
        self._counts = torch.zeros(number, len(self.bank.vectors), dtype=torch.int32, device=device)
        self._ones = torch.ones(1, 1, dtype=torch.int32, device=device)
        self._period, self._past = 0, torch.empty(0, 4, dtype=torch.int64)
        self.first = self.bank.mixtures().columns.cpu().int()

    def __enter__(self) -> "Recorder":
        """Listen from now on."""
        self.bank.watch = self._note
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.bank.watch = None

    def begin(self, step: int) -> None:
        """Say which optimiser step comes next, counted from 0."""
        period = min(step * self.num_periods // max(self.num_steps, 1), self.num_periods - 1)
        if period != self._period:
            self._past = self._so_far()
            self._counts.zero_()
            self._period = period

    def footprint(self) -> Footprint:
        """What was recorded, with bank and selections as they are now."""
        chosen, layout = self.bank.mixtures(), self.adapter.layout
        site, side = _origins(layout, len(self.adapter.sites))
        return Footprint(
            sites=[site.name for site in self.adapter.sites],
            site=site,
            side=side,
            vectors=self.bank.vectors.detach().cpu().clone(),
            first=self.first,
            last=chosen.columns.cpu().int(),
            weights=chosen.scores.softmax(dim=1).cpu(),
            watched=self.watched.int(),
            counts=self._so_far().int(),
            num_periods=self.num_periods,
            num_steps=self.num_steps,
        )

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold for the recording to go on."""
        return {"first": self.first, "counts": self._so_far(), "period": torch.tensor(self._period)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint of the same training."""
        self.first, self._past = state["first"], state["counts"]
        self._period = int(state["period"])
        now = self._past[:, 0] == self._period
        self._counts.zero_()
        open_counts = self._past[now].to(self._counts.device)
        self._counts[open_counts[:, 1], open_counts[:, 2]] = open_counts[:, 3].int()
        self._past = self._past[~now]

    def _note(self, indices: Int[Tensor, "N k"]) -> None:
        chosen = indices[self._rows]
        self._counts.scatter_add_(1, chosen, self._ones.expand_as(chosen))

    def _so_far(self) -> Int[Tensor, "M 4"]:
        """The counts of past periods, and of this one up to now."""
        counts = self._counts.cpu()
        where = counts.nonzero()
        found = torch.cat(
            [torch.full((len(where), 1), self._period), where, counts[counts > 0].long()[:, None]], dim=1
        )
        return torch.cat([self._past, found])


def _origins(layout: Layout, num_sites: int) -> tuple[Tensor, Tensor]:
    """The site and the side of each row of the logits."""
    site = torch.zeros(layout.num_rows, dtype=torch.int32)
    side = torch.zeros(layout.num_rows, dtype=torch.int32)
    for place in range(num_sites):
        for number, rows in enumerate(layout.site_rows(site, place)):
            rows.fill_(place)
            layout.site_rows(side, place)[number].fill_(number)
    return site, side
