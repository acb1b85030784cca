"""The bar of one run, moved by the Trainer. Apart from `progress`, as it imports transformers."""

from typing import Any

from rich.progress import TaskID
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from experiments.progress import display


class Bar(TrainerCallback):
    """The bar of one run, by optimiser steps."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.task: TaskID | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Show it."""
        self.task = display.add(self.name, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Move it."""
        if display.progress is not None and self.task is not None:
            display.progress.update(self.task, completed=state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Take it away."""
        if display.progress is not None and self.task is not None:
            display.progress.remove_task(self.task)


def callbacks(name: str) -> list[TrainerCallback]:
    """The run's bar, where bars are shown."""
    return [Bar(name)] if display.progress is not None else []
