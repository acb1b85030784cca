"""The synthetic worlds of the generative families: what each offers, and where it lies."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Protocol, cast

from experiments.data.examples import Prompted

WORLDS = {"e2e": "restaurants", "instruct": "errands", "math": "stories"}
"""A family's world, a module beside this one."""


class World(Protocol):
    """Text to pretrain on, and examples of a task that a model of that text can learn by adapting.

    Texts and examples are pure functions of fixed seeds. Nothing in the texts has the form of the task, and
    no meaning stands in two splits or in a split and the texts.
    """

    VERSION: int

    def vocabulary(self) -> tuple[str, ...]:
        """Every word of texts, prompts and examples, once, as white space (and "### Response:") cuts them."""

    def texts(self, num_texts: int, seed: str) -> Iterator[str]:
        """Texts to pretrain on, each a document; the same for the same seed."""

    def splits(self) -> Mapping[str, list[Prompted]]:
        """The examples of "train", "validation" and "test"."""


def load(world: str) -> World:
    """The world of a family.

    Raises:
        ValueError: there is none of this name.
    """
    if world not in WORLDS:
        raise ValueError(f"no synthetic world {world!r}; choose one of {', '.join(WORLDS)}")
    return cast(World, importlib.import_module(f"{__package__}.{WORLDS[world]}"))
