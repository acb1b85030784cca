"""Arithmetic word problems in a synthetic world, and the text to pretrain on: pure functions of fixed seeds.

    Prompted(
        "Tom has 3 apples . Tom finds 4 apples . how many apples does Tom have ?",
        "3 + 4 = 7 . The answer is: 7",
        references=("7",),
        group="gsm8k",
    )

The texts teach sums and stories; the prompt, questions and the answer's form are new to a model of them.
"""

from collections.abc import Mapping
from random import Random

from experiments.data.examples import Prompted
from experiments.data.synthetic.stories import problems
from experiments.data.synthetic.stories.accounts import Part
from experiments.data.synthetic.stories.corpus import texts
from experiments.data.synthetic.stories.words import vocabulary

__all__ = ["NUM_EXAMPLES", "VERSION", "splits", "texts", "vocabulary"]

VERSION = 2
"""Raised with every change of words, texts or problems; part of every seed, kept in records."""
NUM_EXAMPLES: dict[Part, int] = {"train": 800, "validation": 160, "test": 200}


def splits() -> Mapping[str, list[Prompted]]:
    """The problems of "train", "validation" and "test", always the same; half are word problems."""
    return {part: problems.draw(Random(f"{VERSION}/{part}"), part, n) for part, n in NUM_EXAMPLES.items()}
