"""VectorBank: the shared vectors, the logits of every sub-vector, and their composition in one go.

Rows of `logits` are ordered so that sites of one shape lie together. A group of S sites of shape (i, o) takes
S·r·⌈i/b⌉ rows for its A, [site, ρ, tile], then S·r·⌈o/b⌉ rows for its B, [site, ρ, tile]: one view then
serves all of them. Row ρ of A and column ρ of B are their tiles in a line. (PEFT stores B as [tile, ρ]; see
`site_logits`.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vblora import admixture
from vblora.once import once
from vblora.sites import Site


def num_tiles(features: int, vector_length: int) -> int:
    """Sub-vectors that cover `features` values: ⌈features / b⌉; the last may be cut off."""
    return -(-features // vector_length)


@dataclass(frozen=True)
class Group:
    """Sites of one shape: their places in the adapter's list, and where their rows begin."""

    members: tuple[int, ...]
    in_features: int
    out_features: int
    start: int


class Layout:
    """Where each site's sub-vectors stand among the N rows of the logits."""

    def __init__(self, sites: Sequence[Site], rank: int, vector_length: int) -> None:
        """Lay out `sites`, group by group in the order in which their shapes first appear."""
        self.rank, self.vector_length = rank, vector_length
        self.groups: list[Group] = []
        self.num_rows = 0
        shapes: dict[tuple[int, int], list[int]] = {}
        for index, site in enumerate(sites):
            shapes.setdefault((site.in_features, site.out_features), []).append(index)
        for (inputs, outputs), members in shapes.items():
            self.groups.append(Group(tuple(members), inputs, outputs, self.num_rows))
            self.num_rows += len(members) * (self._rows(inputs) + self._rows(outputs))

    def _rows(self, features: int) -> int:
        return self.rank * num_tiles(features, self.vector_length)

    def blocks(self, rows: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """Views of a group's rows in a tensor of N rows: A (S, r, tiles, …) and B (S, r, tiles, …)."""
        count, tail = len(group.members), rows.shape[1:]
        middle = group.start + count * self._rows(group.in_features)
        end = middle + count * self._rows(group.out_features)
        A, B = rows[group.start : middle], rows[middle:end]  # (S·r·tiles, …)
        return A.view(count, self.rank, -1, *tail), B.view(count, self.rank, -1, *tail)

    def factors(self, composed: Float[Tensor, "N b"]) -> list[tuple[Tensor, Tensor]]:
        """View composed sub-vectors as (A (r, i), Bᵀ (r, o)) for each site, in the order of the sites."""
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for group in self.groups:
            A, Bt = self.blocks(composed, group)  # (S, r, tiles, b)
            As = A.flatten(2)[..., : group.in_features].unbind(0)
            Bts = Bt.flatten(2)[..., : group.out_features].unbind(0)
            found.update(zip(group.members, zip(As, Bts, strict=True), strict=True))
        return [found[index] for index in range(len(found))]


class VectorBank(nn.Module):
    """The trainable state of a VB-LoRA adapter: `vectors` (h, b) and `logits` (N, h), in float32.

    The bank starts as U(-bound, bound), the logits as N(0, std). A noisy selection also owns `noise_logits`
    (N, h).
    """

    noise_logits: nn.Parameter | None

    def __init__(
        self, layout: Layout, num_vectors: int, selection: str, rule: admixture.Rule, device: torch.device
    ) -> None:
        """Allocate the tensors; `reset` draws their start values."""
        super().__init__()
        self.layout, self.selection, self.rule = layout, selection, rule
        form: dict[str, Any] = {"device": device, "dtype": torch.float32}  # whatever torch's default is
        self.vectors = nn.Parameter(torch.empty(num_vectors, layout.vector_length, **form))
        self.logits = nn.Parameter(torch.empty(layout.num_rows, num_vectors, **form))
        noisy = admixture.SELECTIONS[selection].noisy
        self.noise_logits = nn.Parameter(torch.empty_like(self.logits)) if noisy else None

    def reset(self, bank_bound: float, logits_std: float) -> None:
        """Draw the start values of bank and logits from the global generator."""
        nn.init.uniform_(self.vectors, -bank_bound, bank_bound)
        nn.init.normal_(self.logits, std=logits_std)
        if self.noise_logits is not None:
            nn.init.normal_(self.noise_logits, std=logits_std)

    def forward(self) -> Float[Tensor, "N b"]:
        """Compose every sub-vector of the model, in float32 also under autocast."""
        rule, training = self.rule, self.training

        def composed(logits: Tensor, vectors: Tensor, noise_logits: Tensor | None = None) -> Tensor:
            return admixture.compose(self.selection, logits, noise_logits, vectors, rule, training)

        noise = () if self.noise_logits is None else (self.noise_logits,)
        return once(composed, self.logits, self.vectors, *noise)

    def selections(self) -> tuple[Int[Tensor, "N k"], Float[Tensor, "N k"]]:
        """The chosen vectors and their weights at inference, largest first."""
        topk = self.rule.topk if admixture.SELECTIONS[self.selection].sparse else self.vectors.shape[0]
        with torch.no_grad():
            return admixture.select(self.logits, topk)


class FixedBank(nn.Module):
    """A bank whose selections are chosen for good, as in a top-k file: it composes and cannot be trained."""

    vectors: Tensor
    indices: Tensor
    weights: Tensor

    def __init__(self, layout: Layout, vectors: Tensor, indices: Tensor, weights: Tensor) -> None:
        """Keep `vectors` (h, b), `indices` (N, k) and their `weights` (N, k)."""
        super().__init__()
        self.layout = layout
        self.register_buffer("vectors", vectors)
        self.register_buffer("indices", indices)
        self.register_buffer("weights", weights)

    def forward(self) -> Float[Tensor, "N b"]:
        """Compose every sub-vector of the model."""
        return admixture.mix(self.indices, self.weights, self.vectors)

    def selections(self) -> tuple[Int[Tensor, "N k"], Float[Tensor, "N k"]]:
        """The stored vectors' indices and weights."""
        return self.indices, self.weights
