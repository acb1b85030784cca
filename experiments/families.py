"""The families of tasks: what the rest of the project must know of each without importing it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        table: of the paper, as results/published.yaml names it.
        title: what tables call it.
        version: of its code; raised when the same examples would give other inputs, losses or scores.
        generative: answers are generated text; else they are classes or numbers of a head, which trains.
        tasks: its tasks.
    """

    table: str
    title: str
    version: int
    generative: bool
    tasks: tuple[str, ...]


FAMILIES = {
    "glue": Family("table1", "GLUE", 1, False, ("sst2", "mrpc", "cola", "qnli", "rte", "stsb")),
    "e2e": Family("table2", "E2E", 1, True, ("e2e",)),
    "instruct": Family("table3", "instruction tuning", 2, True, ("alpaca",)),
    "math": Family("table4", "mathematical reasoning", 1, True, ("metamath",)),
}


def is_generative(family: str) -> bool:
    """Whether a family's answers are generated text; False for a name that there is not."""
    return family in FAMILIES and FAMILIES[family].generative
