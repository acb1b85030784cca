"""Checks across the whole configuration, before any model is loaded; they collect every problem."""

import importlib.util
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments import distributed, method_checks, methods, models, options, tasks, text_checks
from experiments.config import Config, DataConfig, ModelConfig, OptimConfig
from experiments.families import is_generative
from experiments.record_schema import PART

CHOICES: dict[str, tuple[str | None, ...]] = {
    "data.source": ("synthetic", "hub", "local"),
    "data.padding": ("longest", "max_length"),
    "model.source": ("hub", "local", "tiny", "scratch"),
    "model.dtype": ("float32", "bfloat16", "float64"),
    "model.quantization": ("nf4", "int8", None),
    "model.kind": ("encoder", "gpt2", "decoder"),
    "optim.schedule": ("linear", "cosine"),
    "optim.precision": ("float32", "bfloat16"),
    "optim.optimizer": ("adamw", "paged_adamw", None),
    "generation.engine": ("transformers", "vllm"),
    "generation.beam_search": ("transformers", "hu2021"),
    "generation.epoch": ("last", "best"),
    "tracker.name": ("none", "wandb"),
    "tracker.mode": ("offline", "online"),
}
AT_LEAST_ONE = (
    *("optim.epochs", "optim.batch_size", "optim.eval_every_epochs", "data.max_length"),
    *("generation.num_beams", "generation.max_new_tokens", "generation.batch_size"),
    *("data.num_train", "data.num_test", "data.source_max_length", "data.target_max_length"),
)
NOT_NEGATIVE = (
    *("seed", "optim.head_weight_decay", "optim.adapter_weight_decay", "optim.full_weight_decay"),
    *("generation.no_repeat_ngram_size", "optim.warmup_steps", "data.held_out"),
)
RATES = ("head_lr", "bank_lr", "logits_lr", "adapter_lr", "full_lr")


def check(cfg: Config) -> list[str]:
    """Every problem of a configuration, one sentence each; none for a run that can start."""
    found = [*_choices(cfg), *_numbers(cfg), *_places(cfg), *_names(cfg), *_lengths(cfg)]
    found += [*_task(cfg), *_processes(cfg), *text_checks.problems(cfg)]
    found += method_checks.problems(cfg.method, cfg.targets)
    rates = methods.rates(cfg.method, head=not is_generative(cfg.task.family))
    return found + [*_rates(cfg.optim, cfg.method.name, rates), *_without_effect(cfg, rates)]


def _value(cfg: Config, place: str) -> object:
    value: object = cfg
    for part in place.split("."):
        value = getattr(value, part)
    return value


def _choices(cfg: Config) -> Iterator[str]:
    for place, choices in CHOICES.items():
        value = _value(cfg, place)
        if value not in choices:
            yield options.unknown(place, value, [choice or "null" for choice in choices])


def _numbers(cfg: Config) -> Iterator[str]:
    for places, least in ((AT_LEAST_ONE, 1), (NOT_NEGATIVE, 0)):
        for place in places:
            value = _value(cfg, place)
            if value is None:
                continue
            if not least <= value < math.inf:  # type: ignore[operator]  # the schema makes these numbers
                yield f"{place}: {value} is out of range; it is a finite number of {least} or more"
    if not 0 < cfg.data.train_fraction <= 1:
        yield f"data.train_fraction: {cfg.data.train_fraction} is outside 0 < fraction <= 1"
    if not 0 <= cfg.optim.warmup_ratio < 1:
        yield f"optim.warmup_ratio: {cfg.optim.warmup_ratio} is outside 0 <= ratio < 1"
    if cfg.seed >= 2**32:
        yield f"seed: {cfg.seed} is too large; NumPy's generators take less than {2**32}"
    if cfg.scale.num_threads is not None and cfg.scale.num_threads < 1:
        yield f"scale.num_threads: {cfg.scale.num_threads} is too small; give 1 or more, or null"
    norm, micro, batch = cfg.optim.max_grad_norm, cfg.optim.micro_batch_size, cfg.optim.batch_size
    if norm is not None and not 0 < norm < math.inf:
        yield f"optim.max_grad_norm: {norm} is not positive; null means no clipping"
    if micro is not None and (micro < 1 or batch % micro):
        yield f"optim.micro_batch_size: {micro} does not divide optim.batch_size, {batch}"


def _task(cfg: Config) -> Iterator[str]:
    try:
        tasks.build(cfg)
    except ValueError as error:
        yield f"task: {error}"


