"""A language model computes logits at the places whose next token is learned, and at no other.

Prompts and padding are read, not learned. With a vocabulary of V words their logits cost as much as those of
answers, each V numbers that are computed, kept and thrown away; `python -m benchmarks batching` counts them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from experiments.batches import IGNORED


class LogitsError(RuntimeError):
    """A model that computes its logits in a way that is not expected; the message says in which."""


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
    """Inside, the model's logits are those of the N learned places, row by row, (N, V), for V words.

    The layer that computes logits reads the chosen hidden states alone; whatever the model does to logits
    afterwards it does to these, and an adapter on that layer adds to these.

    Args:
        model: a model of transformers; nothing changes for one without a layer of logits, or for labels
            that are not of tokens.
        labels: of the batch, (B, T).
    """
    layer = _layer_of_logits(model) if labels is not None and labels.dim() == 2 else None
    if layer is None or labels is None:
        yield
        return
    handle = layer.register_forward_pre_hook(_Choice(learned_places(labels)), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _layer_of_logits(model: nn.Module) -> nn.Module | None:
    find = getattr(model, "get_output_embeddings", None)
    layer: nn.Module | None = find() if find else None
    return layer


class _Choice:
    """What the layer of logits reads instead of all hidden states.

    Args:
        places: truth values, (B, T).
    """

    def __init__(self, places: Tensor) -> None:
        self.places = places

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The layer's arguments, its first one, the hidden states, at the chosen places only.

        Raises:
            LogitsError: the layer does not read hidden states of all places.
        """
        names = list(kwargs) if not args else []
        hidden = args[0] if args else kwargs[names[0]]
        if hidden.shape[:-1] != self.places.shape:
            raise LogitsError(
                f"the model's layer of logits reads {tuple(hidden.shape)} for a batch of "
                f"{tuple(self.places.shape)} tokens, not the hidden states of all of them; this model cannot "
                "be trained here"
            )
        chosen = hidden[self.places]
        return ((chosen, *args[1:]), kwargs) if args else (args, {**kwargs, names[0]: chosen})
