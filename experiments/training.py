"""Train a backbone on a task: parameter groups, one schedule, an evaluation every epoch, the best kept."""

import hashlib
import importlib
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from experiments import distributed
from experiments.batches import EpochSampler, Rows, collate
from experiments.checkpoints import Folder
from experiments.config import DataConfig, OptimConfig
from experiments.data.examples import digest
from experiments.models import Backbone, tensor_bytes
from experiments.run_state import peak_bytes, put_back, trained
from experiments.tasks.base import Answer, Scale, Task
from experiments.trainer import GroupTrainer, Hooks, TrainingError
from vblora import VBLoRA
from vblora.footprint import Footprint, Recorder

Group = dict[str, Any]
"""A parameter group: name, params, lr, weight_decay."""

# An evaluation forward keeps no activations, so it takes this many times a training forward's rows.
_EVAL_BATCHES = 4
_LOGS_PER_EPOCH = 10


@dataclass(frozen=True)
class TrainResult:
    """What training found, and at what cost.

    `history` to `num_steps` are equal for equal runs, bit for bit on one machine's CPU, however often they
    were interrupted; the rest are circumstances.

    Attributes:
        history: epoch, step and scores of every evaluation.
        best_epoch: the first epoch with the best score, from 1; 0 where there was no evaluation.
        scores, last_scores: of the best and of the last epoch, as fractions.
        answers: the best epoch's answers to the validation set.
        num_steps: optimiser steps.
        train_seconds, eval_seconds: over all parts of an interrupted run.
        peak_bytes: most memory held: on a GPU that allocated in this run, else that of the process so far.
        num_resumes: times the run was continued.
        checkpoint_bytes, model_bytes: size of its last checkpoint, and of all weights of the model.
        footprint: which bank vectors were selected, if that was recorded.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    scores: dict[str, float]
    last_scores: dict[str, float]
    answers: list[Answer]
    num_steps: int
    train_seconds: float
    eval_seconds: float
    peak_bytes: int
    num_resumes: int
    checkpoint_bytes: int
    model_bytes: int
    footprint: Footprint | None = None


def untrained(model: nn.Module) -> TrainResult:
    """The result of a run in which nothing trains."""
    size = sum(parameter.nbytes for parameter in model.parameters())
    return TrainResult([], 0, {}, {}, [], 0, 0.0, 0.0, peak_bytes(), 0, 0, size)


def no_window(sampler: EpochSampler) -> Sequence[TrainerCallback]:
    """Nothing is shown."""
    return ()


def train(
    backbone: Backbone,
    task: Task,
    splits: Mapping[str, Sequence[Any]],
    param_groups: Sequence[Group],
    optim: OptimConfig,
    data: DataConfig,
    *,
    seed: int,
    checkpoint_dir: Path,
    keep_best: bool = False,
    watched: VBLoRA | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    window: Callable[[EpochSampler], Sequence[TrainerCallback]] = no_window,
    identity: str = "",
    save_seconds: float = 30.0,
) -> TrainResult:
    """Train what the groups hold, from the last whole checkpoint in `checkpoint_dir` if there is one.

    Args:
        backbone: model with head (and adapter), and tokenizer.
        task: encodes, computes the loss, scores.
        splits: "train" and "validation"; without validation examples nothing is evaluated.
        param_groups: every trainable parameter exactly once.
        optim: epochs, batch sizes, schedule, clipping.
        data: grouping by length.
        seed: of the order of examples and of dropout.
        checkpoint_dir: this run's own folder.
        keep_best: leave the model with the best epoch's weights; else with the last one's.
        watched: a VB-LoRA adapter of the model whose selections are recorded.
        callbacks: more of transformers' callbacks, such as a progress bar.
        window: from the order of examples to the callbacks that show the Trainer's log.
        identity: hash of the configuration; checkpoints of another identity are not used.
        save_seconds: seconds between checkpoints; 0 writes one at every step.

    Raises:
        TrainingError: the groups or batch sizes do not fit, or the loss is not finite.
    """
    check_groups(backbone.model, param_groups)
    arguments = _arguments(optim, len(splits["train"]), seed, checkpoint_dir)
    facts = [identity, arguments.device.type, keep_best, watched is not None]
    folder = Folder(checkpoint_dir, _identity(facts, backbone, task, splits, param_groups, optim, data, seed))
    watched = watched if distributed.is_first() else None  # they all select the same
    recorder = Recorder(watched, _num_steps(optim, len(splits["train"]))) if watched else None
    asked = (optim.eval_every_epochs, save_seconds, task.keep, keep_best, recorder)
    hooks = Hooks(task.loss, _none, task.metric, *asked)
    trainer = _trainer(backbone, task, splits, arguments, folder, hooks, data)
    trainer.optimizer = optimizer_of(optim)([dict(group) for group in param_groups])
    for callback in (*callbacks, *window(trainer.sampler)):
        trainer.add_callback(callback)
    return _run(trainer)


def evaluate(
    backbone: Backbone,
    task: Task,
    splits: Mapping[str, Sequence[Any]],
    optim: OptimConfig,
    data: DataConfig,
) -> tuple[dict[str, float], list[Answer]]:
    """Scores and answers on the validation set of a model as it is, computed as in training.

    Args:
        backbone: model with head and adapter, and tokenizer.
        task: encodes and scores.
        splits: "validation", and "train", which a regression's scale comes from.
        optim: precision and batch sizes.
        data: how inputs are cut and padded.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = _arguments(optim, len(splits["train"]), 0, Path(folder))
        hooks = Hooks(task.loss, _none, task.metric, optim.eval_every_epochs, 0.0, task.keep)
        trainer = _trainer(backbone, task, splits, arguments, Folder(Path(folder), ""), hooks, data)
        with _own_forward(backbone.model):
            trainer.evaluate()
    return trainer.progress.scores, trainer.progress.answers


