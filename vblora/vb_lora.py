"""VB-LoRA: every sub-vector of every A and B is a sparse mixture of vectors from one bank.

Source: Li, Han, Ji, NeurIPS 2024 (arXiv 2405.15179).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vblora.adapter import (
    Adapter,
    AdapterConfig,
    ParamGroup,
    check_rank,
    param_group,
    require_number,
    require_whole,
    site_device,
)
from vblora.admixture import SELECTIONS, Rule, check_topk
from vblora.bank import FixedBank, Layout, Subvectors, VectorBank
from vblora.errors import VBLoRAError
from vblora.factors import Composed
from vblora.sites import Site


@dataclass
class VBLoRAConfig(AdapterConfig):
    """Settings of a VB-LoRA adapter; the defaults are the paper's for GLUE (its Table 7).

    Attributes:
        num_vectors: h, vectors in the bank.
        vector_length: b, length of each. It need not divide a layer's size: the last tile is then cut off.
        topk: k, vectors mixed per sub-vector.
        selection: one of `vblora.admixture.SELECTIONS`; all but "topk" are the paper's ablation (Table 5).
        temperature: τ of the Gumbel selections.
        init_logits_std: the logits start as N(0, std). The paper gives 0.01; PEFT's default is 0.1.
        init_bank_bound: the bank starts as U(-bound, bound).
    """

    method: ClassVar[str] = "vblora"

    num_vectors: int = 90
    vector_length: int = 256
    topk: int = 2
    selection: str = "topk"
    temperature: float = 1 / 3
    init_logits_std: float = 0.01
    init_bank_bound: float = 0.02

    def check(self) -> None:
        """Refuse values that no model could serve."""
        super().check()
        for name in ("num_vectors", "vector_length", "topk"):
            require_whole(name, getattr(self, name))
        for name in ("temperature", "init_logits_std", "init_bank_bound"):
            require_number(name, getattr(self, name))
        if self.selection not in SELECTIONS:
            raise VBLoRAError(
                f"selection {self.selection!r} is unknown; choose one of {', '.join(SELECTIONS)}"
            )
        check_topk(self.topk, self.num_vectors)
        if self.temperature == 0:
            raise VBLoRAError("temperature 0 is not above 0")

    def build(self, model: nn.Module, sites: Sequence[Site]) -> VBLoRA:
        """Make the adapter with fresh bank and logits."""
        return VBLoRA(self, sites, site_device(model, sites))

    def shapes(self, sites: Sequence[Site], kind: str) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Bank and logits; or bank, indices and weights."""
        check_rank(self.rank, sites)
        rows = Layout(sites, self.rank, self.vector_length).num_rows
        bank = (self.num_vectors, self.vector_length)
        selection = SELECTIONS[self.selection]
        if kind == "topk":
            k = self.topk if selection.sparse else self.num_vectors
            indices, weights = ((rows, k), index_dtype(self.num_vectors)), ((rows, k - 1), torch.float32)
            return {"vectors": (bank, torch.float32), "indices": indices, "weights": weights}
        names = ["logits", "noise_logits"] if selection.noisy else ["logits"]
        logits = {f"bank.{name}": ((rows, self.num_vectors), torch.float32) for name in names}
        return {"bank.vectors": (bank, torch.float32), **logits}


