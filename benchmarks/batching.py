"""Training on the real lengths of E2E, Alpaca, GSM8K and MATH, padded in several ways.

    fixed       every text to 512 tokens: the LoRA authors' code for E2E
    alone       each text in a forward of its own, gradients added up: the released code for MetaMathQA
    longest     batches padded to their longest text
    grouped     the same, with texts of similar length in a batch: the released code for Alpaca (QLoRA's), and
                what `experiments` does everywhere

Lengths are those of GPT-2's tokens. Every side takes forward and backward of a random sample of the batches
of its own first epoch; what is compared is tokens a second. Places beside tokens are counted over the whole
epoch, without any timing. The cases of logits take grouped batches, with the logits of every place and of the
learned ones only.

The model has random weights: its speed depends on shapes alone. Its layer of logits holds 15 % of them, as
GPT-2 medium's does (Llama 2 7B's: 2 %), so token numbers are taken modulo its small vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

import vblora
from benchmarks.alternating import Side, alternate
from experiments.batches import IGNORED, Encoded, epoch_order
from experiments.config import DataConfig
from experiments.learned_places import learned_places, logits_of_learned
from experiments.small_pretraining import tokenizer_of
from experiments.tasks.base import Scale
from experiments.tasks.e2e import E2ETask
from experiments.tasks.instruct import InstructTask
from experiments.tasks.math import MathTask
from experiments.tasks.text import TextTask

Batch = dict[str, Tensor]
FIXED = 512  # the LoRA authors' width
POSITIONS = 1024
NUM_WORDS = 3328
SIZES: dict[str, Any] = {"vocab_size": NUM_WORDS, "n_embd": 256, "n_layer": 6, "n_head": 4}
TARGETS = ["c_attn", "c_proj", "c_fc"]


@dataclass(frozen=True)
class Work:
    """A data set as it is trained on.

    Attributes:
        task: reads and encodes it.
        batch_size: texts of an optimiser step.
        micro_batch_size: texts of a forward.
        sides: ways to pad it, the published one first.
    """

    task: TextTask
    batch_size: int
    micro_batch_size: int
    sides: tuple[str, ...]


def works(data: Path) -> dict[str, Work]:
    """The data sets under `data`, by name, with their settings in the paper; math's forwards are ours."""

    def config(**more: Any) -> DataConfig:
        return DataConfig(**{"source": "local", "root": str(data), "max_length": 512, **more})

    e2e = E2ETask("e2e", config(root=str(data / "e2e"), text_form="plain"), 0.1)
    alpaca = InstructTask("alpaca", config(max_length=1024, target_max_length=512, num_turns=1))
    math = {name: MathTask("metamath", config(train_set=name)) for name in ("gsm8k", "math")}
    return {
        "E2E": Work(e2e, 8, 8, ("fixed", "longest", "grouped")),
        "Alpaca": Work(alpaca, 16, 4, ("grouped", "longest")),
        "GSM8K": Work(math["gsm8k"], 128, 4, ("alone", "longest", "grouped")),
        "MATH": Work(math["math"], 128, 4, ("alone", "longest", "grouped")),
    }


def measure(data: Path, vocabulary: Path, rounds: int, num_texts: int) -> dict[str, Any]:
    """Every data set's padding; then the logits, for a data set of long prompts and one of long answers."""
    tokenizer, model = tokenizer_of(vocabulary, POSITIONS), _model()
    cases = {}
    for name, work in works(data).items():
        encoded = work.task.encode(tokenizer, work.task.data().splits["train"], Scale())
        cases[f"{name}: padding"] = padding(work, encoded, model, rounds, num_texts)
        if name in ("E2E", "Alpaca"):
            cases[f"{name}: logits"] = logits(work, encoded, model, rounds, num_texts)
    return cases


def padding(
    work: Work, encoded: Encoded, model: PreTrainedModel, rounds: int, num_texts: int
) -> dict[str, Any]:
    """One data set's ways of padding."""
    sides, facts = {}, {}
    for way in work.sides:
        forwards = epoch(work, encoded.lengths, way)
        batches = _sample(encoded, forwards, num_texts, way)
        sides[way] = Side(partial(_train, model, work.task, batches, True), _tokens(batches))
        facts[way] = {"places a token": round(places_a_token(encoded.lengths, forwards, way), 3)}
    return {"unit": "tokens", "facts": facts, "sides": alternate(sides, rounds)}


def logits(
    work: Work, encoded: Encoded, model: PreTrainedModel, rounds: int, num_texts: int
) -> dict[str, Any]:
    """One data set's logits, of all places and of those that are learned."""
    batches = _sample(encoded, epoch(work, encoded.lengths, "grouped"), num_texts, "grouped")
    places = sum(batch["labels"].numel() for batch in batches)
    learned = sum(int(learned_places(batch["labels"]).sum()) for batch in batches)
    counts = {"of every place": places, "of learned places": learned}
    sides = {
        name: Side(partial(_train, model, work.task, batches, count == learned), _tokens(batches))
        for name, count in counts.items()
    }
    facts = {name: {"logits a token": round(count / _tokens(batches), 3)} for name, count in counts.items()}
    return {"unit": "tokens", "facts": facts, "sides": alternate(sides, rounds)}


def epoch(work: Work, lengths: np.ndarray, way: str) -> list[np.ndarray]:
    """The texts of each forward of the first epoch, as training orders them."""
    order = epoch_order(lengths, work.batch_size, 0, 0, group=way == "grouped")
    size = 1 if way == "alone" else work.micro_batch_size
    return [order[start : start + size] for start in range(0, len(order), size)]


def places_a_token(lengths: np.ndarray, forwards: Sequence[np.ndarray], way: str) -> float:
    """Places that an epoch computes over the tokens that it reads."""
    places = sum(len(rows) * (FIXED if way == "fixed" else lengths[rows].max()) for rows in forwards)
    return float(places / lengths.sum())


def _sample(encoded: Encoded, forwards: Sequence[np.ndarray], num_texts: int, way: str) -> list[Batch]:
    number = max(1, num_texts // len(forwards[0]))
    chosen = np.random.default_rng(0).permutation(len(forwards))[:number]
    batches = [encoded.batch(forwards[i].tolist()) for i in chosen]
    return [_widened(batch) for batch in batches] if way == "fixed" else batches


def _widened(batch: Batch) -> Batch:
    fill = {"labels": IGNORED}
    return {name: pad(t, (0, FIXED - t.shape[1]), value=fill.get(name, 0)) for name, t in batch.items()}


def _tokens(batches: Sequence[Batch]) -> int:
    return sum(int(batch["attention_mask"].sum()) for batch in batches)


def _model() -> PreTrainedModel:
    """The GPT-2 with an adapter on all of its layers."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_positions=POSITIONS, bos_token_id=None, eos_token_id=None, **SIZES))
    vblora.attach(model, vblora.VBLoRAConfig(rank=4, num_vectors=90, vector_length=64, targets=TARGETS))
    model.train()
    return model


def _train(model: PreTrainedModel, task: TextTask, batches: Sequence[Batch], learned_only: bool) -> None:
    """Forward and backward of every batch."""
    for batch in batches:
        labels = batch["labels"]
        targets = labels.where(labels == IGNORED, labels % NUM_WORDS)
        with logits_of_learned(model, labels if learned_only else None):
            found = model(batch["input_ids"] % NUM_WORDS, attention_mask=batch["attention_mask"]).logits
        chosen = found if learned_only else found[learned_places(labels)]
        task.loss(chosen, targets, 1).backward()
        model.zero_grad()