@contextmanager
def _own_forward(model: nn.Module) -> Iterator[None]:
    """Afterwards the model's forward is as before; accelerate wraps it in the precision of this evaluation.

    accelerate's own `unwrap_model` takes off transformers' decorators too.
    """
    names = ("forward", "_original_forward", "_is_accelerate_prepared")
    before = {name: vars(model)[name] for name in names if name in vars(model)}
    try:
        yield
    finally:
        for name in names:
            vars(model).pop(name, None)
        vars(model).update(before)


def _trainer(
    backbone: Backbone,
    task: Task,
    splits: Mapping[str, Sequence[Any]],
    arguments: TrainingArguments,
    folder: Folder,
    hooks: Hooks,
    data: DataConfig,
) -> GroupTrainer:
    """The Trainer of the encoded splits, not yet with an optimiser."""
    scale = task.scale(splits["train"])
    encoded = task.encode(backbone.tokenizer, splits["train"], scale)
    evaluated = None
    if splits["validation"]:
        held_out = task.encode(backbone.tokenizer, splits["validation"], scale)
        order = np.argsort(-held_out.lengths, kind="stable")  # similar lengths in one batch
        hooks = replace(hooks, grade=_grader(task, splits["validation"], scale, order))
        evaluated = Rows(held_out, order)
    group = data.group_by_length and data.padding == "longest"
    share = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    batch_size = share * distributed.size()
    trainer = GroupTrainer(
        hooks,
        EpochSampler(encoded.lengths, batch_size, arguments.seed, group=group),
        folder,
        model=backbone.model,
        args=arguments,
        data_collator=collate,
        train_dataset=Rows(encoded, np.arange(len(encoded))),
        eval_dataset=evaluated,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _none(outputs: np.ndarray) -> tuple[dict[str, float], list[Answer]]:
    """The grader of no examples; never called."""
    raise AssertionError(f"{len(outputs)} outputs of no evaluation set")


def optimizer_of(optim: OptimConfig) -> Callable[[list[Group]], torch.optim.Optimizer]:
    """The configured optimiser's builder: AdamW, or on a GPU bitsandbytes' paged one with 32-bit state.

    The paged one computes the same; it only lets its state leave the GPU's memory, so a CPU needs none.
    """
    if optim.optimizer == "paged_adamw" and torch.cuda.is_available():
        optimizers: Any = importlib.import_module("bitsandbytes.optim")
        paged: Callable[[list[Group]], torch.optim.Optimizer] = optimizers.PagedAdamW32bit
        return paged
    return lambda groups: torch.optim.AdamW(groups, fused=True)


def _grader(
    task: Task, examples: Sequence[Any], scale: Scale, order: np.ndarray
) -> Callable[[np.ndarray], tuple[dict[str, float], list[Answer]]]:
    """From the outputs for examples taken in `order` to scores, and answers in the examples' own order."""

    def grade(logits: np.ndarray) -> tuple[dict[str, float], list[Answer]]:
        rows = task.answers(logits[np.argsort(order)], examples, scale)
        return task.score([row["prediction"] for row in rows], [row["label"] for row in rows]), rows

    return grade


def check_groups(model: nn.Module, groups: Sequence[Group]) -> None:
    """Assert that the groups hold every trainable parameter exactly once, and nothing else.

    Raises:
        TrainingError: they do not; the message names the parameters.
    """
    names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    held = Counter(id(p) for group in groups for p in group["params"])
    problems = {
        "in no group": [name for key, name in names.items() if key not in held],
        "in several places": [names.get(key, "one") for key, count in held.items() if count > 1],
        "in a group but not trainable": ["one"] * len(held.keys() - names.keys()),
    }
    found = [f"{len(which)} {what} ({', '.join(which[:3])})" for what, which in problems.items() if which]
    if found or not names:
        raise TrainingError(f"parameter groups do not fit the model: {'; '.join(found) or 'nothing trains'}")


def _arguments(optim: OptimConfig, num_train: int, seed: int, folder: Path) -> TrainingArguments:
    """The stock Trainer's settings; evaluation and saving are told by `trainer.Timetable`.

    Raises:
        TrainingError: the batch cannot be cut into equal forwards of all processes.
    """
    steps_per_epoch = _num_steps(optim, num_train) // optim.epochs
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=optim.epochs,
        max_grad_norm=optim.max_grad_norm or 0.0,
        bf16=optim.precision == "bfloat16",
        use_cpu=not torch.accelerator.is_available(),  # what bf16 wants said before it computes on a CPU
        lr_scheduler_type=optim.schedule,
        warmup_steps=warmup_steps(optim, steps_per_epoch),
        activation_checkpointing=bool(optim.gradient_checkpointing),
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=max(1, steps_per_epoch // _LOGS_PER_EPOCH),
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",
        seed=seed,
        report_to="none",  # `train` adds the window, whose errors stop no run
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,  # all that trains gets a gradient from every forward
        ddp_broadcast_buffers=False,  # no buffer changes in training
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # DataParallel would replicate the adapter
    arguments.mixed_precision = "bf16" if arguments.bf16 else "no"  # whatever accelerate's own settings say
    share, rest = divmod(optim.batch_size, distributed.size())
    if rest:
        raise TrainingError(f"batch_size {optim.batch_size} is no multiple of {distributed.size()} processes")
    rows = min(optim.micro_batch_size or share, share)
    arguments.per_device_train_batch_size = rows
    arguments.per_device_eval_batch_size = _EVAL_BATCHES * rows
    arguments.gradient_accumulation_steps, rest = divmod(share, rows)
    if rest:
        raise TrainingError(f"{share} examples of a process are no multiple of micro_batch_size {rows}")
    return arguments


def _num_steps(optim: OptimConfig, num_train: int) -> int:
    """Optimiser steps of the whole training."""
    return optim.epochs * math.ceil(num_train / optim.batch_size)


def warmup_steps(optim: OptimConfig, steps_per_epoch: int) -> int:
    """Optimiser steps of the warm-up: those given, or the given part of all."""
    if optim.warmup_steps is not None:
        return optim.warmup_steps
    return math.ceil(optim.warmup_ratio * optim.epochs * steps_per_epoch)


def _identity(
    run: list[Any],
    backbone: Backbone,
    task: Task,
    splits: Mapping[str, Sequence[Any]],
    groups: Sequence[Group],
    optim: OptimConfig,
    data: DataConfig,
    seed: int,
) -> str:
    """A digest of all that determines the result: settings, machine, data, weights, starts, versions."""
    starts = hashlib.sha256()
    for name, tensor in trained(backbone.model).items():
        starts.update(name.encode())
        starts.update(tensor_bytes(tensor))
    # Folders do not count: `digest` below knows the data by their content.
    threads = torch.get_num_threads() if run[1] == "cpu" else None  # can change the last bits there
    facts = [
        [*run, seed, asdict(optim), asdict(data) | {"root": None}],
        [task.family, task.name, task.version, digest(splits)],
        [backbone.fingerprint, starts.hexdigest()]
        + [[g["name"], g["lr"], g["weight_decay"]] for g in groups],
        [torch.__version__, transformers.__version__, threads],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _run(trainer: GroupTrainer) -> TrainResult:
    """Train and gather what came of it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    found_here = trainer.folder.latest() if distributed.is_first() else None
    checkpoint = distributed.agreed(found_here)
    recorder = trainer.hooks.recorder
    with recorder or nullcontext():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.count_seconds()
    found: dict[str, Any] = asdict(trainer.progress)
    footprint = recorder.footprint() if recorder else None  # of the last epoch, whichever is the best
    assert isinstance(trainer.model, nn.Module)
    put_back(trainer.model, trainer.best)
    return TrainResult(
        **found,
        last_scores=found["history"][-1]["scores"] if found["history"] else {},
        num_steps=trainer.state.global_step,
        peak_bytes=peak_bytes(),
        model_bytes=sum(p.nbytes for p in trainer.model.parameters()),
        footprint=footprint,
    )
