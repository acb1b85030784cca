"""How many parameters and bytes an adapter has: one definition each. The head is never counted.

Every function is plain arithmetic on the sizes of the sites, so it needs no weights. The published counts
follow from them, as `make params` shows. Sources: Li et al. 2024 (VB-LoRA), Hu et al. 2021 (LoRA), Kopiczko
et al. 2024 (VeRA), Renduchintala et al. 2024 (Tied-LoRA), Bałazy et al. 2024 (LoRA-XS).
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from vblora.admixture import SELECTIONS
from vblora.quantized import num_elements

FLOAT_BYTES = 4  # adapters are float32


@runtime_checkable  # so that the tests can check annotations
class Shape(Protocol):
    """Anything with the sizes of a linear layer, such as `vblora.sites.Site`."""

    @property
    def in_features(self) -> int:
        """Size of the input."""

    @property
    def out_features(self) -> int:
        """Size of the output."""


@runtime_checkable
class BankConfig(Protocol):
    """Anything with the sizes of a vector bank and its use, such as `vblora.VBLoRAConfig`."""

    rank: int
    num_vectors: int
    vector_length: int
    topk: int
    selection: str
    train_bank: bool


def trainable_parameters(model: nn.Module) -> int:
    """Elements of all parameters that get a gradient, shared ones once, a trained head included."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def model_parameters(model: nn.Module) -> int:
    """Elements of all parameters, a shared parameter once; the meta device will do.

    A 4-bit weight counts as the matrix that it stands for, not as the bytes that hold it.
    """
    return sum(num_elements(parameter) for parameter in model.parameters())


def lora_parameters(sites: Sequence[Shape], rank: int) -> int:
    """Trainable and stored: A (r, i) and B (o, r) per site: Σ r·(i + o)."""
    return sum(rank * (site.in_features + site.out_features) for site in sites)


def vera_parameters(sites: Sequence[Shape], rank: int) -> int:
    """Trainable and stored: one scale per rank and one per output, per site: Σ (r + o).

    The shared random matrices are not counted: they follow from a seed.
    """
    return sum(rank + site.out_features for site in sites)


def tied_lora_parameters(sites: Sequence[Shape], rank: int) -> int:
    """Trainable and stored: one pair A (r, d), B (d, r) for all sites, and per site Σ (r + o) scales.

    d is the greatest common divisor of all sides; a larger matrix is treated as stacked d×d blocks, each of
    which uses the pair again.
    """
    width = math.gcd(*(side for site in sites for side in (site.in_features, site.out_features)))
    return 2 * rank * width + vera_parameters(sites, rank)


def lora_xs_parameters(sites: Sequence[Shape], rank: int) -> int:
    """Trainable and stored: one matrix R (r, r) per site. The frozen factors follow from the weights."""
    return len(sites) * rank**2


def num_subvectors(sites: Sequence[Shape], rank: int, vector_length: int) -> int:
    """N, the sub-vectors of the whole model: Σ r·(⌈i/b⌉ + ⌈o/b⌉); b need not divide i and o."""
    sides = [side for site in sites for side in (site.in_features, site.out_features)]
    return rank * sum(math.ceil(side / vector_length) for side in sides)


def vblora_trainable_parameters(sites: Sequence[Shape], config: BankConfig) -> int:
    """Trained: the bank, and a logit for each vector and sub-vector: h·b + N·h; N·h against a shared bank.

    A noisy selection has a second N·h, the scales of its noise.
    """
    logits = num_subvectors(sites, config.rank, config.vector_length)
    logits *= 2 if SELECTIONS[config.selection].noisy else 1
    return config.num_vectors * (config.vector_length * config.train_bank + logits)


def index_bytes(num_vectors: int) -> int:
    """Bytes of one index into the bank, by the paper: one up to 256 vectors, two above, four above 65,536."""
    return 1 if num_vectors <= 2**8 else 2 if num_vectors <= 2**16 else 4


def peft_index_bytes(num_vectors: int) -> int:
    """Bytes of one index as PEFT 0.21 counts them: 256 vectors already take two."""
    return 1 if num_vectors < 2**8 else 2 if num_vectors < 2**15 else 4


# Bytes stored per sub-vector for h vectors and top-k, by the name of the definition.
SUBVECTOR_BYTES: dict[str, Callable[[int, int], int]] = {
    # The paper: k indices of one or two bytes, and k-1 weights, as the last follows from the others.
    "paper": lambda h, k: k * index_bytes(h) + (k - 1) * FLOAT_BYTES,
    # As "paper", by PEFT's rule for the size of an index.
    "peft": lambda h, k: k * peft_index_bytes(h) + (k - 1) * FLOAT_BYTES,
    # An index counts as a whole parameter: 3 per sub-vector at k = 2. Table 4, and the released scripts.
    "whole_index": lambda h, k: (k + k - 1) * FLOAT_BYTES,
    # Indices of eight bytes, and all k weights: 6 parameters per sub-vector at k = 2. Fits Table 3.
    "eight_byte_index": lambda h, k: k * 8 + k * FLOAT_BYTES,
    # Indices of one byte however large the bank: no such file could be read back. Fits one cell of Table 3.
    "one_byte_index": lambda h, k: k + (k - 1) * FLOAT_BYTES,
}


def vblora_stored_bytes(sites: Sequence[Shape], config: BankConfig, definition: str = "paper") -> int:
    """Bytes that must be stored, without a file's header: 4·h·b + N·(bytes per sub-vector).

    A bank that is shared and not trained is stored elsewhere: 4·h·b falls away. A selection that mixes the
    whole bank at inference has k = h.

    Args:
        sites: what is adapted.
        config: r, h, b, k, the selection, and whether the bank is the adapter's own.
        definition: a key of SUBVECTOR_BYTES; "paper" is 4·h·b + N·(k·(index bytes) + 4·(k-1)).

    Raises:
        KeyError: no such definition.
    """
    bank = FLOAT_BYTES * config.num_vectors * config.vector_length * config.train_bank
    mixed = config.topk if SELECTIONS[config.selection].sparse else config.num_vectors
    per_subvector = SUBVECTOR_BYTES[definition](config.num_vectors, mixed)
    return bank + num_subvectors(sites, config.rank, config.vector_length) * per_subvector


def vblora_stored_parameters(sites: Sequence[Shape], config: BankConfig, definition: str = "paper") -> int:
    """Stored parameters in float32 equivalents: a quarter of the stored bytes, rounded up.

    By the paper: h·b + N·(k·(index bytes)/4 + (k-1)). The arguments are those of `vblora_stored_bytes`.
    """
    return math.ceil(vblora_stored_bytes(sites, config, definition) / FLOAT_BYTES)
