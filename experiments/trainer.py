"""transformers' Trainer with this project's order of examples, evaluation, checkpoints and checks.

What differs from the stock Trainer, and why:
- the order of examples is a pure function of (seed, epoch), so that a run continues inside an epoch exactly;
- a checkpoint holds trained tensors only and is whole or not there (`experiments.checkpoints`); none is
  written between the last step of an epoch and its evaluation, which a continued stock run would leave out;
- the loss is the task's own, summed over the optimiser step, so that accumulation changes no gradient (the
  stock regression loss is averaged per micro-batch and not divided);
- logits are computed at the places whose next token is learned, and at no other
  (`experiments.learned_places`);
- a loss that is not finite ends the run; it does not count floating-point operations (0.1 ms a step);
- of several processes each trains on its `batches.Share`, which repeats no example to fill a batch up, as the
  stock loader does; the first alone writes checkpoints, to which the others add where each trains a part.
"""

import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.training_args import ParallelMode

from experiments import distributed
from experiments.batches import EpochSampler, Rows, Share
from experiments.checkpoints import CheckpointError, CheckpointWarning, Folder, num_bytes
from experiments.learned_places import logits_of_learned
from experiments.run_state import (
    Progress,
    held,
    optimizer_state,
    packed,
    put_back,
    put_back_optimizer,
    random_states,
    stored,
    trained,
)
from experiments.tasks.base import Answer
from vblora.footprint import Recorder
from vblora.sharding import is_sharded

TRAINED, BEST, PROGRESS = "trained.safetensors", "best.safetensors", "progress.json"
SELECTED, GENERATORS = "selected.safetensors", "rng_state.pth"
# A checkpoint is due at the earliest after 20 times the seconds that the last one took: at most 5 %.
_SAVING_SHARE = 20


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says at which step, why, and what to change."""


@dataclass(frozen=True)
class Hooks:
    """What the trainer asks of the run it serves.

    Attributes:
        loss: logits, targets and the optimiser step's examples to the loss.
        grade: the evaluation's logits, in the order of the evaluation set, to scores and answers.
        metric: the score by which epochs are compared.
        eval_every_epochs: epochs from one evaluation to the next.
        save_seconds: seconds between checkpoints; 0 writes one at every step.
        keep: what an evaluation keeps of a batch's logits and targets; None for the logits.
        keep_best: keep the best epoch's trained tensors, and end with them.
        recorder: is told which optimiser step comes next, and goes into checkpoints.
    """

    loss: Callable[[Tensor, Tensor, Tensor | int], Tensor]
    grade: Callable[[np.ndarray], tuple[dict[str, float], list[Answer]]]
    metric: str
    eval_every_epochs: int
    save_seconds: float
    keep: Callable[[Tensor, Tensor], Tensor] | None = None
    keep_best: bool = False
    recorder: Recorder | None = None


def noise_seed(seed: int, rank: int, step: int) -> int:
    """What a process draws a step's noise from, where there are several: a pure function."""
    return int(np.random.SeedSequence([seed, rank, step]).generate_state(1)[0])


class Timetable(TrainerCallback):
    """Says when to evaluate and when to save."""

    def __init__(self, trainer: "GroupTrainer") -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell the sampler which epoch it is; the stock way does not reach it in a continued epoch."""
        self.trainer.sampler.epoch = state.global_step // self.trainer.steps_per_epoch

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell the recorder of selections, if there is one; let each process have noise of its own."""
        if self.trainer.hooks.recorder is not None:
            self.trainer.hooks.recorder.begin(state.global_step)
        if distributed.size() > 1:  # so that a checkpoint needs no generators of all processes
            torch.manual_seed(noise_seed(args.seed, distributed.rank(), state.global_step))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Save inside an epoch when it is time."""
        inside = state.global_step % self.trainer.steps_per_epoch != 0
        control.should_save = inside and self.trainer.save_due()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Evaluate, then save: always after the last epoch, so that a run killed later is not repeated."""
        epoch, last = state.global_step // self.trainer.steps_per_epoch, state.global_step >= state.max_steps
        due = last or epoch % self.trainer.hooks.eval_every_epochs == 0
        control.should_evaluate = due and self.trainer.eval_dataset is not None
        control.should_save = self.trainer.save_due(always=last)


