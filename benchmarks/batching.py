"""Training on the real lengths of E2E, Alpaca, GSM8K and MATH, padded in three ways.

    fixed          every text to the set's greatest length: as published for E2E (Hu et al. 2021), 512 tokens
    longest        to the longest text of a batch: as published for MetaMathQA
    grouped        the same in batches of texts of similar length: as published for Alpaca (QLoRA), and what
                   `experiments` does everywhere
    whole logits   grouped, with the logits of every place, not only of those that are learned

All sides take forward and backward of the same texts, a random sample of as many batches as are grouped
together in training, with the paper's batch sizes. The model is a small GPT-2 with random weights and GPT-2's
vocabulary, with VB-LoRA attached: its speed depends on shapes alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import vblora
from benchmarks.alternating import alternate
from experiments.batches import MEGABATCH, epoch_order
from experiments.config import DataConfig
from experiments.data.examples import Prompted
from experiments.decoder_pretraining import random_decoder
from experiments.learned_places import learned_places, logits_of_learned
from experiments.small_pretraining import RECIPES, tokenizer_of
from experiments.tasks.base import Scale
from experiments.tasks.e2e import E2ETask
from experiments.tasks.instruct import InstructTask
from experiments.tasks.math import MathTask
from experiments.tasks.text import TextTask

Batch = dict[str, Tensor]
TARGETS = ["c_attn", "c_proj", "c_fc"]


@dataclass(frozen=True)
class Work:
    """A data set as it is trained on.

    Attributes:
        task: reads and encodes it.
        batch_size: texts of a batch.
        sides: ways to pad it, the published one first.
    """

    task: TextTask
    batch_size: int
    sides: tuple[str, ...]


def works(data: Path) -> dict[str, Work]:
    """The data sets under `data`, by name, with their settings in the paper."""

    def config(**more: Any) -> DataConfig:
        return DataConfig(**{"source": "local", "root": str(data), "max_length": 512, **more})

    e2e = config(root=str(data / "e2e"), text_form="plain")
    alpaca = config(max_length=1024, target_max_length=512, num_turns=1)
    return {
        "E2E": Work(E2ETask("e2e", e2e, 0.1), 8, ("fixed", "longest", "grouped")),
        "Alpaca": Work(InstructTask("alpaca", alpaca), 4, ("grouped", "longest")),
        "GSM8K": Work(MathTask("metamath", config(train_set="gsm8k")), 4, ("longest", "grouped")),
        "MATH": Work(MathTask("metamath", config(train_set="math")), 4, ("longest", "grouped")),
    }


def measure(data: Path, vocabulary: Path, rounds: int, num_batches: int = MEGABATCH) -> dict[str, Any]:
    """Every data set's case."""
    tokenizer = tokenizer_of(vocabulary, RECIPES["math"].max_tokens)
    return {name: case(work, tokenizer, rounds, num_batches) for name, work in works(data).items()}


def case(
    work: Work, tokenizer: PreTrainedTokenizerBase, rounds: int, num_batches: int = MEGABATCH
) -> dict[str, Any]:
    """One data set: its sides' times, the places that each computes, and the tokens that all of them read."""
    sample = _sample(work, num_batches * work.batch_size)
    sides = {name: _batches(work, tokenizer, sample, name) for name in work.sides}
    model = _model(tokenizer)
    runs = {name: _steps(model, work.task, batches, True) for name, batches in sides.items()}
    runs["whole logits"] = _steps(model, work.task, sides["grouped"], False)
    return {
        "unit": "tokens",
        "amount": sum(int(batch["attention_mask"].sum()) for batch in sides["grouped"]),
        "facts": {name: {"places": _places(batches)} for name, batches in sides.items()},
        "sides": alternate(runs, rounds),
    }


def _sample(work: Work, number: int) -> list[Prompted]:
    """Random texts of the training set."""
    examples = work.task.data().splits["train"]
    chosen = np.random.default_rng(0).permutation(len(examples))[:number]
    return [examples[i] for i in chosen]


def _batches(
    work: Work, tokenizer: PreTrainedTokenizerBase, sample: Sequence[Prompted], way: str
) -> list[Batch]:
    """The same texts, padded in one way."""
    config = replace(work.task.config, padding="max_length" if way == "fixed" else "longest")
    encoded = replace(work.task, config=config).encode(tokenizer, sample, Scale())
    size = work.batch_size
    order = epoch_order(encoded.lengths, size, 0, 0, group=way == "grouped").tolist()
    return [encoded.batch(order[start : start + size]) for start in range(0, len(order), size)]


def _places(batches: Sequence[Batch]) -> int:
    return sum(batch["input_ids"].numel() for batch in batches)


def _model(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The small GPT-2 with an adapter on all of its layers."""
    recipe = replace(RECIPES["e2e"], num_steps=1, max_tokens=1024)
    end = int(tokenizer.eos_token_id)
    torch.manual_seed(0)
    model = random_decoder(recipe, len(tokenizer), end, end, None, tied=True)
    vblora.attach(model, vblora.VBLoRAConfig(rank=4, num_vectors=90, vector_length=64, targets=TARGETS))
    model.train()
    return model


def _steps(
    model: PreTrainedModel, task: TextTask, batches: Sequence[Batch], learned_only: bool
) -> Callable[[], None]:
    """Forward and backward of every batch."""

    def run() -> None:
        for batch in batches:
            labels = batch["labels"]
            inputs = {name: value for name, value in batch.items() if name != "labels"}
            with logits_of_learned(model, labels if learned_only else None):
                logits = model(**inputs).logits
            chosen = logits if learned_only else logits[learned_places(labels)]
            task.loss(chosen, labels, 1).backward()
            model.zero_grad()

    return run
