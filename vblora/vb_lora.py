"""VB-LoRA: every sub-vector of every A and B is a sparse mixture of vectors from one bank.

Source: Li, Han, Ji, NeurIPS 2024 (arXiv 2405.15179).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vblora.adapter import (
    Adapter,
    AdapterConfig,
    ParamGroup,
    Saved,
    check_rank,
    param_group,
    require_number,
    require_whole,
    site_device,
)
from vblora.admixture import SELECTIONS, Rule, check_topk
from vblora.bank import FixedBank, Layout, Subvectors, VectorBank
from vblora.banks import identity, read_bank
from vblora.encoding import Mixtures, Shapes, mixture_shapes, mixtures
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
        bank: file or folder of an adapter whose bank of vectors this one starts from; it must be (h, b).
        train_bank: the bank trains. Without, only selections against the `bank` are learned and saved: the
            adapter's files tell the bank by its identity, and another one is refused.
        init_logits_std: the logits start as N(0, std). The paper gives 0.01; PEFT's default is 0.1.
        init_bank_bound: the bank starts as U(-bound, bound).
    """

    method: ClassVar[str] = "vblora"

    num_vectors: int = 90
    vector_length: int = 256
    topk: int = 2
    selection: str = "topk"
    temperature: float = 1 / 3
    bank: str | os.PathLike[str] | None = None
    train_bank: bool = True
    init_logits_std: float = 0.01
    init_bank_bound: float = 0.02

    def check(self) -> None:
        """Refuse values that no model could serve."""
        super().check()
        for name in ("num_vectors", "vector_length", "topk"):
            require_whole(name, getattr(self, name))
        for name in ("temperature", "init_logits_std", "init_bank_bound"):
            require_number(name, getattr(self, name))
        if not isinstance(self.selection, str) or self.selection not in SELECTIONS:
            raise VBLoRAError(
                f"selection {self.selection!r} is unknown; choose one of {', '.join(SELECTIONS)}"
            )
        check_topk(self.topk, self.num_vectors)
        if self.temperature == 0:
            raise VBLoRAError("temperature 0 is not above 0")
        if not isinstance(self.train_bank, bool) or not isinstance(self.bank, str | os.PathLike | None):
            raise VBLoRAError(
                f"bank {self.bank!r} is no path, or train_bank {self.train_bank!r} neither true nor false"
            )

    def build(self, model: nn.Module, sites: Sequence[Site]) -> VBLoRA:
        """Make the adapter with fresh logits, and a fresh bank or that of a file."""
        vectors = self.starting_bank()
        adapter = VBLoRA(self, sites, self._trained_bank(model, sites, None if self.train_bank else vectors))
        adapter.start(vectors)
        return adapter

    def starting_bank(self) -> Tensor | None:
        """The bank (h, b) that `bank` names; None if a fresh one is to be drawn.

        Raises:
            VBLoRAError: a bank is needed and none is named, or it has other sizes.
            AdapterFileError: there is no such file, or it holds no bank.
        """
        if self.bank is None and not self.train_bank:
            raise VBLoRAError(
                "train_bank=False needs a bank to learn against; give bank=path to an adapter's file"
            )
        return None if self.bank is None else self._checked_bank(read_bank(self.bank))

    def restore(
        self, model: nn.Module, sites: Sequence[Site], kind: str, precision: str, saved: Saved
    ) -> VBLoRA:
        """The adapter of a file; no start values are drawn."""
        tensors, device = saved.tensors, site_device(model, sites)
        shared = None if saved.bank is None else self._checked_bank(saved.bank)
        rows = None if saved.sites is None else self._rows(sites, saved.sites)
        if kind == "trained":
            adapter = VBLoRA(self, sites, self._trained_bank(model, sites, shared))
            logits = [key for key in tensors if key.endswith("logits")] if rows is not None else []
            adapter.load_state_dict({**tensors, **{key: tensors[key][rows] for key in logits}})
            return adapter
        chosen = mixtures(tensors["indices"], tensors["weights"], self.num_vectors, precision)
        chosen = chosen if rows is None else Mixtures(chosen.columns[rows], chosen.scores[rows])
        vectors = tensors["vectors"] if shared is None else shared
        return VBLoRA(self, sites, FixedBank(self.layout(sites), vectors, chosen, device))

    def _rows(self, sites: Sequence[Site], others: Sequence[Site]) -> Tensor:
        names = [site.name for site in others]
        return self.layout(sites).reordered(self.layout(others), [names.index(site.name) for site in sites])

    def layout(self, sites: Sequence[Site]) -> Layout:
        """Where the sub-vectors of these sites stand among the rows of the logits."""
        return Layout(sites, self.rank, self.vector_length)

    def _trained_bank(self, model: nn.Module, sites: Sequence[Site], frozen: Tensor | None) -> VectorBank:
        rule, device = Rule(self.topk, self.temperature), site_device(model, sites)
        return VectorBank(self.layout(sites), self.num_vectors, self.selection, rule, device, frozen)

    def _checked_bank(self, vectors: Tensor) -> Tensor:
        if vectors.shape != (self.num_vectors, self.vector_length):
            raise VBLoRAError(
                f"the bank holds {vectors.shape[0]} vectors of length {vectors.shape[1]};"
                f" set num_vectors ({self.num_vectors}) and vector_length ({self.vector_length}) to these"
            )
        return vectors

    def shapes(self, sites: Sequence[Site], kind: str, precision: str) -> Shapes:
        """Bank and logits; or bank, packed indices and weights. A shared bank is not in the file."""
        check_rank(self.rank, sites)
        rows, selection = self.layout(sites).num_rows, SELECTIONS[self.selection]
        vectors: Shapes = {"vectors": ((self.num_vectors, self.vector_length), torch.float32)}
        vectors = vectors if self.train_bank else {}
        if kind == "topk":
            k = self.topk if selection.sparse else self.num_vectors
            return vectors | mixture_shapes(rows, self.num_vectors, k, precision)
        names = ["logits", "noise_logits"] if selection.noisy else ["logits"]
        logits = {f"bank.{name}": ((rows, self.num_vectors), torch.float32) for name in names}
        return {f"bank.{name}": value for name, value in vectors.items()} | logits


