"""The six GLUE tasks of Table 1: a sentence or a pair of sentences, answered by a class or a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from experiments import data as sources
from experiments.batches import IGNORED, Encoded, encode
from experiments.config import Config, DataConfig
from experiments.data.examples import Data, Example
from experiments.families import FAMILIES
from experiments.grading.glue import score
from experiments.grading.metrics import TASK_METRICS
from experiments.tasks.base import Answer, Scale


@dataclass(frozen=True)
class GlueTask:
    """One GLUE task on the data of a configuration; see `tasks.base.Task` for the contract.

    Two classes with cross-entropy, but STS-B: one output with squared error on its 0 to 5 scores.
    """

    name: str
    config: DataConfig
    family: str = "glue"
    version: int = FAMILIES["glue"].version

    @property
    def kind(self) -> str:
        """Either "classification" or "regression"."""
        return "regression" if self.name == "stsb" else "classification"

    @property
    def num_labels(self) -> int:
        """Outputs of the model."""
        return 1 if self.kind == "regression" else 2

    @property
    def metric(self) -> str:
        """The measure that Table 1 prints."""
        return TASK_METRICS[self.name]

    @property
    def keep(self) -> None:
        """Logits are answers."""

    def data(self) -> Data:
        """Examples and their description, from the configured source."""
        return sources.glue(self.name, self.config)

    def scale(self, train: Sequence[Example]) -> Scale:
        """Mean and deviation of the training scores if `standardise_targets` is set, else the identity."""
        if self.kind == "classification" or not self.config.standardise_targets:
            return Scale()
        labels = np.array([example.label for example in train], dtype=float)
        return Scale(float(labels.mean()), float(labels.std()) or 1.0)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], scale: Scale
    ) -> Encoded:
        """Tokenised examples; targets are classes (int64) or scaled scores (float32)."""
        values = [example.label for example in examples]
        if self.kind == "classification":
            targets = torch.tensor(values, dtype=torch.int64)
        else:
            targets = ((torch.tensor(values, dtype=torch.float64) - scale.mean) / scale.deviation).float()
        config = self.config
        return encode(tokenizer, examples, targets, max_length=config.max_length, padding=config.padding)

    def loss(self, logits: Tensor, targets: Tensor, count: Tensor | int) -> Tensor:
        """Σ loss / count: cross-entropy over two classes, or the squared error of the one output.

        Targets that are `IGNORED` add nothing.
        """
        if self.kind == "classification":
            total = nn.functional.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORED)
            return total / count
        outputs = logits.squeeze(-1)
        # An error of 0 where nothing is learned; to choose the others would wait for a GPU.
        wanted = torch.where(targets == IGNORED, outputs.detach(), targets)
        return nn.functional.mse_loss(outputs, wanted, reduction="sum") / count

    def answers(self, outputs: np.ndarray, examples: Sequence[Example], scale: Scale) -> list[Answer]:
        """One row an example; a regression's prediction is in the labels' units, `scores` the raw output."""
        rows = outputs.astype(float).reshape(len(examples), self.num_labels).tolist()
        return [
            {"index": i, "label": example.label, "prediction": self._prediction(row, scale), "scores": row}
            for i, (example, row) in enumerate(zip(examples, rows, strict=True))
        ]

    def _prediction(self, row: list[float], scale: Scale) -> int | float:
        if self.kind == "classification":
            return row.index(max(row))
        return row[0] * scale.deviation + scale.mean

    def score(self, predictions: Sequence[float], labels: Sequence[float]) -> dict[str, float]:
        """The task's measure as a fraction."""
        return score(self.metric, predictions, labels)


def build(cfg: Config) -> GlueTask:
    """The configured task.

    Raises:
        ValueError: there is none of that name.
    """
    name, config = cfg.task.name, cfg.data
    if name not in TASK_METRICS:
        raise ValueError(f"no GLUE task {name!r}; choose one of {', '.join(TASK_METRICS)}")
    return GlueTask(name, config)