class GroupTrainer(Trainer):
    """The Trainer of one run.

    Args:
        hooks: see `Hooks`.
        sampler: the order of the training examples.
        folder: where checkpoints go.
        keywords: the stock Trainer's arguments.
    """

    def __init__(self, hooks: Hooks, sampler: EpochSampler, folder: Folder, **keywords: Any) -> None:
        self.hooks, self.sampler, self.folder = hooks, sampler, folder
        self.progress = Progress()
        self._started = self._saved = time.perf_counter()
        self._save_took = 0.0
        self.best: dict[str, Tensor] = {}
        self.in_parts = any(map(is_sharded, held(keywords["model"]).values()))
        super().__init__(
            compute_loss_func=self._loss,
            compute_metrics=self._grade,
            preprocess_logits_for_metrics=hooks.keep,
            **keywords,
        )
        self.model_accepts_loss_kwargs = False  # the count goes to our loss, not through the model
        self.add_callback(Timetable(self))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return math.ceil(len(self.sampler) / self.sampler.batch_size)

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        return self.sampler

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The stock one; of several processes, one that hands out this process's share."""
        if distributed.size() == 1:
            return super().get_train_dataloader()
        assert isinstance(self.train_dataset, Rows)
        share = Share(self.sampler, self._train_batch_size, distributed.rank(), distributed.size())
        pinned = self.args.dataloader_pin_memory
        return DataLoader(
            self.train_dataset, batch_sampler=share, collate_fn=self.data_collator, pin_memory=pinned
        )

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted."""
        return 0

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        count = len(labels) if num_items_in_batch is None else num_items_in_batch
        return self.hooks.loss(outputs["logits"], labels, count)

    def compute_loss(self, model: nn.Module, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        """The task's loss, or an evaluation's forward, with logits at learned places only."""
        assert isinstance(self.model, nn.Module)
        with logits_of_learned(self.model, inputs.get("labels")):
            return super().compute_loss(model, inputs, *arguments, **keywords)

    # -- a loss that is not finite

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """One forward and backward; on a CPU its loss is checked at once, on a GPU when it is read anyway.

        So is that of several processes: its mean is read by all of them, so that they end together.
        """
        loss = super().training_step(model, inputs, num_items_in_batch)
        if loss.device.type == "cpu" and distributed.size() == 1:
            self._check(float(loss), "the loss")
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, unless the loss since the last time was not finite."""
        self._check(logs.get("loss", 0.0), "the loss")
        super().log(logs, start_time)

    def _check(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            groups = self._parts()[1].param_groups
            rates = ", ".join(f"{g.get('name', i)} {g['initial_lr']:g}" for i, g in enumerate(groups))
            raise TrainingError(
                f"step {self.state.global_step + 1}: {what} is {value}; the run has diverged. Lower the "
                f"learning rates ({rates}) or set optim.max_grad_norm"
            )

    def _parts(self) -> tuple[nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """Model, optimiser and schedule, which are all there while training."""
        model, optimizer, schedule = self.model, self.optimizer, self.lr_scheduler
        assert isinstance(model, nn.Module) and optimizer is not None and schedule is not None
        return model, optimizer, schedule

    # -- evaluation

    def _grade(self, prediction: Any) -> dict[str, float]:
        logits = np.asarray(prediction.predictions)
        if not np.isfinite(logits).all():
            self._check(math.nan, "an output in evaluation")
        scores, answers = self.hooks.grade(logits)
        step = self.state.global_step
        epoch = step // self.steps_per_epoch
        self.progress.add(epoch, step, scores, answers, self.hooks.metric)
        if self.hooks.keep_best and self.progress.best_epoch == epoch:
            self.best = {name: tensor.clone() for name, tensor in held(self._parts()[0]).items()}
        return dict(scores)

    def evaluate(self, *arguments: Any, **keywords: Any) -> dict[str, float]:
        """Evaluate and count the seconds."""
        begin = time.perf_counter()
        metrics = super().evaluate(*arguments, **keywords)
        seconds = time.perf_counter() - begin
        self.progress.eval_seconds += seconds
        self._started += seconds  # so that evaluation is not counted as training
        return metrics

    # -- checkpoints

    def save_due(self, *, always: bool = False) -> bool:
        """Whether this process saves now: the first, and all where each trains a part, which it decides."""
        due = distributed.is_first() and (always or self._time_to_save())
        return distributed.agreed(due) if self.in_parts else due

    def _time_to_save(self) -> bool:
        """Whether the time since the last checkpoint calls for a new one."""
        since = time.perf_counter() - self._saved
        return (
            since >= max(self.hooks.save_seconds, _SAVING_SHARE * self._save_took)
            or not self.hooks.save_seconds
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint; a full disk costs the checkpoint, not the run, whose result needs none."""
        self._check(float(self._tr_loss), "the loss")
        self.count_seconds()
        begin, step = time.perf_counter(), self.state.global_step
        tensors = self._tensors()
        if not distributed.is_first():
            return
        if distributed.size() > 1 and not all(torch.isfinite(tensor).all() for tensor in tensors[0].values()):
            self._check(math.nan, "what was learned")  # from a loss that another process had
        try:
            with self.folder.writing(step) as partial:
                self._fill(partial, *tensors)
            self.progress.checkpoint_bytes = num_bytes(self.folder.path / f"checkpoint-{step}")
        except OSError as error:
            warnings.warn(
                f"{self.folder.path}: no checkpoint of step {step} ({error}); the run goes on, but if it is "
                "stopped it starts again from the one before. Free disk space",
                CheckpointWarning,
                stacklevel=2,
            )
        self._saved = time.perf_counter()
        self._save_took = self._saved - begin

    def _tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Of a checkpoint: what trains, that of the best epoch, the optimiser's state."""
        model, optimizer, _ = self._parts()
        return trained(model), stored(self.best), optimizer_state(optimizer)

    def _fill(
        self, partial: Path, now: dict[str, Tensor], best: dict[str, Tensor], optimizer: dict[str, Any]
    ) -> None:
        """Write the files under the stock Trainer's names, which its own functions read again."""
        (partial / TRAINED).write_bytes(safetensors.torch.save(now))
        if best:
            (partial / BEST).write_bytes(safetensors.torch.save(best))
        (partial / OPTIMIZER_NAME).write_bytes(packed(optimizer))
        schedule = self._parts()[2]
        (partial / SCHEDULER_NAME).write_bytes(packed(schedule.state_dict()))
        launched = self.args.parallel_mode == ParallelMode.DISTRIBUTED and distributed.size() == 1
        (partial / GENERATORS).write_bytes(packed(random_states(of_all=launched)))
        (partial / PROGRESS).write_text(json.dumps(asdict(self.progress)), encoding="utf-8")
        if self.hooks.recorder is not None:
            (partial / SELECTED).write_bytes(safetensors.torch.save(self.hooks.recorder.state()))
        self.state.save_to_json(str(partial / TRAINER_STATE_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Put trained tensors and progress back; the stock Trainer reads the rest with weights_only=True."""
        assert isinstance(self.model, nn.Module)
        folder = Path(resume_from_checkpoint)
        saved, own = safetensors.torch.load_file(folder / TRAINED), held(self.model)
        if {n: t.shape for n, t in saved.items()} != {n: p.shape for n, p in own.items()}:
            raise CheckpointError(f"{folder}: its trained tensors are not those of this model")
        put_back(self.model, saved)
        if (folder / BEST).exists():
            self.best = safetensors.torch.load_file(folder / BEST)
        if self.hooks.recorder is not None:
            self.hooks.recorder.restore(safetensors.torch.load_file(folder / SELECTED))
        self.progress = Progress(**json.loads((folder / PROGRESS).read_text(encoding="utf-8")))
        self.progress.num_resumes += 1
        self.progress.checkpoint_bytes = num_bytes(folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """The stock way, but where each process trains a part, it takes its part of the optimiser's state."""
        if checkpoint is None or not self.in_parts:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        state, planned = (
            torch.load(Path(checkpoint, name), map_location="cpu", mmap=True, weights_only=True)
            for name in (OPTIMIZER_NAME, SCHEDULER_NAME)
        )
        _, optimizer, schedule = self._parts()
        put_back_optimizer(optimizer, state)
        schedule.load_state_dict(planned)

    def count_seconds(self) -> None:
        """Add the training seconds since the last call to the progress."""
        now = time.perf_counter()
        self.progress.train_seconds += now - self._started
        self._started = now
