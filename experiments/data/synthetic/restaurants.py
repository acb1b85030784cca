"""Restaurants and what is said of them: the synthetic counterpart of E2E.

    name : Zizi | Type : pub | food : Thai | area : riverside | family friendly : no
    -> "Zizi is a Thai pub in the riverside area . It is not family friendly ."

A meaning is slots with values, named and ordered as the LoRA authors write E2E's. The task gives it in their
notation and wants the one style of `descriptions`. The text to pretrain on has notes in other notations, and
descriptions in many styles, so copying values and putting them into words are learned from it. Meanings, not
sentences, are divided among text and splits. Test's values are all seen in training, as in E2E, but most only
a few times: too seldom to learn from the examples alone how to copy them. As in E2E, people wrote the
descriptions: some leave a fact out, and a test's references hold only two of the ways to put it.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Literal

from experiments.data.examples import Prompted

VERSION = 2
"""Raised with every change of words, sentences or examples; part of every seed, kept in records."""

Part = Literal["text", "train", "validation", "test"]
Meaning = tuple[tuple[str, str], ...]
"""Pairs of slot and value in the order of `SLOTS`; name and Type are always told."""

SHARES: dict[Part, range] = {
    "text": range(0, 6),
    "train": range(6, 8),
    "validation": range(8, 9),
    "test": range(9, 10),
}
"""Tenths of all meanings that belong to each part."""
NUM_MEANINGS: dict[Part, int] = {"train": 320, "validation": 50, "test": 150}
MOST_WAYS: dict[Part, int] = {"train": 3, "validation": 3, "test": 2}
"""Descriptions of one meaning: for training and validation an example each, in a test the references."""
LEFT_OUT_RATIO = 0.1
"""Share of the descriptions of several sentences that lack one of them, never the first."""
NOTES_RATIO, DESCRIPTION_FIRST_RATIO = 0.6, 0.1
"""Shares of the texts that are notes and their description, and the reverse; the rest is two descriptions."""

SLOTS: dict[str, tuple[str, ...]] = {
    slot: tuple(values.split(", "))
    for slot, values in {
        "name": "Zizi, Bellini, Marlow, Cotto, Fontana, Aroma, Strada, Giraffe, Alba, Wildwood, Orchid, "
        "Saffron, Bamboo, Cedar, Marina, Amber, Juniper, Tulip, Falcon, Copper, Olivia, Pepper, Rosso, "
        "Verona, Luna, Olive, Fennel, Maple, Basil, The Oak, The Mill, The Eagle, The Plough, The Lantern, "
        "The Swan, The Phoenix, The Vault, The Waterman, The Anchor, The Harp, The Barn, The Bell, "
        "The Crown, The Fox, The Heron, The Wagon, The Ship, The Dolphin",
        "Type": "restaurant, pub, coffee shop",
        "food": "Thai, Italian, French, Indian, Chinese, Greek, Turkish, Irish, Japanese, English, Spanish, "
        "Korean, Mexican, Polish, Danish, Egyptian",
        "price": "cheap, moderate, high, less than £20, £20-25, more than £30",
        "customer rating": "low, average, high, 1 out of 5, 3 out of 5, 5 out of 5",
        "area": "riverside, city centre",
        "family friendly": "yes, no",
        "near": "Avalon, Ranch, Meadow, Cinema, Harbour, Fountain, Abbey, Castle, Bridge, Market, Chapel, "
        "Clare Hall, Trinity Hall, Newton Hall, Crowne Hotel, Palace Hotel, Victoria Hotel, Grand Hotel, "
        "the Museum, the Station, the Library, the Theatre, the Stadium, the Airport",
    }.items()
}
OPTIONAL_SLOTS = tuple(SLOTS)[2:]
PRICES = ("its price range is {}", "its prices are {}", "you pay {} prices")
RATINGS = ("its customer rating is {}", "customers rate it {}", "its guests call it {}")
FRIENDLY = ("it is family friendly", "families are welcome", "children like it")
UNFRIENDLY = ("it is not family friendly", "families are not welcome", "children do not like it")
FACTS = (
    ("price", SLOTS["price"], PRICES),
    ("customer rating", SLOTS["customer rating"], RATINGS),
    ("family friendly", ("yes",), FRIENDLY),
    ("family friendly", ("no",), UNFRIENDLY),
)
"""A slot, values and the ways to tell these in a clause of its own; the first way is the task's."""
NOTATIONS = ("the {} is {} .", "{} ? {} .")
TASK_NOTATION, TASK_SEPARATOR = "{} : {}", " | "
ARROW = "=>"
"""Stands between the halves of a text."""
FUNCTION_WORDS = (
    "is a an near Near close Close to in In the area there There called that serves food you You find and "
    "its Its it It price range prices are pay customer customers Customers rating rate guests call "
    "family friendly families Families welcome children Children like do not"
)


def part_of(meaning: Meaning) -> Part:
    """The one part that a meaning belongs to, by a checksum of its slots and values."""
    tenth = zlib.crc32(repr(meaning).encode()) % 10
    return next(part for part, tenths in SHARES.items() if tenth in tenths)


def draw_meaning(rng: Random, part: Part) -> Meaning:
    """A random meaning of a part: name, Type and one to four more slots."""
    while True:
        told = {"name", "Type", *rng.sample(OPTIONAL_SLOTS, rng.randint(1, 4))}
        meaning = tuple((slot, rng.choice(values)) for slot, values in SLOTS.items() if slot in told)
        if part_of(meaning) == part:
            return meaning


