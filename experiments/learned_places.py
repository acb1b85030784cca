"""A language model computes logits at the places whose next token is learned, and at no other.

Prompts and padding are read, not learned. With a vocabulary of V words their logits cost as much as those of
answers: for a batch of E2E two thirds of all, each V numbers that are computed, kept and thrown away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from experiments.batches import IGNORED


def learned_places(labels: Tensor) -> Tensor:
    """Whether the token after a place is learned.

    Args:
        labels: the tokens themselves, `IGNORED` where nothing is learned, (B, T).

    Returns:
        Truth values, (B, T); the last place has no next token.
    """
    return pad(labels[:, 1:] != IGNORED, (0, 1))


@contextmanager
def logits_of_learned(model: nn.Module, labels: Tensor | None) -> Iterator[None]:
    """Inside, the model's logits are those of the N learned places, row by row: (N, V) for (B, T, V).

    The layer that computes logits reads the chosen hidden states alone; whatever the model does to logits
    afterwards it does to these, and an adapter on that layer adds to these.

    Args:
        model: a model of transformers; nothing changes for one without a layer of logits, or for labels
            that are not of tokens.
        labels: of the batch, (B, T).
    """
    find = getattr(model, "get_output_embeddings", None)
    layer = find() if find and labels is not None and labels.dim() == 2 else None
    if layer is None or labels is None:
        yield
        return
    places = learned_places(labels)

    def choose(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
        return (args[0][places],)

    handle = layer.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()
