"""Six small tasks in a synthetic world, and the text to pretrain on: pure functions of fixed seeds.

glue_splits("rte")["train"][0]
-> Example("the big dogs chase this medic in the forest", "some animals pursue one person", 0)
"""

from random import Random

from experiments.data.examples import Example, Splits
from experiments.data.synthetic.sentences import Part
from experiments.data.synthetic.tasks import TASKS

VERSION = 2
"""Raised with every change of words, sentences or tasks; part of every seed, kept in records."""
NUM_EXAMPLES = {"train": 400, "validation": 400}


def glue_splits(task: str) -> Splits:
    """Training and validation examples of a task, always the same.

    Args:
        task: sst2, mrpc, cola, qnli, rte or stsb.

    Raises:
        ValueError: there is no such task.
    """
    if task not in TASKS:
        raise ValueError(f"no synthetic task named {task!r}; choose from {', '.join(sorted(TASKS))}")
    return {"train": _distinct(task, "train"), "validation": _distinct(task, "validation")}


def _distinct(task: str, part: Part) -> list[Example]:
    rng = Random(f"{VERSION}/{task}/{part}")
    examples: dict[Example, None] = {}
    while len(examples) < NUM_EXAMPLES[part]:
        examples[TASKS[task](rng, part)] = None
    import dataclasses
    def judged(e):
        if task == "stsb":
            return dataclasses.replace(e, label=min(5.0, max(0.0, round(e.label + rng.gauss(0, 0.5), 2))))
        return dataclasses.replace(e, label=1 - e.label) if rng.random() < 0.04 else e
    return [judged(e) for e in examples]
