"""What a tracker shows of training beside the loss: put into the Trainer's own log, and nowhere else.

Keys as W&B has them; the Trainer writes `train/` before each. Loss, learning rate, epoch, step and the norm
of all gradients (`train/grad_norm`, before clipping, also where nothing is clipped) it logs itself:

    train/lr/<group>          the learning rate of the step, for each parameter group
    train/grad_norm/<group>   that group's part of `train/grad_norm`: their squares add up to its square
    train/tokens              tokens trained on since the first step, padding left out
    train/tokens_per_second   those since the last log, by its seconds of training, without evaluation
    train/peak_bytes          most memory held: on a GPU that allocated in this run, else the process's

They are read, never drawn from a generator or written back, so the run's outcome is the same without them.
They go to the tracker alone: what the Trainer keeps of its log, which every checkpoint holds, has none of it.
Measured at scale tiny, where every second step is logged: 0.8 % of training's CPU time.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from experiments.batches import EpochSampler
from experiments.run_state import peak_bytes
from experiments.throughput import Clock, Tokens
from vblora.sharding import is_sharded


class Curves(TrainerCallback):
    """Adds this module's curves to each log of training; stands before the callback that shows the log.

    Args:
        sampler: the order of the training examples, which tells how many tokens a step had.
    """

    def __init__(self, sampler: EpochSampler) -> None:
        self.tokens, self.clock = Tokens(sampler), Clock()
        self._seen = 0
        self._groups: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start to count, from the step that a continued run is at."""
        self._seen = self.tokens.until(state.global_step)
        self.clock.start()

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Read rates and gradients while they are there, of the steps that are logged only."""
        if (state.global_step + 1) % state.logging_steps == 0:
            self._groups = {
                **{f"lr/{group['name']}": group["lr"] for group in optimizer.param_groups},
                **{f"grad_norm/{name}": norm for name, norm in norms(optimizer.param_groups).items()},
            }

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note until when there was training."""
        self.clock.step()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Add the curves to a log of training; one of an evaluation stays as it is."""
        if logs is None or "loss" not in logs:
            return
        tokens, seconds = self.tokens.until(state.global_step), self.clock.take()
        logs |= before_clipping(self._groups, logs.get("grad_norm"))
        logs["tokens"] = tokens
        if seconds > 0:
            logs["tokens_per_second"] = (tokens - self._seen) / seconds
        logs["peak_bytes"] = peak_bytes()
        self._seen, self._groups = tokens, {}

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the evaluation's seconds out."""
        self.clock.resume()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the checkpoint's seconds out."""
        self.clock.resume()


@torch.no_grad()
def norms(groups: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The 2-norm of the gradients of each parameter group, by its name.

    None of a model whose gradients are spread over processes, which this one cannot read alone.
    """
    held = [(group["name"], p.grad) for group in groups for p in group["params"] if p.grad is not None]
    if any(is_sharded(grad) for _, grad in held):
        return {}
    # One wait for the GPU, not one a group.
    values = torch.stack([torch.linalg.vector_norm(grad) for _, grad in held]).tolist() if held else []
    found: dict[str, float] = {}
    for (name, _), norm in zip(held, values, strict=True):
        found[name] = math.hypot(found.get(name, 0.0), norm)
    return found


def before_clipping(curves: Mapping[str, float], total: float | None) -> dict[str, float]:
    """Curves whose norms, read after clipping, are again parts of the norm of all gradients before it.

    Clipping multiplies all gradients by one number, so the parts keep their proportions.

    Args:
        curves: of `Curves`, those of other kinds included.
        total: the norm of all gradients before clipping.
    """
    after = math.hypot(*(norm for name, norm in curves.items() if name.startswith("grad_norm/")))
    factor = total / after if total is not None and after > 0 else 1.0
    return {
        name: value * factor if name.startswith("grad_norm/") else value for name, value in curves.items()
    }
