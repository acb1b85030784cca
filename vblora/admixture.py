"""How a sub-vector is made from the bank: the top-k admixture, and the ablation's other selections.

Pure functions of logits and bank; read this file first. Source: Li et al. 2024, Section 3 and Table 5 (arXiv
2405.15179).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own convention
from jaxtyping import Float, Int
from torch import Tensor

from vblora import memory
from vblora.errors import VBLoRAError
from vblora.once import traced
from vblora.selection import largest


def select(
    logits: Float[Tensor, "*site h"], topk: int
) -> tuple[Int[Tensor, "*site k"], Float[Tensor, "*site k"]]:
    """Choose the `topk` largest logits of every row and weigh them: w = softmax(top_k(p)).

    Returns:
        The chosen indices and their weights, the largest first; every row of weights sums to 1.

    Raises:
        VBLoRAError: `topk` is outside 1..h.
    """
    check_topk(topk, logits.shape[-1])
    indices = largest(logits, topk)
    return indices, _chosen(logits, indices).softmax(dim=-1)


def _chosen(logits: Float[Tensor, "*site h"], indices: Int[Tensor, "*site k"]) -> Float[Tensor, "*site k"]:
    if traced():
        return logits.gather(-1, indices)
    chosen: Tensor = _Gather.apply(logits, indices)  # type: ignore[no-untyped-call]  # torch's
    return chosen


class _Gather(torch.autograd.Function):
    """`gather` along the last dimension, whose gradient is zeros but for the chosen."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(logits, indices)
        return logits.gather(-1, indices)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        logits, indices = ctx.saved_tensors
        return memory.zeros(logits).scatter_add_(-1, indices, grad), None


def check_topk(topk: int, num_vectors: int) -> None:
    """Refuse a `topk` that the bank cannot serve."""
    if not 1 <= topk <= num_vectors:
        rule = f"topk {topk} is outside 1..{num_vectors}, the number of vectors in the bank"
        raise VBLoRAError(f"{rule}; choose a topk from 1 to {num_vectors}")


def mix(
    indices: Int[Tensor, "*site k"], weights: Float[Tensor, "*site k"], bank: Float[Tensor, "h b"]
) -> Float[Tensor, "*site b"]:
    """Sum chosen vectors: u = Σ_s w_s · bank[index_s], as one weighted embedding-bag."""
    k = indices.shape[-1]
    flat = F.embedding_bag(
        indices.reshape(-1, k), bank, per_sample_weights=weights.reshape(-1, k), mode="sum"
    )
    return flat.view(*indices.shape[:-1], bank.shape[-1])


Watch = Callable[[Tensor], None]
"""Is told the indices (N, k) of every composition in training; see `vblora.footprint`."""


def admix(
    logits: Float[Tensor, "*site h"], bank: Float[Tensor, "h b"], topk: int, watch: Watch | None = None
) -> Float[Tensor, "*site b"]:
    """Mix the `topk` best vectors of the bank into every sub-vector.

    u = Σ_{s ∈ top_k(p)} softmax(top_k(p))_s · bank_s        Li et al. 2024, Eq. 3.3

    Only chosen vectors and logits get a gradient. With `topk` = 1 the weight is always 1, so no logit gets
    one.

    Args:
        logits: unnormalised scores, one row over the bank for each sub-vector.
        bank: the vectors shared by all sites.
        topk: vectors mixed per sub-vector, 1..h.
        watch: is told the chosen indices, unless a compiler or a transform looks on.

    Raises:
        VBLoRAError: `topk` is outside 1..h.
    """
    indices, weights = select(logits, topk)
    if watch is not None and not traced():
        watch(indices)
    return mix(indices, weights, bank)


def admix_all(logits: Float[Tensor, "*site h"], bank: Float[Tensor, "h b"]) -> Float[Tensor, "*site b"]:
    """Mix the whole bank: u = softmax(p) · bank ("select all" of Table 5)."""
    return logits.softmax(dim=-1) @ bank


def admix_noisy(
    logits: Float[Tensor, "*site h"],
    noise_logits: Float[Tensor, "*site h"],
    bank: Float[Tensor, "h b"],
    topk: int,
    watch: Watch | None = None,
) -> Float[Tensor, "*site b"]:
    """Top-k admixture of logits under noise of trainable scale, as in sparsely gated mixtures of experts.

    p' = p + ε · softplus(n),  ε ~ N(0, 1)                   Shazeer et al. 2017, Eq. 4; for training only
    """
    noise = torch.randn_like(logits) * F.softplus(noise_logits)
    return admix(logits + noise, bank, topk, watch)


def admix_gumbel(
    logits: Float[Tensor, "*site h"], bank: Float[Tensor, "h b"], temperature: float, straight_through: bool
) -> Float[Tensor, "*site b"]:
    """Mix by a Gumbel softmax, for training only (Jang et al. 2017).

    w = softmax((p + g) / τ),  g ~ Gumbel(0, 1)

    Args:
        logits: unnormalised scores.
        bank: the vectors.
        temperature: τ > 0; the paper takes 1/3.
        straight_through: forward the one-hot maximum, backward the soft weights.
    """
    return F.gumbel_softmax(logits, tau=temperature, hard=straight_through, dim=-1) @ bank


@dataclass(frozen=True)
class Rule:
    """What a selection needs: the pure function's free arguments, gathered once per composition."""

    topk: int
    temperature: float
    watch: Watch | None = None


Training = Callable[[Tensor, Tensor | None, Tensor, Rule], Tensor]


@dataclass(frozen=True)
class Selection:
    """One row kind of Table 5.

    Attributes:
        training: composes while the model trains: (logits, noise_logits or None, bank, rule) -> sub-vectors.
        sparse: inference is a top-k admixture of the plain logits (otherwise the whole bank is mixed).
        noisy: a second tensor of logits holds the trainable noise scale.
        random: training draws at random.
    """

    training: Training
    sparse: bool = True
    noisy: bool = False
    random: bool = False


def _train_noisy(logits: Tensor, noise: Tensor | None, bank: Tensor, rule: Rule) -> Tensor:
    assert noise is not None, "a noisy selection owns noise logits"
    return admix_noisy(logits, noise, bank, rule.topk, rule.watch)


def _train_gumbel(straight_through: bool) -> Training:
    return lambda logits, _, bank, rule: admix_gumbel(logits, bank, rule.temperature, straight_through)


SELECTIONS: dict[str, Selection] = {
    "topk": Selection(lambda logits, _, bank, rule: admix(logits, bank, rule.topk, rule.watch)),
    "all": Selection(lambda logits, _, bank, rule: admix_all(logits, bank), sparse=False),
    "noisy_topk": Selection(_train_noisy, noisy=True, random=True),
    "gumbel": Selection(_train_gumbel(straight_through=False), random=True),
    "straight_through_gumbel": Selection(_train_gumbel(straight_through=True), random=True),
}


def compose(
    selection: str,
    logits: Float[Tensor, "N h"],
    noise_logits: Float[Tensor, "N h"] | None,
    bank: Float[Tensor, "h b"],
    rule: Rule,
    training: bool,
) -> Float[Tensor, "N b"]:
    """Compose all sub-vectors by the named selection: its training rule, or its rule of inference."""
    chosen = SELECTIONS[selection]
    if training:
        return chosen.training(logits, noise_logits, bank, rule)
    return admix(logits, bank, rule.topk) if chosen.sparse else admix_all(logits, bank)
