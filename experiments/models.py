"""Backbones and their tokenizers: encoders with a fresh head, and language models, which have none.

`source` is "hub" (a name and a revision), "local" (any folder `from_pretrained` reads), "tiny" (shipped with
the repository, `experiments.backbones`) or "scratch" (tiny's architecture with random weights).

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

import huggingface_hub
import numpy as np
import torch
from httpx2 import HTTPError
from huggingface_hub.errors import RevisionResolutionError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    DistributedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from experiments import backbones, distributed
from experiments.config import ModelConfig
from experiments.recipe import DECODERS
from experiments.tasks.base import Task
from vblora.sharding import whole

SOURCES = ("hub", "local", "tiny", "scratch")
HUB_HINT = ". Connect, or unset HF_HUB_OFFLINE, or use model.source=local model.path=<folder>"
_HEADS = ("classifier", "score", "pooler", "pre_classifier")  # names of heads in transformers' classifiers


class ModelError(ValueError):
    """A backbone that cannot be loaded; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A model to be tuned.

    Attributes:
        model: the encoder with a fresh head, or the language model.
        tokenizer: its own.
        commit: the hub's commit; None for other sources.
        fingerprint: SHA-256 over the names and weights, the head left out.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    commit: str | None
    fingerprint: str


def load(config: ModelConfig, task: Task, cache: Path) -> Backbone:
    """Build the configured backbone: an encoder with a head for the task, or a language model.

    Args:
        config: which one.
        task: gives the number of outputs, 0 for a language model, and the family of a tiny one.
        cache: where the tiny backbones are kept.

    Raises:
        ModelError: the source is unknown, the files cannot be read, or they lack weights of the backbone.
    """
    place = _place(config, task.family, cache)
    commit, options = None, {}
    outputs = {"num_labels": task.num_labels} if task.num_labels else {}
    kind: Any = AutoModelForSequenceClassification if task.num_labels else AutoModelForCausalLM
    try:
        if config.source == "hub":
            commit = _commit(place, config.revision)
            options = {"revision": commit}
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        settings = AutoConfig.from_pretrained(place, **outputs, **options)
        if config.source == "scratch":
            model: PreTrainedModel = kind.from_config(settings, dtype=getattr(torch, config.dtype))
        else:
            model = _pretrained(kind, place, settings, options | _format_and_place(config))
    except (OSError, HTTPError, RevisionResolutionError, SafetensorError, ValueError) as error:
        hint = HUB_HINT if config.source == "hub" else ""
        message = f"{config.name}: cannot be loaded from {config.source} {place}: {error}{hint}"
        raise ModelError(message) from error
    if config.quantization is not None:
        widen(model)
    if config.add_pad_token:
        add_pad_token(model, tokenizer)
    return Backbone(model, tokenizer, commit, fingerprint(model))


def _commit(name: str, revision: str | None) -> str:
    """The commit behind a model's branch or tag, None for its newest; offline, the one in the hub's cache.

    All files are then read of this one, though the branch may move on meanwhile.
    """
    return str(huggingface_hub.HfApi().resolve_revision(name, revision=revision).resolved)


