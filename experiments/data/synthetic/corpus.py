"""The pretraining text: pairs of sentences in which each half tells about the other.

No pair carries a label and no pair is false, so nothing here says what a task will ask. A hidden word can be
read from the other half, so a small model learns synonyms, kinds and agreement within minutes.
"""

from collections.abc import Iterator
from random import Random

from experiments.data.synthetic import sentences

TextPair = tuple[str, str]


def text_pairs(num_pairs: int, seed: str) -> Iterator[TextPair]:
    """Pairs in random order: a statement and its paraphrase, its kinds or a question on it; or two opinions.

    Args:
        num_pairs: how many.
        seed: any string; the same one gives the same pairs.
    """
    rng = Random(seed)
    for _ in range(num_pairs):
        yield rng.choice(_WRITERS)(rng)


def _paraphrase(rng: Random) -> TextPair:
    event = sentences.draw_event(rng, "text")
    return sentences.statement(event, rng), sentences.statement(event, rng)


def _kinds(rng: Random) -> TextPair:
    event = sentences.draw_event(rng, "text")
    return sentences.statement(event, rng), sentences.category_statement(event, rng)


def _question(rng: Random) -> TextPair:
    event = sentences.draw_event(rng, "text")
    return sentences.question(event, rng.choice(sentences.ASKABLE), rng), sentences.statement(event, rng)


def _opinion(rng: Random) -> TextPair:
    pleasant = rng.random() < 0.5
    first, second = (sentences.draw_opinion(rng, "text", pleasant) for _ in range(2))
    return sentences.opinion_statement(first, rng), sentences.opinion_statement(second, rng)


_WRITERS = (_paraphrase, _kinds, _question, _opinion)
