"""Tasks by family: each gives examples, loss, answers and score; the pipeline knows no more of it."""

from collections.abc import Callable

from experiments.config import DataConfig, TaskConfig
from experiments.tasks import glue
from experiments.tasks.base import Answer, Scale, Task

__all__ = ["FAMILIES", "Answer", "Scale", "Task", "build"]

FAMILIES: dict[str, Callable[[str, DataConfig], Task]] = {"glue": glue.build}
"""A family's builder; a new family is one module and one line here."""


def build(task: TaskConfig, data: DataConfig) -> Task:
    """The configured task.

    Raises:
        ValueError: there is no such family, or no such task in it.
    """
    if task.family not in FAMILIES:
        raise ValueError(f"no task family {task.family!r}; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[task.family](task.name, data)
