"""What a sentence of the synthetic world says, and the ways to write it.

    Event(quality=0, subject=0, subject_plural=True, action=0, object=3, object_plural=False, place=1)
    -> "the big dogs chase this medic in the forest"

An `Event` or `Opinion` is the meaning; writing it draws one of two names for every idea. Meanings, not
sentences, are divided between pretraining text, training and validation: no split holds a paraphrase of
another's sentence.
"""

import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from random import Random
from typing import Literal

from experiments.data.synthetic import words

Part = Literal["text", "train", "validation"]
Asked = Literal["subject", "object", "place"]

SHARES: dict[Part, range] = {"text": range(0, 6), "train": range(6, 8), "validation": range(8, 10)}
"""Tenths of all meanings that belong to each part."""
SLOTS = ("quality", "subject", "action", "object", "place")
"""The five ideas of an event; the graded similarity counts how many of them agree."""
ASKABLE: tuple[Asked, ...] = ("subject", "object", "place")
DEGREES = {"very": 2, "slightly": 1, "not": -1}
"""What an adverb makes of an adjective's value, 1 for a pleasant one and -1 for an unpleasant one."""
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
        """How pleasant each adjective with its adverb is: very kind is 2, slightly cruel and not kind are -1."""
        first, second = (
            DEGREES[adverb] * (1 if adjective in words.PLEASANT else -1)
            for adverb, adjective in zip(self.adverbs, self.adjectives, strict=True)
        )
        return first, second


def part_of(meaning: Event | Opinion) -> Part:
    """The one part that a meaning belongs to, by a checksum of its fields."""
    tenth = zlib.crc32(repr(astuple(meaning)).encode()) % 10
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
        subject, place = rng.randrange(len(words.NOUNS)), rng.randrange(len(words.PLACES))
        adjectives = rng.sample(words.PLEASANT + words.UNPLEASANT, 2)
        adverbs = rng.choices(tuple(DEGREES), (12, 5, 3), k=2)
        opinion = Opinion(
            subject, rng.random() < 0.5, place, (adjectives[0], adjectives[1]), (adverbs[0], adverbs[1])
        )
        total = sum(opinion.values)
        if opinion.values[0] * opinion.values[1] < 0 and rng.random() < 0.75:
            continue
        if total != 0 and (total > 0) == pleasant and part_of(opinion) == part:
            return opinion


def draw_pair(rng: Random, part: Part, slots: Sequence[str]) -> tuple[Event, Event]:
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
    joined = "and" if opinion.values[0] * opinion.values[1] > 0 else "but"
    return f"{subject} {place_phrase(opinion.place, rng)} {be} {first} {joined} {second}"
