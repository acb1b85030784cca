"""What a sentence of the synthetic world says, and the ways to write it.

    Event(quality=0, subject=0, subject_plural=True, action=0, object=3, object_plural=False, place=1)
    -> "the big dogs chase this medic in the forest"

An `Event` or `Opinion` is the meaning; writing it draws one of two names for every idea. Meanings, not
sentences, are divided between pretraining text, training and validation: no split holds a paraphrase of
another's sentence.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from experiments.data.synthetic import words

Part = Literal["text", "train", "validation"]
Asked = Literal["subject", "object", "place"]
Slot = Literal["quality", "subject", "action", "object", "place"]

SHARES: dict[Part, range] = {"text": range(0, 6), "train": range(6, 8), "validation": range(8, 10)}
"""Tenths of all meanings that belong to each part."""
SLOTS: tuple[Slot, ...] = ("quality", "subject", "action", "object", "place")
"""The five ideas of an event."""
ASKABLE: tuple[Asked, ...] = ("subject", "object", "place")
DEGREES = {"very": 2, "slightly": 1, "not": -1}
"""What an adverb makes of an adjective's value, 1 for a pleasant one and -1 for an unpleasant one."""
ADVERB_WEIGHTS = (12, 5, 3)
"""How often each adverb of `DEGREES` is drawn: a "not" turns its adjective round, and is the rarest."""
MIXED_RATIO = 0.25
"""Share of the opinions that are kept of those with one value above 0 and one below."""
NUM_CHOICES = dict(
    zip(SLOTS, map(len, (words.QUALITIES, words.NOUNS, words.VERBS, words.NOUNS, words.PLACES)), strict=True)
)


@dataclass(frozen=True)
class Event:
    """Someone does something to someone somewhere; numbers are indices into the lists of `words`."""

    quality: int
    subject: int
    subject_plural: bool
    action: int
    object: int
    object_plural: bool
    place: int


@dataclass(frozen=True)
class Opinion:
    """Someone somewhere is pleasant or not, said with two adjectives, each with an adverb of `DEGREES`."""

    subject: int
    subject_plural: bool
    place: int
    adjectives: tuple[str, str]
    adverbs: tuple[str, str]

    @property
    def values(self) -> tuple[int, int]:
        """How pleasant each adjective with its adverb is: very kind is 2, slightly cruel and not kind -1."""
        first, second = (
            DEGREES[adverb] * (1 if adjective in words.PLEASANT else -1)
            for adverb, adjective in zip(self.adverbs, self.adjectives, strict=True)
        )
        return first, second

    @property
    def is_mixed(self) -> bool:
        """One value speaks for and one against."""
        return self.values[0] * self.values[1] < 0


def part_of(meaning: Event | Opinion) -> Part:
    """The one part that a meaning belongs to, by a checksum of its fields."""
    tenth = zlib.crc32(repr(tuple(vars(meaning).values())).encode()) % 10
    return next(part for part, tenths in SHARES.items() if tenth in tenths)


def draw_event(rng: Random, part: Part) -> Event:
    """A random event of a part."""
    while True:
        ideas = {slot: rng.randrange(size) for slot, size in NUM_CHOICES.items()}
        event = Event(subject_plural=rng.random() < 0.5, object_plural=rng.random() < 0.5, **ideas)
        if part_of(event) == part:
            return event


def draw_opinion(rng: Random, part: Part, pleasant: bool) -> Opinion:
    """A random opinion of a part whose values add up to more than 0, or to less."""
    while True:
        opinion = _any_opinion(rng)
        kept = not opinion.is_mixed or rng.random() < MIXED_RATIO
        total = sum(opinion.values)
        if kept and total != 0 and (total > 0) == pleasant and part_of(opinion) == part:
            return opinion


