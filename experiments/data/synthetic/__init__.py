"""Six small tasks in a synthetic world, and the text to pretrain on: pure functions of fixed seeds.

glue_splits("rte")["train"][0]
-> Example("the big dogs chase this medic in the forest", "some animals pursue one person", 0)
"""

import functools
from random import Random

from experiments.data.examples import Example, Splits
from experiments.data.synthetic.sentences import Part
from experiments.data.synthetic.tasks import TASKS, annotated

VERSION = 2
"""Raised with every change of words, sentences or tasks; part of every seed, kept in records."""
NUM_EXAMPLES: dict[Part, int] = {"train": 400, "validation": 400}


def glue_splits(task: str) -> Splits:
    """Training and validation examples of a task, always the same, with the labels of one annotator.

    The annotator errs now and then, as people do (`tasks.annotated`), so no model scores 100.

    Args:
        task: sst2, mrpc, cola, qnli, rte or stsb.

    Raises:
        ValueError: there is no such task.
    """
    return {
        part: [annotated(example, rng) for example in examples]
        for part, examples in true_splits(task).items()
        for rng in [Random(f"{VERSION}/{task}/{part}/annotator")]
    }


def true_splits(task: str) -> Splits:
    """The same examples with the labels that the task's rule gives.

    Raises:
        ValueError: there is no such task.
    """
    if task not in TASKS:
        raise ValueError(f"no synthetic task named {task!r}; choose from {', '.join(sorted(TASKS))}")
    return {part: list(_distinct(task, part)) for part in NUM_EXAMPLES}


@functools.cache
def _distinct(task: str, part: Part) -> tuple[Example, ...]:
    rng = Random(f"{VERSION}/{task}/{part}")
    examples: dict[Example, None] = {}
    while len(examples) < NUM_EXAMPLES[part]:
        examples[TASKS[task](rng, part)] = None
    return tuple(examples)