def _processes(cfg: Config) -> Iterator[str]:
    """What one run by several processes needs."""
    size, batch, micro = distributed.size(), cfg.optim.batch_size, cfg.optim.micro_batch_size
    if size > 1 and batch % size:
        yield f"optim.batch_size: {batch} examples cannot be shared by {size} processes alike"
    elif size > 1 and micro and micro < batch // size and (batch // size) % micro:
        yield f"optim.micro_batch_size: {micro} does not divide the {batch // size} examples of a process"
    if not cfg.model.sharded:
        return
    if size == 1:
        yield "model.sharded: needs several processes: torchrun --nproc-per-node=N -m experiments.run ..."
    if cfg.model.kind != "decoder" or cfg.model.quantization or cfg.model.source == "scratch":
        yield "model.sharded: only for a decoder whose weights are loaded and not quantised"
    if cfg.model.add_pad_token:
        yield "model.sharded: the embedding cannot grow; model.add_pad_token=false pads with another token"


def _places(cfg: Config) -> Iterator[str]:
    """Files that must be there, and settings that would be ignored."""
    if cfg.data.source == "local":
        yield from _folder(
            "data.root", cfg.data.root, "the folder that holds the task's files, in their official form"
        )
    elif (cfg.task.family, cfg.data.source) == ("instruct", "hub"):
        what = "the folder that holds FastChat's mt_bench/question.jsonl"
        yield from _folder("data.root", cfg.data.root, what, "hub")
    elif cfg.data.root is not None:
        yield f"data.root: source {cfg.data.source} reads no files; choose data=local to use {cfg.data.root}"
    if cfg.model.source == "local":
        yield from _folder(
            "model.path", cfg.model.path, "the folder of the model (config.json, weights, tokenizer)"
        )
    elif cfg.model.source == "hub" and not cfg.model.path:
        yield "model.path: source hub needs the model's name on the hub"
    if cfg.tracker.name == "wandb" and importlib.util.find_spec("wandb") is None:
        yield "tracker: wandb is not installed; `pip install wandb`, or choose tracker=none"
    if cfg.tracker.adapters and (cfg.tracker.name == "none" or cfg.paths.adapters is None):
        yield "tracker.adapters: needs tracker=wandb, and paths.adapters=... for what a run leaves"


def _lengths(cfg: Config) -> Iterator[str]:
    most = models.max_tokens(cfg.model, cfg.task.family)
    if most is not None and cfg.data.max_length > most:
        yield f"data.max_length: {cfg.data.max_length} is more than the {most} positions of {cfg.model.name}"


def _folder(place: str, value: str | None, what: str, source: str = "local") -> Iterator[str]:
    if not value:
        yield f"{place}: source {source} needs {place}=..., {what}"
    elif not Path(os.path.expanduser(value)).is_dir():
        yield f"{place}: {value} is not a folder; give {what}"


def _names(cfg: Config) -> Iterator[str]:
    """Names that become parts of a path."""
    places = ("task.name", "model.name", "method.name", "targets.name", "variant", "scale.name")
    for place in places:
        value = str(_value(cfg, place))
        if not re.fullmatch(PART, value):
            yield f"{place}: {value!r} is no plain name; use letters, digits and _ . + = -"


def _rates(optim: OptimConfig, method: str, used: Sequence[str]) -> Iterator[str]:
    """Each rate that the method uses must be given, no other may be."""
    given: Mapping[str, float | None] = {name: getattr(optim, name) for name in RATES}
    for name, value in given.items():
        if name in used and value is None:
            yield f"optim.{name}: method {method} needs it, and no tuned table gives it; set optim.{name}=..."
        elif name not in used and value is not None:
            uses = ", ".join(used) or "none"
            yield f"optim.{name}: method {method} has no use for it; its learning rates are: {uses}"
        elif value is not None and not 0 <= value < math.inf:
            yield f"optim.{name}: {value} is no learning rate; it is 0 or more"


def _without_effect(cfg: Config, used: Sequence[str]) -> Iterator[str]:
    """Settings that nothing would read, and that would still make another run of this one."""
    for kind in ("adapter", "full"):
        decay = getattr(cfg.optim, f"{kind}_weight_decay")
        if decay and f"{kind}_lr" not in used:
            yield f"optim.{kind}_weight_decay: method {cfg.method.name} has no use for it; leave it at 0"
    if cfg.model.path is not None and cfg.model.source in ("tiny", "scratch"):
        yield f"model.path: source {cfg.model.source} reads no folder; model=local would use it"
    if cfg.model.pretrain and cfg.model.source != "tiny":
        yield f"model.pretrain: only a model of source tiny is made here, not of source {cfg.model.source}"
    if cfg.model.pretrain_seed is not None and not cfg.model.pretrain:
        yield "model.pretrain_seed: only of a backbone that is made here; model.pretrain=true makes one"
    places: dict[str, ModelConfig | DataConfig] = {"model": cfg.model, "data": cfg.data}
    for group, place in places.items():
        if place.revision is not None and place.source != "hub":
            yield f"{group}.revision: only source hub has revisions, not {place.source}"