def _any_opinion(rng: Random) -> Opinion:
    first, second = rng.sample(words.PLEASANT + words.UNPLEASANT, 2)
    first_adverb, second_adverb = rng.choices(tuple(DEGREES), ADVERB_WEIGHTS, k=2)
    return Opinion(
        subject=rng.randrange(len(words.NOUNS)),
        subject_plural=rng.random() < 0.5,
        place=rng.randrange(len(words.PLACES)),
        adjectives=(first, second),
        adverbs=(first_adverb, second_adverb),
    )


def draw_pair(rng: Random, part: Part, slots: Sequence[Slot]) -> tuple[Event, Event]:
    """Two events of a part that differ in all of `slots` and agree in the rest."""
    while True:
        event = draw_event(rng, part)
        shifted = {s: (getattr(event, s) + rng.randrange(1, NUM_CHOICES[s])) % NUM_CHOICES[s] for s in slots}
        other = replace(event, **shifted)
        if part_of(other) == part:
            return event, other


def noun_phrase(name: str, plural: bool, rng: Random, quality: str = "") -> str:
    """A noun with its article: the dog, this dog, the dogs, these big dogs."""
    article = rng.choice(("the", "these" if plural else "this"))
    return " ".join(filter(None, (article, quality, words.noun_form(name, plural))))


def subject_phrase(event: Event, rng: Random) -> str:
    """The event's subject with its quality."""
    quality, name = rng.choice(words.QUALITIES[event.quality]), rng.choice(words.NOUNS[event.subject])
    return noun_phrase(name, event.subject_plural, rng, quality)


def object_phrase(event: Event, rng: Random) -> str:
    """The event's object."""
    return noun_phrase(rng.choice(words.NOUNS[event.object]), event.object_plural, rng)


def place_phrase(place: int, rng: Random) -> str:
    """In the garden."""
    return f"in the {rng.choice(words.PLACES[place])}"


def statement(event: Event, rng: Random) -> str:
    """The big dogs chase the medic in the garden."""
    action = words.verb_form(rng.choice(words.VERBS[event.action]), event.subject_plural)
    return (
        f"{subject_phrase(event, rng)} {action} {object_phrase(event, rng)} {place_phrase(event.place, rng)}"
    )


def category_statement(event: Event, rng: Random) -> str:
    """Some animals chase one person: what the event's statement implies about the kinds of its actors."""
    action = words.verb_form(rng.choice(words.VERBS[event.action]), event.subject_plural)
    subject = _some(event.subject, event.subject_plural)
    return f"{subject} {action} {_some(event.object, event.object_plural)}"


def _some(noun: int, plural: bool) -> str:
    kind = words.CATEGORIES[words.category_of(noun)]
    return f"{'some' if plural else 'one'} {words.noun_form(kind, plural)}"


def question(event: Event, asked: Asked, rng: Random) -> str:
    """A question that the event's statement answers: about its subject, object or place."""
    action = rng.choice(words.VERBS[event.action])
    helper = "do" if event.subject_plural else "does"
    if asked == "subject":
        asked_for = words.verb_form(action, plural=False)
        return f"who {asked_for} {object_phrase(event, rng)} {place_phrase(event.place, rng)} ?"
    if asked == "object":
        return f"what {helper} {subject_phrase(event, rng)} {action} {place_phrase(event.place, rng)} ?"
    return f"where {helper} {subject_phrase(event, rng)} {action} {object_phrase(event, rng)} ?"


def opinion_statement(opinion: Opinion, rng: Random) -> str:
    """The dogs in the garden are very kind but slightly sad."""
    subject = noun_phrase(rng.choice(words.NOUNS[opinion.subject]), opinion.subject_plural, rng)
    first, second = (
        f"{adverb} {adjective}" for adverb, adjective in zip(opinion.adverbs, opinion.adjectives, strict=True)
    )
    be = "are" if opinion.subject_plural else "is"
    joined = "but" if opinion.is_mixed else "and"
    return f"{subject} {place_phrase(opinion.place, rng)} {be} {first} {joined} {second}"
