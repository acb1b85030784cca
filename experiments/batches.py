"""From texts to batches: tokenised once, ordered by (seed, epoch) alone, padded when a batch is made.

A resumed run must see the batches an unbroken one would have seen, so the order of an epoch is a pure
function and no state of a generator has to be kept for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerBase

from experiments.data.examples import Example

IGNORED = -100  # what torch's cross-entropy leaves out
IDLE = -1  # the row of a process that has no example left: one that is computed and learned nothing from
MEGABATCH = 50  # batches among which lengths are sorted; as in transformers' LengthGroupedSampler


@dataclass(frozen=True)
class Encoded:
    """Tokenised examples as one matrix per input, padded to the longest of all.

    Attributes:
        inputs: `input_ids` and, where the model has them, `token_type_ids`: int32 (n, longest).
        lengths: tokens of each example (n,).
        labels: targets of the loss: int64 for classes, float32 for a regression (n,); for text the next
            tokens, int32 (n, longest), `IGNORED` where nothing is learned.
        pad_to: width of every batch; None for the longest example in the batch.
    """

    inputs: dict[str, Tensor]
    lengths: np.ndarray
    labels: Tensor
    pad_to: int | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: Sequence[int]) -> dict[str, Any]:
        """The inputs and labels of some examples, padded on the right, with the mask that hides it.

        Of `IDLE` alone: an example whose labels are all `IGNORED`.
        """
        if list(indices) == [IDLE]:
            first = self.batch([0])
            return first | {"labels": torch.full_like(first["labels"], IGNORED)}
        lengths = torch.from_numpy(self.lengths[np.asarray(indices)])
        width = self.pad_to or int(lengths.max())
        rows = torch.as_tensor(indices)
        batch: dict[str, Any] = {name: matrix[rows, :width].long() for name, matrix in self.inputs.items()}
        batch["attention_mask"] = (torch.arange(width) < lengths[:, None]).long()
        if self.labels.dim() == 1:
            return batch | {"labels": self.labels[rows]}
        return batch | {"labels": self.labels[rows, :width].long()}


def encode(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    labels: Tensor,
    *,
    max_length: int,
    padding: str = "longest",
) -> Encoded:
    """Tokenise texts or pairs of texts, cut to `max_length` tokens from the end of the longer of a pair.

    Args:
        tokenizer: the backbone's own; it decides whether there are token types.
        examples: what to tokenise; either all are pairs or none is.
        labels: the targets, one an example.
        max_length: tokens kept, special ones included.
        padding: "longest" in the batch, or "max_length" always, as the released code does.
    """
    pairs = [example.pair for example in examples] if examples[0].pair is not None else None
    tokens = tokenizer([e.text for e in examples], pairs, truncation=True, max_length=max_length)
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    width = max_length if padding == "max_length" else int(lengths.max())
    fill = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    inputs = {name: _matrix(tokens[name], width, fill[name]) for name in fill if name in tokens}
    return Encoded(inputs, lengths, labels, max_length if padding == "max_length" else None)


def encode_text(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    pad: int,
    max_length: int,
    padding: str = "longest",
) -> Encoded:
    """Prompts with the answers that follow them, cut to `max_length` tokens; only answers are learned.

    The labels are the tokens themselves, as transformers' models take them: the loss shifts them. The first
    token of a text is never learned, as nothing stands before it.

    Args:
        prompts: tokens of each prompt.
        answers: tokens of each answer, the end-of-text token included.
        pad: token to fill up with; neither attention nor loss sees it.
        max_length: tokens kept.
        padding: "longest" in the batch, or "max_length" always.
    """
    texts = [[*prompt, *answer][:max_length] for prompt, answer in zip(prompts, answers, strict=True)]
    lengths = np.array([len(text) for text in texts])
    width = max_length if padding == "max_length" else int(lengths.max())
    hidden = [[IGNORED] * max(1, len(prompt)) for prompt in prompts]
    learned = [[*none, *text[len(none) :]][:max_length] for none, text in zip(hidden, texts, strict=True)]
    inputs = {"input_ids": _matrix(texts, width, pad)}
    labels = _matrix(learned, width, IGNORED)
    return Encoded(inputs, lengths, labels, max_length if padding == "max_length" else None)


def _matrix(rows: list[list[int]], width: int, fill: int) -> Tensor:
    matrix = np.full((len(rows), width), fill, dtype=np.int32)
    for target, row in zip(matrix, rows, strict=True):
        target[: len(row)] = row
    return torch.from_numpy(matrix)


def epoch_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, *, group: bool) -> np.ndarray:
    """The order of the examples in one epoch: a pure function of its arguments.

    With `group`, batches hold examples of similar length: a random permutation is cut into runs of
    `MEGABATCH` batches, each run sorted by length and cut into batches, and the order of the batches drawn
    again. The examples left over from full batches are drawn before grouping, so that they are not always
    the longest, and come last.

    Args:
        lengths: tokens of each example (n,).
        batch_size: examples of one optimiser step.
        seed: the run's.
        epoch: from 0.
        group: whether to group by length, or only to shuffle.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    if not group:
        return order
    num_batches = len(order) // batch_size
    full, rest = order[: num_batches * batch_size], order[num_batches * batch_size :]
    runs = [full[i : i + MEGABATCH * batch_size] for i in range(0, len(full), MEGABATCH * batch_size)]
    ordered = [run[np.argsort(lengths[run], kind="stable")] for run in runs]
    batches = np.concatenate([*ordered, full[:0]]).reshape(num_batches, batch_size)
    return np.concatenate([batches[generator.permutation(num_batches)].reshape(-1), rest])


class EpochSampler(Sampler[int]):
    """Hands `epoch_order` of the epoch that `epoch` names to a DataLoader."""

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, *, group: bool) -> None:
        self.lengths, self.batch_size, self.seed, self.group = lengths, batch_size, seed, group
        self.epoch = 0

    def order(self, epoch: int) -> np.ndarray:
        """The order of the examples in an epoch."""
        return epoch_order(self.lengths, self.batch_size, self.seed, epoch, group=self.group)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.epoch).tolist())

    def __len__(self) -> int:
        return len(self.lengths)


class Share(Sampler[list[int]]):
    """The batches of one of several processes: every `size`-th example of what all compute at the same time.

    All have equally many. A process that gets no example of an epoch's last few gets `IDLE` instead.

    Args:
        whole: the order of the examples, which all processes have alike.
        rows: examples of one forward of one process.
        rank, size: which process this is, of how many.
    """

    def __init__(self, whole: EpochSampler, rows: int, rank: int, size: int) -> None:
        self.whole, self.rank, self.size = whole, rank, size
        self.together = rows * size

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.whole)
        for first in range(0, len(order), self.together):
            yield order[first : first + self.together][self.rank :: self.size] or [IDLE]

    def __len__(self) -> int:
        return -(-len(self.whole) // self.together)


class Rows(Dataset[tuple[Encoded, int]]):
    """Examples in a fixed order, each as its table and row; `collate` turns a batch of them into tensors."""

    def __init__(self, encoded: Encoded, order: np.ndarray) -> None:
        self.encoded, self.order = encoded, order.tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[Encoded, int]:
        return self.encoded, IDLE if position == IDLE else self.order[position]


def collate(items: Sequence[tuple[Encoded, int]]) -> dict[str, Any]:
    """The batch of some items of `Rows`."""
    return items[0][0].batch([row for _, row in items])
