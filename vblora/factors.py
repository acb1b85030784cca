"""Composed factors as layers use them: A and Bᵀ of every site, in a layer's device and type.

Sites that read one input keep their A stacked, so that the input is read once for all of them. Each factor
stands here twice, as autograd tracks it and as a plain transposed view of the same memory: making a view for
every product would cost as many operators as the products themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Down:
    """A of the sites that read one input.

    Attributes:
        A: (S·r, i), site by site; gets the gradient.
        At: (i, S·r), the same values without a gradient.
    """

    A: Tensor
    At: Tensor


@dataclass(frozen=True)
class Up:
    """B of one site.

    Attributes:
        Bt: (r, o); gets the gradient.
        B: (o, r), the same values without a gradient.
    """

    Bt: Tensor
    B: Tensor


@dataclass(frozen=True)
class Factors:
    """The factors of every site.

    Attributes:
        rank: r.
        downs: by set of sites that read one input.
        ups: by site.
        where: by site, its set and its place in it.
    """

    rank: int
    downs: Sequence[Down]
    ups: Sequence[Up]
    where: Sequence[tuple[int, int]]

    def rows(self, place: int) -> Down:
        """A of one site alone: (r, i)."""
        number, row = self.where[place]
        down, chosen = self.downs[number], slice(row * self.rank, (row + 1) * self.rank)
        return Down(down.A[chosen], down.At[:, chosen])

    def pair(self, place: int) -> tuple[Tensor, Tensor]:
        """(A (r, i), B (o, r)) of one site, differentiable."""
        return self.rows(place).A, self.ups[place].Bt.mT

    def size(self, number: int) -> int:
        """How many sites a set has."""
        return self.downs[number].A.shape[0] // self.rank


@runtime_checkable  # so that the tests can check annotations
class Composed(Protocol):
    """What an adapter composes at once: it answers the factors for a device and a type."""

    def factors(self, device: torch.device, dtype: torch.dtype) -> Factors:
        """The factors there, differentiable if gradients are enabled now."""


@dataclass(frozen=True)
class Pairs:
    """Factors that were composed site by site, in float32: (A (r, i), Bᵀ (r, o)) of each."""

    pairs: Sequence[tuple[Tensor, Tensor]]

    def factors(self, device: torch.device, dtype: torch.dtype) -> Factors:
        """Each site is a set of its own."""
        cast = [(A.to(device, dtype), Bt.to(device, dtype)) for A, Bt in self.pairs]
        return Factors(
            rank=cast[0][0].shape[0],
            downs=[Down(A, A.detach().mT) for A, _ in cast],
            ups=[Up(Bt, Bt.detach().mT) for _, Bt in cast],
            where=[(place, 0) for place in range(len(cast))],
        )
