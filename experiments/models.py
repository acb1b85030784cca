"""Backbones with a fresh head, and their tokenizers.

`source` is "hub" (a name and a revision), "local" (any folder `from_pretrained` reads), "tiny" (pretrained
here) or "scratch" (tiny's architecture with random weights).

The head is drawn from torch's global generator, which the pipeline seeds first. It is everything behind the
encoder: RoBERTa's `classifier` (dense and out_proj), and for BERT its `bert.pooler` and `classifier`, which
have the same shape and role: RoBERTa's dense *is* a pooler. So what trains beside an adapter is the same in
both. A pooler that the file holds is kept as a start; that of all-MiniLM-L6-v2 was never trained (its bias
is exactly 0, as its own use averages tokens instead).
"""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from typing import Any

import numpy as np
import torch
from httpx2 import HTTPError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from experiments.config import ModelConfig
from experiments.tasks.base import Task

SOURCES = ("hub", "local", "tiny", "scratch")
_HEADS = ("classifier", "score", "pooler", "pre_classifier")  # names of heads in transformers' classifiers


class ModelError(ValueError):
    """A backbone that cannot be loaded; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A model to be tuned.

    Attributes:
        model: the encoder with a fresh head.
        tokenizer: its own.
        commit: the hub's commit; None for other sources.
        fingerprint: SHA-256 over the names and weights of the encoder, the head left out.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    commit: str | None
    fingerprint: str


def load(config: ModelConfig, task: Task, cache: Path) -> Backbone:
    """Build the configured backbone with a head for the task.

    Args:
        config: which one.
        task: gives the number of outputs.
        cache: where the tiny backbone is kept.

    Raises:
        ModelError: the source is unknown, the files cannot be read, or they lack weights of the encoder.
    """
    place = _place(config, cache)
    dtype = getattr(torch, config.dtype)
    options: dict[str, Any] = {"revision": config.revision} if config.source == "hub" else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        settings = AutoConfig.from_pretrained(place, num_labels=task.num_labels, **options)
        if config.source == "scratch":
            build: Any = AutoModelForSequenceClassification.from_config  # has no annotations
            model: PreTrainedModel = build(settings, dtype=dtype)
        else:
            model = _pretrained(place, settings, dtype, options)
    except (OSError, HTTPError, SafetensorError, ValueError) as error:
        raise ModelError(f"{config.name}: cannot be loaded from {config.source} {place}: {error}") from error
    commit = getattr(settings, "_commit_hash", None) if config.source == "hub" else None
    return Backbone(model, tokenizer, commit, fingerprint(model))


def head_modules(model: nn.Module) -> list[str]:
    """Full names of the modules that form the head, as `vblora.attach(also_train=…)` takes them.

    Raises:
        ModelError: there is none.
    """
    found = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in _HEADS]
    outer = [name for name in found if not any(name.startswith(f"{other}.") for other in found)]
    if not outer:
        raise ModelError(f"{type(model).__name__} has no head named {', '.join(_HEADS)}")
    return outer


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of all weights but the head's."""
    heads = tuple(f"{name}." for name in head_modules(model))
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(heads):
            sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            sha.update(tensor_bytes(tensor))
    return sha.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor of any number format, without a copy where it lies on the CPU."""
    flat: np.ndarray = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.data


def max_tokens(config: ModelConfig) -> int | None:
    """Tokens that the backbone has positions for; None where that is not known before it is loaded."""
    if config.source in ("tiny", "scratch"):
        from experiments.pretraining import MAX_TOKENS

        return MAX_TOKENS
    if config.source != "local" or config.path is None:
        return None
    try:
        facts = json.loads((Path(config.path) / "config.json").read_text(encoding="utf-8"))
        positions, kind = facts.get("max_position_embeddings"), str(facts.get("model_type"))
        # RoBERTa counts positions from the one behind its padding token's id.
        return int(positions) - (int(facts.get("pad_token_id", 1)) + 1 if "roberta" in kind else 0)
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # `load` says what is wrong with the folder


def _place(config: ModelConfig, cache: Path) -> str:
    """Hub name or folder of the backbone; the tiny one is pretrained if it is not there yet."""
    if config.source not in SOURCES:
        raise ModelError(f"model.source is {config.source!r}; choose one of {', '.join(SOURCES)}")
    if config.source in ("tiny", "scratch"):
        from experiments.pretraining import tiny_backbone

        with _same_random_state():
            return str(tiny_backbone(cache))
    if config.path is None:
        raise ModelError(f"{config.name}: model.source={config.source} needs model.path")
    if config.source == "local" and not (Path(config.path) / "config.json").is_file():
        raise ModelError(
            f"{config.path} holds no config.json; set model.path to a folder saved by transformers"
        )
    return config.path


@contextmanager
def _same_random_state() -> Iterator[None]:
    """Leave all generators as they were: a run is the same whether it pretrains the backbone or finds it."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _pretrained(place: str, settings: Any, dtype: torch.dtype, options: dict[str, Any]) -> PreTrainedModel:
    """Load the encoder; transformers' report of missing weights is replaced by our own check."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # a bar of weights for every run of a sweep
    model: PreTrainedModel
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            place, config=settings, dtype=dtype, output_loading_info=True, **options
        )
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    heads = tuple(f"{name}." for name in head_modules(model))
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(heads))
    if missing:
        raise ModelError(f"{place} lacks {len(missing)} weights of the encoder, such as {missing[0]}")
    return model