class VBLoRA(Adapter):
    """A VB-LoRA adapter. Its parameters are `bank.vectors` (h, b) and `bank.logits` (N, h)."""

    config: VBLoRAConfig
    bank: VectorBank | FixedBank

    def __init__(self, config: VBLoRAConfig, sites: Sequence[Site], device: torch.device) -> None:
        """Lay out the sub-vectors of all sites and draw the start values."""
        super().__init__(config, sites)
        self.layout = Layout(sites, config.rank, config.vector_length)
        rule = Rule(config.topk, config.temperature)
        bank = VectorBank(self.layout, config.num_vectors, config.selection, rule, device)
        bank.reset(config.init_bank_bound, config.init_logits_std)
        self.bank = bank
        self.random = SELECTIONS[config.selection].random

    def compose(self) -> Composed:
        """Compose all sub-vectors in one go."""
        return Subvectors(self.layout, self.bank())

    def param_groups(
        self,
        bank_lr: float = 1e-3,
        logits_lr: float = 1e-2,
        head_lr: float | None = None,
        head_weight_decay: float = 0.0,
    ) -> list[ParamGroup]:
        """Optimizer groups for everything that trains: bank, logits, and the modules of `also_train`.

        Neither bank nor logits decay. The default rates are the paper's (Section 4); `head_weight_decay` is
        0.1 in the released GLUE scripts.

        Raises:
            VBLoRAError: `head_lr` is missing though a head trains.
            AdapterStateError: the adapter was loaded from a top-k file.
        """
        self.check_trainable()
        assert isinstance(self.bank, VectorBank)
        noise = [] if self.bank.noise_logits is None else [self.bank.noise_logits]
        return [
            param_group("bank", [self.bank.vectors], bank_lr),
            param_group("logits", [self.bank.logits, *noise], logits_lr),
            *self.head_groups(head_lr, head_weight_decay),
        ]

    def stored(self) -> dict[str, Tensor]:
        """Bank (h, b), chosen indices (N, k) in the smallest unsigned type, and k-1 weights (N, k-1).

        The weights of a sub-vector sum to 1 and its largest is left out: it comes back as 1 - Σ of the
        others, which is at least 1/k and equal to the weight used in training within float32 rounding.
        """
        indices, weights = self.bank.selections()
        return {
            "vectors": self.bank.vectors.detach(),
            "indices": indices.to(index_dtype(self.bank.vectors.shape[0])),
            "weights": weights[:, 1:].contiguous(),
        }

    def fill(self, kind: str, tensors: Mapping[str, Tensor], fingerprint: Tensor | None) -> None:
        """Bank and logits of a "trained" file, or what `stored` gave."""
        if kind != "topk":
            return super().fill(kind, tensors, fingerprint)
        device = self.bank.vectors.device
        self.fix(**{key: value.to(device) for key, value in tensors.items()})

    def fix(self, vectors: Tensor, indices: Tensor, weights: Tensor) -> None:
        """Use what `stored` gave in place of bank and logits; the adapter can then no longer be trained.

        Raises:
            VBLoRAError: an index or a weight is impossible.
        """
        _check_selections(vectors, indices, weights)
        largest = 1 - weights.sum(dim=1, keepdim=True)
        self.bank = FixedBank(self.layout, vectors, indices.long(), torch.cat([largest, weights], dim=1))
        self.trainable = False
        self.refresh()

    def site_logits(self, site: Site | str) -> tuple[Tensor, Tensor]:
        """Views of one site's logits, A (r, ⌈i/b⌉, h) and B (r, ⌈o/b⌉, h).

        PEFT keeps the same values as `logits_A` (r, i/b, h) and `logits_B` (o/b, r, h): B with its first two
        axes swapped.
        """
        self.check_trainable()
        assert isinstance(self.bank, VectorBank)
        name = site if isinstance(site, str) else site.name
        place = [own.name for own in self.sites].index(name)
        blocks = zip(self.layout.groups, self.layout.blocks(self.bank.logits), strict=True)
        members, (A, B) = next((group.members, pair) for group, pair in blocks if place in group.members)
        row = members.index(place)
        return A[row], B[row]


def _check_selections(vectors: Tensor, indices: Tensor, weights: Tensor) -> None:
    """Refuse indices and weights that no training can have given.

    Raises:
        VBLoRAError: an index is outside the bank, a weight is negative, or the largest is below 1/k.
    """
    h, k = vectors.shape[0], indices.shape[1]
    chosen = indices.long()
    if bool(((chosen < 0) | (chosen >= h)).any()):
        raise VBLoRAError(f"an index points beyond the {h} vectors of the bank")
    rounding = 1e-5
    if bool((weights < 0).any() or (weights.sum(dim=1) > 1 - 1 / k + rounding).any()):
        raise VBLoRAError(
            f"the weights of a sub-vector are negative or leave less than 1/{k} for the largest"
        )


def index_dtype(num_vectors: int) -> torch.dtype:
    """The smallest type that counts to h: one byte for h ≤ 256, as in the paper, two for h ≤ 65,536."""
    if num_vectors <= 2**8:
        return torch.uint8
    return torch.uint16 if num_vectors <= 2**16 else torch.int32
