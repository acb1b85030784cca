"""Tasks by family: each gives examples, loss, answers and score; the pipeline knows no more of it."""

from collections.abc import Callable

from experiments.config import Config
from experiments.tasks import e2e, glue, instruct, math
from experiments.tasks.base import Answer, Scale, Task
from experiments.tasks.text import TextTask

__all__ = ["FAMILIES", "Answer", "Scale", "Task", "TextTask", "build"]

FAMILIES: dict[str, Callable[[Config], Task]] = {
    "glue": glue.build,
    "e2e": e2e.build,
    "instruct": instruct.build,
    "math": math.build,
}
"""A family's builder; a new family is one module, one line here and its facts in `experiments.families`."""


def build(cfg: Config) -> Task:
    """The configured task.

    Raises:
        ValueError: there is no such family, or no such task in it.
    """
    family = cfg.task.family
    if family not in FAMILIES:
        raise ValueError(f"no task family {family!r}; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[family](cfg)