def linearised(meaning: Meaning) -> str:
    """A meaning in the task's notation: name : Zizi | Type : pub | near : the Museum."""
    return TASK_SEPARATOR.join(TASK_NOTATION.format(slot, value) for slot, value in meaning)


def descriptions(meaning: Meaning) -> tuple[str, ...]:
    """All descriptions in the task's style: two openings, and two facts told in two sentences or in one."""
    said = dict(meaning)
    where = _places(said, "near {}", "in the {} area")
    kind = _with_article(_kind(said))
    openings = (
        _joined(said["name"], "is", kind, where),
        _joined(where, "there is", kind, "called", said["name"]),
    )
    facts = [wordings[0] for wordings in _facts(said)]
    tellings = (facts, _first_two_joined(facts)) if len(facts) > 1 else (facts,)
    return tuple(_sentences([opening, *told]) for told in tellings for opening in openings)


def free_description(meaning: Meaning, rng: Random) -> str:
    """A description in one of many styles; the order of places and facts is free too."""
    said = dict(meaning)
    area = rng.choice(("in the {} area", "in the {}"))
    where = _places(said, rng.choice(("near {}", "close to {}")), area, area_first=rng.random() < 0.5)
    serves = f"that serves {said['food']} food" if "food" in said and rng.random() < 0.5 else ""
    kind = _with_article(said["Type"] if serves else _kind(said))
    opening = rng.choice(
        (
            _joined(said["name"], "is", kind, where, serves),
            _joined(where, "there is", kind, "called", said["name"], serves),
            _joined("you find", said["name"], kind, where, serves),
        )
    )
    facts = [rng.choice(wordings) for wordings in _facts(said)]
    rng.shuffle(facts)
    return _sentences([opening, *(_first_two_joined(facts) if rng.random() < 0.5 else facts)])


def notes(meaning: Meaning, rng: Random) -> str:
    """A meaning in one of the texts' notations, slots in any order: the food is Thai . the name is Zizi ."""
    notation = rng.choice(NOTATIONS)
    return " ".join(notation.format(slot, value) for slot, value in rng.sample(meaning, len(meaning)))


def texts(num_texts: int, seed: str) -> Iterator[str]:
    """Texts of two halves with one meaning: notes and a description, the reverse, or two descriptions.

    Args:
        num_texts: how many.
        seed: any string; the same one gives the same texts.
    """
    rng = Random(f"{VERSION}/texts/{seed}")
    for _ in range(num_texts):
        meaning = draw_meaning(rng, "text")
        halves = [free_description(meaning, rng), free_description(meaning, rng)]
        kind = rng.random()
        if kind < NOTES_RATIO + DESCRIPTION_FIRST_RATIO:
            halves[kind >= NOTES_RATIO] = notes(meaning, rng)
        yield f"{halves[0]} {ARROW} {halves[1]}"


def splits() -> Mapping[str, list[Prompted]]:
    """The examples: in "train" and "validation" one to a description, in "test" one to a meaning."""
    return {part: _examples(part) for part in NUM_MEANINGS}


def vocabulary() -> tuple[str, ...]:
    """Every word that can be written, each once, in a fixed order."""
    told = (word for slot, values in SLOTS.items() for text in (slot, *values) for word in text.split())
    return tuple(dict.fromkeys((".", "?", ARROW, ":", "|", *FUNCTION_WORDS.split(), *told)))


def _examples(part: Part) -> list[Prompted]:
    rng = Random(f"{VERSION}/{part}")
    meanings: dict[Meaning, None] = {}
    while len(meanings) < NUM_MEANINGS[part]:
        meanings[draw_meaning(rng, part)] = None
    written = {meaning: _written(meaning, part, rng) for meaning in meanings}
    if part == "test":
        return [Prompted(linearised(meaning), references=texts) for meaning, texts in written.items()]
    return [
        Prompted(linearised(meaning), target, (target,))
        for meaning, targets in written.items()
        for target in targets
    ]


def _written(meaning: Meaning, part: Part, rng: Random) -> tuple[str, ...]:
    """What people write of a meaning: some of the ways, now and then without one of the facts."""
    ways = descriptions(meaning)
    chosen = rng.sample(ways, min(MOST_WAYS[part], len(ways)))
    return tuple(_without_one(way, rng) if rng.random() < LEFT_OUT_RATIO else way for way in chosen)


def _without_one(description: str, rng: Random) -> str:
    first, *rest = re.findall(r".+? \.(?: |$)", description)
    if rest:
        rest.pop(rng.randrange(len(rest)))
    return "".join((first, *rest)).strip()


def _kind(said: Mapping[str, str]) -> str:
    return _joined(said.get("food", ""), said["Type"])


def _places(said: Mapping[str, str], near: str, area: str, area_first: bool = False) -> str:
    places = [near.format(said["near"])] if "near" in said else []
    places += [area.format(said["area"])] if "area" in said else []
    return " ".join(reversed(places) if area_first else places)


def _facts(said: Mapping[str, str]) -> list[list[str]]:
    """The ways to word each fact that is told."""
    return [
        [wording.format(said[slot]) for wording in wordings]
        for slot, values, wordings in FACTS
        if said.get(slot) in values
    ]


def _first_two_joined(clauses: list[str]) -> list[str]:
    return [" and ".join(clauses[:2]), *clauses[2:]] if clauses else []


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _sentences(clauses: list[str]) -> str:
    return " ".join(f"{clause[0].upper()}{clause[1:]} ." for clause in clauses)
