"""Tied-LoRA: one trained pair A, B for the whole model, and two trained diagonals per site.

ΔW = Λ_v B Λ_u A        Renduchintala, Konuk, Kuchaiev 2023 (arXiv 2311.09578), with all four trained

Sizes above the width d repeat the pair: a site with i = 4d uses A four times side by side, one with o = 4d
uses B four times stacked. This reading gives the parameter counts that the VB-LoRA paper prints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vblora.adapter import AdapterConfig, OneRateAdapter, site_device
from vblora.encoding import Shapes
from vblora.factors import Pairs
from vblora.once import once
from vblora.sites import Site


@dataclass
class TiedLoRAConfig(AdapterConfig):
    """Settings of a Tied-LoRA adapter."""

    method: ClassVar[str] = "tied_lora"

    rank: int = 16

    def build(self, model: nn.Module, sites: Sequence[Site]) -> TiedLoRA:
        """Make the adapter with a fresh pair and diagonals of ones."""
        return TiedLoRA(self, sites, site_device(model, sites))

    def shapes(self, sites: Sequence[Site], kind: str, precision: str) -> Shapes:
        """The same four tensors for both kinds."""
        adapter = TiedLoRA(self, sites, torch.device("meta"))
        return {name: (tuple(p.shape), p.dtype) for name, p in adapter.named_parameters()}


class TiedLoRA(OneRateAdapter):
    """A Tied-LoRA adapter: `A` (r, d), `B` (d, r), `u` (sites, r) and `v` (all outputs in a line).

    The width d is the greatest common divisor of all sides. A starts Kaiming-uniform and B at 0 as in LoRA,
    so ΔW starts at 0; u and v start at 1.
    """

    config: TiedLoRAConfig

    def __init__(self, config: TiedLoRAConfig, sites: Sequence[Site], device: torch.device) -> None:
        """Draw the pair and set the diagonals."""
        super().__init__(config, sites)
        sides = [side for site in self.sites for side in (site.in_features, site.out_features)]
        self.width = math.gcd(*sides)
        form: dict[str, Any] = {"device": device, "dtype": torch.float32}  # whatever torch's default is
        self.A = nn.Parameter(torch.empty(config.rank, self.width, **form))
        self.B = nn.Parameter(torch.zeros(self.width, config.rank, **form))
        self.u = nn.Parameter(torch.ones(len(self.sites), config.rank, **form))
        self.v = nn.Parameter(torch.ones(sum(site.out_features for site in self.sites), **form))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def compose(self) -> Pairs:
        """A = Λ_u [A A …] and Bᵀ = ([B; B; …] scaled by v)ᵀ for every site."""
        outputs = [site.out_features for site in self.sites]
        scales = zip(self.sites, self.u.unbind(0), torch.split(self.v, outputs), strict=True)
        return Pairs([(self._scaled_a(site, u), self._scaled_bt(site, v)) for site, u, v in scales])

    def _scaled_a(self, site: Site, u: Tensor) -> Tensor:
        return once(lambda A, u: u[:, None] * A.repeat(1, site.in_features // self.width), self.A, u)

    def _scaled_bt(self, site: Site, v: Tensor) -> Tensor:
        return once(lambda B, v: v * B.mT.repeat(1, site.out_features // self.width), self.B, v)
