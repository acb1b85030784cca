"""What the families of generated text share: prompts and answers, their loss, their likelihood.

A language model learns to continue a prompt with an answer and the end-of-text token. While it trains it is
measured by the mean log-likelihood of a token of the held-out answers; afterwards it answers the test set
(`experiments.answering`), and its answers are graded (`experiments.grading`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from experiments import prompts
from experiments.batches import Encoded, encode_text
from experiments.config import DataConfig
from experiments.data.examples import Data, Prompted
from experiments.families import FAMILIES
from experiments.learned_places import learned_places
from experiments.tasks.base import Answer, Scale

VALIDATION_METRIC = "log_likelihood"
Pieces = tuple[list[int], list[int]]


@dataclass(frozen=True)
class TextTask:
    """A family of generated text; a subclass says how prompts are written and what is graded.

    Attributes:
        name: the task.
        config: of its data.
        label_smoothing: ε of the loss, 0 for none.
        main: the score that sums up a run, greater is better.
        stops: texts at which an answer ends.
    """

    name: str
    config: DataConfig
    label_smoothing: float = 0.0
    main: str = ""
    stops: tuple[str, ...] = ()
    family: ClassVar[str]
    num_labels: ClassVar[int] = 0
    metric: ClassVar[str] = VALIDATION_METRIC

    @property
    def version(self) -> int:
        """Of the family's code."""
        return FAMILIES[self.family].version

    # What a subclass answers.

    def data(self) -> Data:
        """Examples and their description, from the configured source."""
        raise NotImplementedError

    def pieces(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> Pieces:
        """Tokens of prompt and answer to learn from, the end-of-text token included."""
        raise NotImplementedError

    def prompt(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> list[int]:
        """Tokens of the prompt that a test example is answered from."""
        raise NotImplementedError

    def follow_up(
        self, tokenizer: PreTrainedTokenizerBase, example: Prompted, answer: str
    ) -> list[int] | None:
        """Tokens of the prompt of a second turn, after the first one's answer; None where there is none."""
        return None

    def header(self) -> dict[str, Any]:
        """What the file of answers says for its grader beside family, task, metric and version."""
        return {}

    def finish(self, text: str) -> str:
        """A generated text as it is graded and saved: up to the first stop, without space around it."""
        return prompts.cut_at_stop(text, self.stops).strip()

    # What all share.

    def scale(self, train: Sequence[Prompted]) -> Scale:
        """Text is not scaled."""
        return Scale()

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Prompted], scale: Scale
    ) -> Encoded:
        """Prompts with their answers, of which only the answers are learned."""
        pieces = [self.pieces(tokenizer, example) for example in examples]
        return encode_text(
            [prompt for prompt, _ in pieces],
            [answer for _, answer in pieces],
            pad=pad_token(tokenizer),
            max_length=self.config.max_length,
            padding=self.config.padding,
        )

    def loss(self, logits: Tensor, targets: Tensor, count: Tensor | int) -> Tensor:
        """Σ over answer tokens of (1-ε)·(-log p(token)) + ε·(mean of -log p over all words), over `count`.

        Source of the smoothing: Szegedy et al. 2016, as torch and the LoRA authors' GPT-2 code have it.

        Args:
            logits: at the N places whose next token is learned, in the order of `learned_places`: (N, V).
            targets: the tokens, (B, T), `IGNORED` where nothing is learned.
            count: what the sum is divided by, the tokens learned in an optimiser step.
        """
        total: Tensor = cross_entropy(
            logits.float(), _learned(targets), reduction="sum", label_smoothing=self.label_smoothing
        )
        return total / count

    def keep(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of each example the log-likelihood of its answer and its number of tokens: (B, 2).

        Arguments as for `loss`.
        """
        likelihoods = -cross_entropy(logits.float(), _learned(targets), reduction="none")
        rows = learned_places(targets).nonzero()[:, 0]
        sums = likelihoods.new_zeros(len(targets)).index_add_(0, rows, likelihoods)
        return torch.stack([sums, rows.bincount(minlength=len(targets))], dim=1)

    def answers(self, outputs: np.ndarray, examples: Sequence[Prompted], scale: Scale) -> list[Answer]:
        """One row an example: its log-likelihood, and as its label the tokens."""
        rows = outputs.astype(float).tolist()
        return [
            {"index": i, "label": tokens, "prediction": likelihood}
            for i, (likelihood, tokens) in enumerate(rows)
        ]

    def score(self, predictions: Sequence[float], labels: Sequence[float]) -> dict[str, float]:
        """Mean log-likelihood of a token, in nats: Σ log p / Σ tokens."""
        return {VALIDATION_METRIC: sum(predictions) / max(1.0, sum(labels))}


def _learned(targets: Tensor) -> Tensor:
    """The learned tokens, in the order of their places: (N,)."""
    return targets[:, 1:][learned_places(targets)[:, :-1]]


def pad_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that fills up a batch: the tokenizer's own, else its end-of-text token; nothing sees it."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def tokens_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """A text's tokens, without special ones."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def start_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The beginning-of-text token if the tokenizer puts one before a text, as Llama's does; else nothing."""
    own = tokenizer("a")["input_ids"][:1]
    return list(own) if own == [tokenizer.bos_token_id] else []
