"""The contract of a task: what the pipeline asks of every family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from experiments.batches import Encoded
from experiments.data.examples import Data

Answer = dict[str, Any]
"""One row of the answers: index, label, prediction, scores."""


@dataclass(frozen=True)
class Scale:
    """A regression's targets are (label - mean) / deviation; its outputs are turned back the same way."""

    mean: float = 0.0
    deviation: float = 1.0


class Task(Protocol):
    """What is learned and how it is scored; a frozen object, so its facts are properties here."""

    @property
    def family(self) -> str:
        """Name in the registry of tasks."""

    @property
    def name(self) -> str:
        """The task within its family."""

    @property
    def version(self) -> int:
        """Raised when prompts, encoding or grading change; kept in the record."""

    @property
    def num_labels(self) -> int:
        """Outputs of the model's head; 0 for a language model, which has none and answers in text."""

    @property
    def metric(self) -> str:
        """The key in `score` by which the best epoch is chosen; greater is better."""

    @property
    def keep(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """What an evaluation keeps of a batch's logits and targets (see `loss`); None for the logits."""

    def data(self) -> Data:
        """Examples and their description, from the configured source."""

    def scale(self, train: Sequence[Any]) -> Scale:
        """How targets are scaled; the identity for classes."""

    def encode(self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Any], scale: Scale) -> Encoded:
        """Tokenised examples with the targets of the loss."""

    def loss(self, logits: Tensor, targets: Tensor, count: Tensor | int) -> Tensor:
        """The sum of the losses over `count`: the targets, examples or tokens, of the whole step.

        Args:
            logits: one row a target: an example's, or a learned token's in the order of
                `learned_places.learned_places(targets)`.
            targets: of the batch, as `encode` gives them.
            count: what the sum is divided by.
        """

    def answers(self, outputs: np.ndarray, examples: Sequence[Any], scale: Scale) -> list[Answer]:
        """One row a validation example, from what `keep` kept; in the labels' units."""

    def score(self, predictions: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
        """Scores of the validation set as fractions."""