def _format_and_place(config: ModelConfig) -> dict[str, Any]:
    """Arguments of `from_pretrained`: the weights' type, how they are quantised, and on how many devices.

    4 bits as in QLoRA (Dettmers et al. 2023): NormalFloat, the blocks' scales quantised again, products in
    bfloat16. What is not quantised (embeddings, norms, the output layer) has `dtype`.
    """
    arguments: dict[str, Any] = {"dtype": getattr(torch, config.dtype)}
    if config.sharded:
        arguments["distributed_config"] = DistributedConfig(fsdp_size=distributed.size())
    if config.quantization == "nf4":
        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    elif config.quantization == "int8":
        arguments["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    return arguments


def widen(model: PreTrainedModel) -> None:
    """Keep a quantised model's norms and its output layer in float32, so that its residual stream is too.

    A quantised layer answers in its input's type. Where norms are bfloat16 every block's sum is rounded to 8
    bits of mantissa; the released code casts the norms for that. It lets autocast bring what the output layer
    reads back to bfloat16; here that layer reads float32.
    """
    for name, module in model.named_modules():
        if "norm" in name.rpartition(".")[2]:
            module.float()
    output = model.get_output_embeddings()
    if output is not None:
        output.float()


@torch.no_grad()
def add_pad_token(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer without one a token for padding, and the model a row for it: the mean of all others.

    Llama 2 has no such token, and the released code adds "[PAD]" in this way. A random row would be an
    outlier: its logit would be one of a model that never saw it, and could win in generation; the mean's is
    an average word's. A tokenizer that has the token keeps it.
    """
    if tokenizer.pad_token is not None:
        return
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    before = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) <= before:  # the embedding has spare rows, as some models' padded ones have
        return
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None:
            weight = layer.weight
            weight[before:] = weight[:before].mean(dim=0, keepdim=True)


def place(model: nn.Module) -> None:
    """Move a model to the device that it would train on; one that no Trainer has had lies on the CPU.

    A quantised one lies there since it was loaded, and does not move.
    """
    if torch.accelerator.is_available() and getattr(model, "hf_quantizer", None) is None:
        model.to(torch.accelerator.current_accelerator())


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
    """SHA-256 over the names, shapes and bytes of all weights but the head's, where there is one.

    Of a sharded model every process must ask for it.
    """
    heads = () if is_language_model(model) else tuple(f"{name}." for name in head_modules(model))
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(heads):
            sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            sha.update(tensor_bytes(whole(tensor)))
    return sha.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor of any number format, without a copy where it lies on the CPU."""
    flat: np.ndarray = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.data


def is_language_model(model: nn.Module) -> bool:
    """Whether the model's outputs are the next tokens, so that no head is the task's own."""
    return isinstance(model, PreTrainedModel) and model.get_output_embeddings() is not None


def task_head(model: nn.Module) -> list[str]:
    """Names of the modules that train beside an adapter: the task's head; none in a language model."""
    return [] if is_language_model(model) else head_modules(model)


def max_tokens(config: ModelConfig, family: str) -> int | None:
    """Tokens that the backbone has positions for; None where that is not known before it is loaded."""
    if config.source in ("tiny", "scratch"):
        from experiments.pretraining import MAX_TOKENS

        return DECODERS[family].max_tokens if family in DECODERS else MAX_TOKENS
    if config.source != "local" or config.path is None:
        return None
    try:
        facts = json.loads((Path(config.path) / "config.json").read_text(encoding="utf-8"))
        positions, kind = facts.get("max_position_embeddings"), str(facts.get("model_type"))
        # RoBERTa counts positions from the one behind its padding token's id.
        return int(positions) - (int(facts.get("pad_token_id", 1)) + 1 if "roberta" in kind else 0)
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # `load` says what is wrong with the folder


def _place(config: ModelConfig, family: str, cache: Path) -> str:
    """Hub name or folder of the backbone; a tiny one is pretrained first if `config.pretrain` asks for it."""
    if config.source not in SOURCES:
        raise ModelError(f"model.source is {config.source!r}; choose one of {', '.join(SOURCES)}")
    if config.source in ("tiny", "scratch"):
        # transformers writes a model in the first of several processes only.
        with distributed.first_goes_first(), _same_random_state():
            return str(_tiny(config, family, cache))
    if config.path is None:
        raise ModelError(f"{config.name}: model.source={config.source} needs model.path")
    if config.source == "local" and not (Path(config.path) / "config.json").is_file():
        raise ModelError(
            f"{config.path} holds no config.json; set model.path to a folder saved by transformers"
        )
    if config.source == "hub" and Path(config.path).exists():  # transformers would read it instead
        raise ModelError(f"{config.path} is a folder here; use model.source=local, or call from elsewhere")
    return config.path


def _tiny(config: ModelConfig, family: str, cache: Path) -> Path:
    """Folder of the tiny backbone of a family: the shipped one, or one made here."""
    if config.pretrain:
        return backbones.made(family, config.pretrain_seed, cache)
    return backbones.folder(family)


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


def _pretrained(kind: Any, place: str, settings: Any, options: dict[str, Any]) -> PreTrainedModel:
    """Load the weights; transformers' report of missing weights is replaced by our own check."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # a bar of weights for every run of a sweep
    model: PreTrainedModel
    try:
        model, info = kind.from_pretrained(place, config=settings, output_loading_info=True, **options)
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    heads = tuple(f"{name}." for name in task_head(model))
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(heads))
    if missing:
        raise ModelError(f"{place} lacks {len(missing)} weights of the backbone, such as {missing[0]}")
    return model
