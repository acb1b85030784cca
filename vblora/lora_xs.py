"""LoRA-XS: a frozen frame from the singular values of each weight, and one trained r×r matrix between.

ΔW = U R Σ Vᵀ with W ≈ U Σ Vᵀ truncated to rank r        Bałazy et al. 2024 (arXiv 2405.17604)

A = Σ Vᵀ (r, i) and B = U R (o, r). The frame is not stored: it is computed again from the base model, with
canonical signs, and a fingerprint tells whether it came out the same. Of a 4- or 8-bit layer the dequantised
weight is decomposed: what is trained on it is not loaded onto the weights as they were before quantisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vblora.adapter import AdapterConfig, OneRateAdapter, require_number, site_device
from vblora.encoding import Shapes
from vblora.errors import AdapterFileError, VBLoRAError
from vblora.factors import Pairs
from vblora.once import once
from vblora.sharding import whole
from vblora.sites import Site, dense_weight

FINGERPRINT_TOLERANCE = 0.02  # relative; bfloat16 copies of one weight differ by about 0.004


@dataclass
class LoRAXSConfig(AdapterConfig):
    """Settings of a LoRA-XS adapter.

    Attributes:
        init_std: R starts as N(0, std).
    """

    method: ClassVar[str] = "lora_xs"

    rank: int = 64
    init_std: float = 1e-5

    def check(self) -> None:
        """Refuse values that no model could serve."""
        super().check()
        require_number("init_std", self.init_std)

    def build(self, model: nn.Module, sites: Sequence[Site]) -> LoRAXS:
        """Decompose the weight of every site."""
        return LoRAXS(self, model, sites)

    def shapes(self, sites: Sequence[Site], kind: str, precision: str) -> Shapes:
        """R for both kinds."""
        return {"R": ((len(sites), self.rank, self.rank), torch.float32)}


@torch.no_grad()
def frame(weight: Float[Tensor, "o i"], rank: int) -> tuple[Float[Tensor, "r i"], Float[Tensor, "o r"]]:
    """A = Σ Vᵀ and U of the rank-r singular value decomposition, in float32.

    A singular vector's sign is free; here the entry of U that is largest in size is made positive.

    Raises:
        VBLoRAError: the weight is not finite.
    """
    if not bool(torch.isfinite(weight).all()):
        raise VBLoRAError("the weight holds NaN or infinity and has no singular value decomposition")
    U, sigma, Vt = torch.linalg.svd(weight.float(), full_matrices=False)
    U, sigma, Vt = U[:, :rank], sigma[:rank], Vt[:rank]
    largest = U.abs().argmax(dim=0, keepdim=True)
    signs = U.gather(0, largest).sign().squeeze(0)
    return ((signs * sigma)[:, None] * Vt).contiguous(), (U * signs).contiguous()


def probe(A: Float[Tensor, "r i"], U: Float[Tensor, "o r"]) -> Float[Tensor, "3 r"]:
    """Three numbers per singular direction: inner products with a fixed wave, and the singular value."""
    wave_in = torch.cos(torch.arange(A.shape[1], device=A.device, dtype=torch.float32))
    wave_out = torch.cos(torch.arange(U.shape[0], device=U.device, dtype=torch.float32))
    sigma = A.norm(dim=1)
    return torch.stack([A @ wave_in / sigma.clamp_min(1e-12), wave_out @ U, sigma])


class LoRAXS(OneRateAdapter):
    """A LoRA-XS adapter: `R` (sites, r, r) trains; the frames A and U are buffers outside the state dict.

    The state dict holds their `fingerprint` (sites, 3, r), and R of other frames is not taken from one.
    """

    config: LoRAXSConfig
    fingerprint: Tensor

    def __init__(self, config: LoRAXSConfig, model: nn.Module, sites: Sequence[Site]) -> None:
        """Compute the frames and draw R."""
        super().__init__(config, sites)
        probes = []
        for place, site in enumerate(self.sites):
            A, U = frame(_site_weight(model, site), config.rank)
            self.register_buffer(f"A{place}", A, persistent=False)
            self.register_buffer(f"U{place}", U, persistent=False)
            probes.append(probe(A, U))
        device = site_device(model, sites)
        self.register_buffer("fingerprint", torch.stack([each.to(device) for each in probes]))
        shape = (len(self.sites), config.rank, config.rank)
        start = torch.empty(shape, device=device, dtype=torch.float32)
        self.R = nn.Parameter(start.normal_(std=config.init_std))

    def _frame(self, place: int) -> tuple[Tensor, Tensor]:
        return cast(Tensor, getattr(self, f"A{place}")), cast(Tensor, getattr(self, f"U{place}"))

    def compose(self) -> Pairs:
        """A = Σ Vᵀ and Bᵀ = (U R)ᵀ for every site."""
        factors = []
        for place, R in enumerate(self.R.unbind(0)):
            A, U = self._frame(place)
            factors.append((A, once(lambda R, U: R.mT @ U.mT, R, U)))
        return Pairs(factors)

    def fingerprint_of_base(self) -> Tensor:
        """What tells frames apart, (sites, 3, r); see `probe`."""
        return self.fingerprint

    def check_fingerprint(self, stored: Tensor) -> None:
        """Refuse R that was trained between other frames.

        Raises:
            AdapterFileError: the base weights differ from those of training.
        """
        stored = stored.to(self.fingerprint)
        distance = (self.fingerprint - stored).abs().amax(dim=(0, 2))  # of each of the three numbers
        reach = stored.abs().amax(dim=(0, 2)).clamp_min(1e-12)
        worst = float((distance / reach).max())
        if not worst <= FINGERPRINT_TOLERANCE:
            cause = f"the adapter was trained on other base weights (fingerprint off by {worst:.2g})"
            raise AdapterFileError(f"{cause}; load the same base model before attaching")

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        stored = state_dict.get(f"{prefix}fingerprint")
        if stored is not None:
            self.check_fingerprint(stored)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _site_weight(model: nn.Module, site: Site) -> Tensor:
    rows = whole(dense_weight(model.get_submodule(site.layer)))  # (o, i)
    return rows[site.start : site.start + site.out_features]
