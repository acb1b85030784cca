"""What can be done with a few words, and what is known of them.

    SKILLS["reverse"].answer(("wet", "dog", "japan")) -> ("japan", "dog", "wet")
    SKILLS["capital"].answer(("peru", "cuba"))        -> ("lima", "havana")

A *meaning* is a skill and the words it is used on. Meanings are divided between pretraining text and splits,
so no split asks what another one or the text answers. One word alone is a fact, such as the capital of a
country; facts stand in the text only. Where a skill needs them, training examples use 28 of the 40 words,
validation and test examples the others: what a model makes of these, it can only have read in the text.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Part = Literal["text", "train", "validation", "test"]
Words = tuple[str, ...]

LENGTHS: dict[Part, range] = {
    "text": range(1, 5),
    "train": range(2, 4),
    "validation": range(2, 5),
    "test": range(2, 5),
}
"""How many words a meaning of each part has."""

KINDS = {
    "animal": ("dog", "cat", "horse", "cow"),
    "fruit": ("apple", "pear", "plum", "lemon"),
    "tool": ("hammer", "saw", "drill", "spade"),
    "garment": ("coat", "hat", "shirt", "glove"),
}
OPPOSITES = (
    ("hot", "cold"),
    ("big", "small"),
    ("old", "new"),
    ("fast", "slow"),
    ("dark", "bright"),
    ("wet", "dry"),
)
CAPITALS = {
    "france": "paris",
    "italy": "rome",
    "spain": "madrid",
    "egypt": "cairo",
    "peru": "lima",
    "japan": "tokyo",
    "cuba": "havana",
    "kenya": "nairobi",
    "greece": "athens",
    "norway": "oslo",
    "china": "beijing",
    "austria": "vienna",
}
KIND_OF = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}
PLURAL_OF = {noun: noun + "s" for noun in KIND_OF}
OPPOSITE_OF = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
WORDS = (*KIND_OF, *OPPOSITE_OF, *CAPITALS)
PRACTISED = frozenset(
    (
        *(noun for nouns in KINDS.values() for noun in nouns[:-1]),
        *(word for pair in OPPOSITES[:-2] for word in pair),
        *list(CAPITALS)[:-4],
    )
)
"""The words of training examples that need facts; those of validation and test are the others."""

KNOWLEDGE = ("plural", "opposite", "kind", "capital")
"""The skills that need a fact about each word; the others put any words in an order or copy them."""


@dataclass(frozen=True)
class Skill:
    """One thing that can be done with words.

    Attributes:
        names: two names of it, which mean the same.
        task: how an instruction asks for it, with a gap for a name.
        words: those it can be used on.
        answer: its result on some of them, in their order.
    """

    names: tuple[str, str]
    task: str
    words: Words
    answer: Callable[[Words], Words]


def _looked_up(table: dict[str, str]) -> Callable[[Words], Words]:
    return lambda words: tuple(table[word] for word in words)


SKILLS = {
    "reverse": Skill(("reverse", "invert"), "{} the words", WORDS, lambda words: words[::-1]),
    "sort": Skill(("sort", "alphabetize"), "{} the words", WORDS, lambda words: tuple(sorted(words))),
    "repeat": Skill(("repeat", "duplicate"), "{} the words", WORDS, lambda words: words * 2),
    "last": Skill(("last", "final"), "name the {} word", WORDS, lambda words: words[-1:]),
    "plural": Skill(
        ("plural", "plurals"), "give the {} of the words", tuple(PLURAL_OF), _looked_up(PLURAL_OF)
    ),
    "opposite": Skill(
        ("opposite", "antonym"), "give the {} of each word", tuple(OPPOSITE_OF), _looked_up(OPPOSITE_OF)
    ),
    "kind": Skill(("kind", "category"), "give the {} of each word", tuple(KIND_OF), _looked_up(KIND_OF)),
    "capital": Skill(
        ("capital", "capitals"), "give the {} of the countries", tuple(CAPITALS), _looked_up(CAPITALS)
    ),
}


def part_of(skill: str, words: Words) -> Part:
    """The one part that a meaning belongs to, by its words and a checksum.

    Six tenths of the meanings are text. Where facts are needed, none of those of words that are not practised
    is, unless these stand alone or beside practised ones.
    """
    tenth = zlib.crc32(repr((skill, words)).encode()) % 10
    if len(words) == 1:
        return "text"
    if skill not in KNOWLEDGE:
        return "text" if tenth < 6 else "train" if tenth < 8 else "validation" if tenth < 9 else "test"
    if PRACTISED.issuperset(words):
        return "text" if tenth < 6 else "train"
    if PRACTISED.isdisjoint(words):
        return "validation" if tenth < 5 else "test"
    return "text"


def draw_words(rng: Random, skill: str, part: Part) -> Words:
    """Different words that make a meaning of the part with this skill."""
    while True:
        words = tuple(rng.sample(SKILLS[skill].words, rng.choice(LENGTHS[part])))
        if part_of(skill, words) == part:
            return words
