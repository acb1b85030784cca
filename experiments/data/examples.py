"""What every source of data hands out: labelled texts in splits, and a word on where they came from."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, TypeVar

import numpy as np

Kind = TypeVar("Kind")


class DataError(ValueError):
    """Data that are missing or not in their official form; the message names file, line and what to do."""


@dataclass(frozen=True)
class Example:
    """One labelled text, or pair of texts.

    `label` is the class's number in a classification task and the score itself, undisturbed, in a regression.
    """

    text: str
    pair: str | None
    label: int | float


@dataclass(frozen=True)
class Prompted:
    """Something asked in words, what should be answered, and what an answer is graded against.

    Attributes:
        source: the input itself, without a prompt's template: a meaning representation, a question.
        target: the answer to learn; empty where an example is only for grading.
        references: what a grader compares with: texts, or one gold answer.
        group: the set it belongs to, such as "gsm8k"; empty where there is only one.
        context: more input beside `source`, such as Alpaca's `input`.
        facts: what else its set says of it by name, such as MMLU's subject; no part of a prompt.
    """

    source: str
    target: str = ""
    references: tuple[str, ...] = ()
    group: str = ""
    context: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)


Splits = dict[str, list[Example]]
"""The examples of "train" and of "validation"."""
TextSplits = dict[str, list[Prompted]]
"""The examples of "train", "validation" and "test"; validation may be empty."""


@dataclass(frozen=True)
class Data:
    """Examples and, for the record, what they are.

    `description` holds the source, its version or commit, the numbers of examples, and `sha256`, which is
    `digest` of the examples in use.
    """

    splits: Mapping[str, Sequence[Any]]
    description: dict[str, object]


def digest(splits: Mapping[str, Sequence[Any]]) -> str:
    """SHA-256 over the examples of all splits, in order: equal for equal examples from any source."""
    sha = hashlib.sha256()
    for name in sorted(splits):
        for example in splits[name]:
            sha.update(json.dumps([name, *astuple(example)]).encode())
    return sha.hexdigest()


def part(examples: list[Kind], fraction: float) -> list[Kind]:
    """The stated share of the examples, in their order.

    The choice depends on the number of examples alone, never on a run's seed, so that all methods and seeds
    see the same ones; a smaller share lies within a larger one.

    Raises:
        DataError: `fraction` is outside ]0, 1].
    """
    if not 0 < fraction <= 1:
        raise DataError(f"train_fraction is {fraction}; choose a share above 0 and up to 1")
    if fraction == 1:
        return examples
    chosen = np.random.default_rng(0).permutation(len(examples))[: max(1, round(fraction * len(examples)))]
    return [examples[i] for i in sorted(chosen)]


def check_labels(examples: Iterable[Example], place: str) -> None:
    """Refuse an empty split and the -1 that GLUE's unlabelled test sets carry.

    Raises:
        DataError: there is no example, or one without a label.
    """
    examples = list(examples)
    if not examples:
        raise DataError(f"{place}: no examples; use a file or split that holds some")
    unlabelled = [i for i, example in enumerate(examples) if example.label < 0]
    if unlabelled:
        raise DataError(
            f"{place}: row {unlabelled[0]} has no label; use the train and dev sets, not the test set"
        )
