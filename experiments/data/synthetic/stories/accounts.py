"""What a story or a sum says in numbers, and how its working is written.

    Account("sum", 3, (4, -2))        3 + 4 - 2            3 + 4 = 7 . 7 - 2 = 5 .
    Account("story", 3, (4, -2))      Tom has 3 apples . Tom finds 4 apples . Tom loses 2 apples .
    Account("letter", 3, (4, -2))     x + 4 = 7 . x - 2    x = 7 - 4 = 3 . 3 - 2 = 1 .

The numbers are the meaning; who counts what is drawn when it is written. Meanings are divided between
texts, training, validation and test: no split tells a story of numbers that another tells, by anyone.
"""

import zlib
from dataclasses import astuple, dataclass
from itertools import pairwise
from random import Random
from typing import Literal

from experiments.data.synthetic.stories import words

Part = Literal["text", "train", "validation", "test"]
Kind = Literal["sum", "story", "letter"]

SHARES: dict[Part, range] = {
    "text": range(0, 5),
    "train": range(5, 8),
    "validation": range(8, 9),
    "test": range(9, 10),
}
"""Tenths of all meanings that belong to each part."""
LARGEST_CHANGE = 9


@dataclass(frozen=True)
class Account:
    """A number and its changes, one after the other; a letter's are two looks at the same number."""

    kind: Kind
    start: int
    changes: tuple[int, ...]

    def totals(self) -> tuple[int, ...]:
        """The number at the start, then after each change."""
        totals = [self.start]
        for change in self.changes:
            totals.append((self.start if self.kind == "letter" else totals[-1]) + change)
        return tuple(totals)


def part_of(account: Account) -> Part:
    """The one part that a meaning belongs to, by a checksum of its fields."""
    tenth = zlib.crc32(repr(astuple(account)).encode()) % 10
    return next(part for part, tenths in SHARES.items() if tenth in tenths)


def draw(rng: Random, kind: Kind, num_changes: int) -> Account:
    """A random account of any part; the two looks at a letter differ."""
    while True:
        changes = tuple(rng.choice((1, -1)) * rng.randint(1, LARGEST_CHANGE) for _ in range(num_changes))
        account = Account(kind, rng.randint(0, words.LARGEST), changes)
        in_range = all(0 <= total <= words.LARGEST for total in account.totals())
        if in_range and not (kind == "letter" and changes[0] == changes[1]):
            return account


def draw_of(part: Part, rng: Random, kind: Kind, num_changes: int) -> Account:
    """A random account of one part."""
    while part_of(account := draw(rng, kind, num_changes)) != part:
        pass
    return account


def signed(change: int) -> str:
    """+ 4, or - 2."""
    return f"{'+' if change > 0 else '-'} {abs(change)}"


def expression(account: Account) -> str:
    """3 + 4 - 2."""
    return " ".join((str(account.start), *map(signed, account.changes)))


def working(account: Account) -> list[str]:
    """3 + 4 = 7 . 7 - 2 = 5 ., a sentence for each step; of a story or a sum."""
    totals = pairwise(account.totals())
    return [
        f"{old} {signed(change)} = {new} ."
        for (old, new), change in zip(totals, account.changes, strict=True)
    ]


def story(account: Account, rng: Random) -> tuple[list[str], str, str]:
    """The sentences that tell an account, who it is about, and of what."""
    actor, thing = rng.choice(words.ACTORS), rng.choice(words.THINGS)
    told = [f"{actor} has {account.start} {thing} ."]
    for change in account.changes:
        verb = rng.choice(words.GAINS if change > 0 else words.LOSSES)
        told.append(f"{actor} {verb} {abs(change)} {thing} .")
    return told, actor, thing


def equation(account: Account, rng: Random) -> tuple[str, str, list[str]]:
    """What is known of a letter, what is asked about it, and the sentences of the working."""
    letter, (known, asked) = rng.choice(words.LETTERS), account.changes
    start, first, last = account.totals()
    solved = f"{letter} = {first} {signed(-known)} = {start} ."
    working = [solved, f"{start} {signed(asked)} = {last} ."]
    return f"{letter} {signed(known)} = {first}", f"{letter} {signed(asked)}", working
