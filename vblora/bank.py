"""VectorBank: the shared vectors, the logits of every sub-vector, and their composition in one go.

Rows of `logits` are ordered so that sites of one shape lie together. A group of S sites of shape (i, o) takes
S·r·⌈i/b⌉ rows for its A, [site, ρ, tile], then S·r·⌈o/b⌉ rows for its B, [site, ρ, tile]: one view then
serves all of them. Row ρ of A and column ρ of B are their tiles in a line. (PEFT stores B as [tile, ρ]; see
`site_logits`.)
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vblora import admixture, memory
from vblora.encoding import Mixtures
from vblora.factors import Down, Factors, Up
from vblora.once import once, traced
from vblora.selection import largest
from vblora.sites import Site, read_one_input


def num_tiles(features: int, vector_length: int) -> int:
    """Sub-vectors that cover `features` values: ⌈features / b⌉; the last may be cut off."""
    return -(-features // vector_length)


@dataclass(frozen=True)
class Group:
    """Sites of one shape.

    Attributes:
        members: their places in the adapter's list.
        sets: how many of them, in their order, read one input together: (3, 1, 3, 1, …).
        in_features, out_features: i and o.
    """

    members: tuple[int, ...]
    sets: tuple[int, ...]
    in_features: int
    out_features: int


class Layout:
    """Where each site's sub-vectors stand among the N rows of the logits."""

    def __init__(self, sites: Sequence[Site], rank: int, vector_length: int) -> None:
        """Lay out `sites`, group by group in the order in which their shapes first appear."""
        self.rank, self.vector_length = rank, vector_length
        shapes: dict[tuple[int, int], list[int]] = {}
        for index, site in enumerate(sites):
            shapes.setdefault((site.in_features, site.out_features), []).append(index)
        self.groups = [
            Group(tuple(members), _sets([sites[place] for place in members]), *shape)
            for shape, members in shapes.items()
        ]
        self.block_rows = [
            len(group.members) * self._rows(side)
            for group in self.groups
            for side in (group.in_features, group.out_features)
        ]
        self.num_rows = sum(self.block_rows)
        self.where = self._where(len(sites))

    def _rows(self, features: int) -> int:
        return self.rank * num_tiles(features, self.vector_length)

    def _where(self, num_sites: int) -> list[tuple[int, int]]:
        """By site: its set, counted over all groups, and its place in it."""
        found, number = [(0, 0)] * num_sites, 0
        for group in self.groups:
            members = iter(group.members)
            for size in group.sets:
                for row in range(size):
                    found[next(members)] = (number, row)
                number += 1
        return found

    def blocks(self, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views of a tensor of N rows by group: A (S, r, tiles, …) and B (S, r, tiles, …)."""
        parts = rows.split(self.block_rows)
        views = [
            part.view(len(group.members), self.rank, -1, *rows.shape[1:])
            for group, pair in zip(self.groups, zip(parts[::2], parts[1::2], strict=True), strict=True)
            for part in pair
        ]
        return list(zip(views[::2], views[1::2], strict=True))

    def site_rows(self, rows: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """Views of one site's rows of a tensor of N: A (r, ⌈i/b⌉, …) and B (r, ⌈o/b⌉, …)."""
        blocks = zip(self.groups, self.blocks(rows), strict=True)
        group, (A, B) = next(found for found in blocks if place in found[0].members)
        row = group.members.index(place)
        return A[row], B[row]

    def reordered(self, other: "Layout", order: Sequence[int]) -> Tensor:
        """The rows of `other` in the order of this layout; `order` has each site's place in `other`."""
        theirs, ours = torch.arange(other.num_rows), torch.empty(self.num_rows, dtype=torch.long)
        for place, found in enumerate(order):
            pairs = zip(self.site_rows(ours, place), other.site_rows(theirs, found), strict=True)
            for own, given in pairs:
                own.copy_(given)
        return ours

    def matrices(self, composed: Float[Tensor, "N b"]) -> list[tuple[Tensor, Tensor]]:
        """Composed sub-vectors as A (S·r, i) and Bᵀ (S·r, o) of each group, with the last tile cut off."""
        return [
            (_cut(A, group.in_features), _cut(Bt, group.out_features))
            for group, (A, Bt) in zip(self.groups, self._lines(composed), strict=True)
        ]

    def _lines(self, composed: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        parts = composed.split(self.block_rows)
        for number, group in enumerate(self.groups):
            lines = len(group.members) * self.rank
            A, Bt = parts[2 * number], parts[2 * number + 1]  # (S·r·tiles, b)
            yield A.view(lines, -1), Bt.view(lines, -1)

    def factors(self, composed: Float[Tensor, "N b"]) -> Factors:
        """View composed sub-vectors as the factors of each site."""
        downs: list[Down] = []
        ups: dict[int, Up] = {}
        for group, (A, Bt) in zip(self.groups, self.matrices(composed), strict=True):
            rows, r = [size * self.rank for size in group.sets], self.rank
            downs += map(Down, A.split(rows), A.mT.split(rows, 1))
            ups |= zip(group.members, map(Up, Bt.split(r), Bt.mT.split(r, 1)), strict=True)
        return Factors(self.rank, downs, [ups[place] for place in range(len(ups))], self.where)


def _cut(lines: Tensor, features: int) -> Tensor:
    return lines if lines.shape[1] == features else lines[:, :features]


def _sets(sites: Sequence[Site]) -> tuple[int, ...]:
    """Lengths of the runs of sites that read one input."""
    lengths = [1]
    for last, site in itertools.pairwise(sites):
        if read_one_input(last, site):
            lengths[-1] += 1
        else:
            lengths.append(1)
    return tuple(lengths)


@dataclass(frozen=True)
class Subvectors:
    """All sub-vectors of a model, composed: (N, b) in float32."""

    layout: Layout
    composed: Tensor

    def factors(self, device: torch.device, dtype: torch.dtype) -> Factors:
        """Their views, behind one autograd node that gathers the gradients of all sites."""
        if traced() or not (torch.is_grad_enabled() and self.composed.requires_grad):
            return self.layout.factors(self.composed.to(device, dtype))
        plain = self.layout.factors(self.composed.detach().to(device, dtype))
        number = len(plain.downs)
        tracked = _Spread.apply(self.composed, self.layout, plain)  # type: ignore[no-untyped-call]  # torch's
        downs = [Down(A, down.At) for A, down in zip(tracked[:number], plain.downs, strict=True)]
        ups = [Up(Bt, up.B) for Bt, up in zip(tracked[number:], plain.ups, strict=True)]
        return Factors(plain.rank, downs, ups, plain.where)


class _Spread(torch.autograd.Function):
    """From all sub-vectors to the A of every set and the Bᵀ of every site, views of one memory.

    Autograd's own nodes for views would fill a whole (N, b) for each block and add them up.
    """

    @staticmethod
    def forward(ctx: Any, composed: Tensor, layout: Layout, plain: Factors) -> tuple[Tensor, ...]:
        ctx.layout, ctx.device = layout, composed.device
        ctx.like = plain.downs[0].At
        ctx.set_materialize_grads(False)
        return (*(down.A for down in plain.downs), *(up.Bt for up in plain.ups))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        layout: Layout = ctx.layout
        gathered = ctx.like.new_empty(layout.num_rows, layout.vector_length)
        given = iter(grads)
        downs = [[next(given) for _ in group.sets] for group in layout.groups]
        ups = list(given)
        for number, (group, blocks) in enumerate(zip(layout.groups, layout._lines(gathered), strict=True)):
            own = [ups[place] for place in group.members]
            _gather(downs[number], [layout.rank * size for size in group.sets], group.in_features, blocks[0])
            _gather(own, [layout.rank] * len(own), group.out_features, blocks[1])
        return gathered.to(ctx.device, torch.float32), None, None


def _gather(parts: Sequence[Tensor | None], heights: Sequence[int], features: int, block: Tensor) -> None:
    """Write gradients one below the other into a block whose lines end in what was cut off."""
    if block.shape[1] != features:
        block[:, features:].zero_()
        block = block[:, :features]
    whole = [
        block.new_zeros(height, features) if part is None else part
        for part, height in zip(parts, heights, strict=True)
    ]
    torch.cat(whole, out=block)


class VectorBank(nn.Module):
    """The trainable state of a VB-LoRA adapter: `vectors` (h, b) and `logits` (N, h), in float32.

    The bank starts as U(-bound, bound), the logits as N(0, std). A noisy selection also owns `noise_logits`
    (N, h). Vectors that do not train are a buffer, which several adapters may share. `watch` is told what
    each composition in training selects.
    """

    vectors: Tensor
    noise_logits: nn.Parameter | None

    def __init__(
        self,
        layout: Layout,
        num_vectors: int,
        selection: str,
        rule: admixture.Rule,
        device: torch.device,
        frozen: Tensor | None = None,
    ) -> None:
        """Allocate the tensors but for `frozen` vectors; `reset` draws their start values."""
        super().__init__()
        memory.keep_freed_blocks()
        self.layout, self.selection, self.rule = layout, selection, rule
        self.watch: admixture.Watch | None = None
        form: dict[str, Any] = {"device": device, "dtype": torch.float32}  # whatever torch's default is
        if frozen is None:
            self.vectors = nn.Parameter(torch.empty(num_vectors, layout.vector_length, **form))
        else:
            self.register_buffer("vectors", frozen.to(device), persistent=False)
        self.logits = nn.Parameter(torch.empty(layout.num_rows, num_vectors, **form))
        noisy = admixture.SELECTIONS[selection].noisy
        self.noise_logits = nn.Parameter(torch.empty_like(self.logits)) if noisy else None

    def reset(self, bank_bound: float, logits_std: float) -> None:
        """Draw the start values of bank and logits from the global generator."""
        if isinstance(self.vectors, nn.Parameter):
            nn.init.uniform_(self.vectors, -bank_bound, bank_bound)
        nn.init.normal_(self.logits, std=logits_std)
        if self.noise_logits is not None:
            nn.init.normal_(self.noise_logits, std=logits_std)

    def forward(self) -> Float[Tensor, "N b"]:
        """Compose every sub-vector of the model, in float32 also under autocast."""
        rule, training = replace(self.rule, watch=self.watch), self.training

        def composed(logits: Tensor, vectors: Tensor, noise_logits: Tensor | None = None) -> Tensor:
            return admixture.compose(self.selection, logits, noise_logits, vectors, rule, training)

        noise = () if self.noise_logits is None else (self.noise_logits,)
        return once(composed, self.logits, self.vectors, *noise)

    def mixtures(self) -> Mixtures:
        """The chosen vectors and their logits at inference, largest first."""
        topk = self.rule.topk if admixture.SELECTIONS[self.selection].sparse else self.vectors.shape[0]
        logits = self.logits.detach()
        columns = largest(logits, topk)
        return Mixtures(columns, logits.gather(1, columns))


class FixedBank(nn.Module):
    """A bank whose selections are chosen for good, as in a top-k file: it composes and cannot be trained."""

    vectors: Tensor
    indices: Tensor
    scores: Tensor
    weights: Tensor

    def __init__(self, layout: Layout, vectors: Tensor, chosen: Mixtures, device: torch.device) -> None:
        """Keep `vectors` (h, b), and `indices`, `scores` and `weights` (N, k) of what is chosen."""
        super().__init__()
        self.layout = layout
        scores = chosen.scores.to(device)
        self.register_buffer("vectors", vectors.to(device))
        self.register_buffer("indices", chosen.columns.to(device))
        self.register_buffer("scores", scores)
        self.register_buffer("weights", scores.softmax(dim=1))

    def forward(self) -> Float[Tensor, "N b"]:
        """Compose every sub-vector of the model."""
        return admixture.mix(self.indices, self.weights, self.vectors)

    def mixtures(self) -> Mixtures:
        """The stored vectors' indices and scores."""
        return Mixtures(self.indices, self.scores)
