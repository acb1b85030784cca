"""The pretraining text: pairs of sentences in which each half tells about the other.

No pair carries a label and no pair is false, so nothing here says what a task will ask. A masked word can be
read from the other half, so a small model learns synonyms, kinds and agreement within a minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from experiments.data.synthetic import sentences
from experiments.data.synthetic.sentences import Event


@dataclass(frozen=True)
class TextPair:
    """Two sentences, and whether the second goes with the first or is about something else."""

    first: str
    second: str
    related: bool


def text_pairs(num_pairs: int, unrelated_ratio: float, seed: str) -> Iterator[TextPair]:
    """Pairs in random order: a statement and its paraphrase, its kinds or a question on it; or two opinions.

    Args:
        num_pairs: how many.
        unrelated_ratio: share of the pairs whose halves do not belong together, 0..1.
        seed: any string; the same one gives the same pairs.
    """
    rng = Random(seed)
    for _ in range(num_pairs):
        related = rng.random() >= unrelated_ratio
        yield TextPair(*rng.choice(_WRITERS)(rng, related), related)


def _events(rng: Random, related: bool) -> tuple[Event, Event]:
    """One event twice, or two."""
    event = sentences.draw_event(rng, "text")
    other = event if related else sentences.draw_event(rng, "text")
    return event, other


def _paraphrase(rng: Random, related: bool) -> tuple[str, str]:
    event, other = _events(rng, related)
    return sentences.statement(event, rng), sentences.statement(other, rng)


def _kinds(rng: Random, related: bool) -> tuple[str, str]:
    event, other = _events(rng, related)
    return sentences.statement(event, rng), sentences.category_statement(other, rng)


def _question(rng: Random, related: bool) -> tuple[str, str]:
    event, other = _events(rng, related)
    asked = rng.choice(sentences.ASKABLE)
    return sentences.question(event, asked, rng), sentences.statement(other, rng)


def _opinion(rng: Random, related: bool) -> tuple[str, str]:
    pleasant = rng.random() < 0.5
    first = sentences.draw_opinion(rng, "text", pleasant)
    second = sentences.draw_opinion(rng, "text", pleasant == related)
    return sentences.opinion_statement(first, rng), sentences.opinion_statement(second, rng)


_WRITERS = (_paraphrase, _kinds, _question, _opinion)