class VBLoRA(Adapter):
    """A VB-LoRA adapter. Its parameters are `bank.vectors` (h, b) and `bank.logits` (N, h)."""

    config: VBLoRAConfig
    bank: VectorBank | FixedBank

    def __init__(self, config: VBLoRAConfig, sites: Sequence[Site], bank: VectorBank | FixedBank) -> None:
        """Take a bank laid out for these sites."""
        super().__init__(config, sites)
        self.layout, self.bank = bank.layout, bank
        self.trainable = isinstance(bank, VectorBank)
        self.random = self.trainable and SELECTIONS[config.selection].random

    def start(self, vectors: Tensor | None = None) -> None:
        """Draw the start values; the bank's may be given."""
        assert isinstance(self.bank, VectorBank)
        self.bank.reset(self.config.init_bank_bound, self.config.init_logits_std)
        if vectors is not None:
            with torch.no_grad():
                self.bank.vectors.copy_(vectors)

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
        vectors = self.bank.vectors
        bank = [param_group("bank", [vectors], bank_lr)] if isinstance(vectors, nn.Parameter) else []
        return [
            *bank,
            param_group("logits", [self.bank.logits, *noise], logits_lr),
            *self.head_groups(head_lr, head_weight_decay),
        ]

    def stored(self) -> dict[str, Tensor]:
        """What the paper counts: the bank (h, b) unless it is shared, the chosen indices, and k-1 weights.

        Indices (N, k) have the smallest unsigned type. Weights (N, k-1) are without the largest, which
        follows from the others.
        """
        chosen = self.bank.mixtures()
        indices = chosen.columns.to(index_dtype(self.config.num_vectors))
        own = {"vectors": self.bank.vectors.detach()} if self.config.train_bank else {}
        return own | {"indices": indices, "weights": chosen.weights()[:, 1:].contiguous()}

    def file_tensors(self, kind: str, precision: str) -> dict[str, Tensor]:
        """Bank and logits, or bank and mixtures; a shared bank is left out."""
        if kind == "trained":
            return dict(self.named_parameters())
        own = {"vectors": self.bank.vectors.detach()} if self.config.train_bank else {}
        return own | self.bank.mixtures().encoded(self.config.num_vectors, precision)

    def shared_bank(self) -> str | None:
        """Identity of the bank that selections are learned against, if it is not the adapter's own."""
        return None if self.config.train_bank else identity(self.bank.vectors)

    def site_logits(self, site: Site | str) -> tuple[Tensor, Tensor]:
        """Views of one site's logits, A (r, ⌈i/b⌉, h) and B (r, ⌈o/b⌉, h).

        PEFT keeps the same values as `logits_A` (r, i/b, h) and `logits_B` (o/b, r, h): B with its first two
        axes swapped.
        """
        self.check_trainable()
        assert isinstance(self.bank, VectorBank)
        name = site if isinstance(site, str) else site.name
        place = [own.name for own in self.sites].index(name)
        return self.layout.site_rows(self.bank.logits, place)


def index_dtype(num_vectors: int) -> torch.dtype:
    """The smallest type that counts to h: one byte for h ≤ 256, as in the paper, two for h ≤ 65,536."""
    if num_vectors <= 2**8:
        return torch.uint8
    return torch.uint16 if num_vectors <= 2**16 else torch.int32
