"""The six synthetic tasks, one for each of GLUE's kinds; labels as in GLUE (entailment is 0).

    cola   1 if the words agree and stand in order      the big dogs chase this medic in the forest
    sst2   1 if the opinion is pleasant on the whole    the hound in the yard is slightly sad but very kind
    mrpc   1 if both say the same but for details       the big dogs chase .. | the small hounds pursue ..
    qnli   0 if the sentence answers the question       who chases the medic .. ? | the big dogs chase ..
    rte    0 if the first says it of one of these kinds the big dogs chase .. | some animals pursue one person
    stsb   how much of the three main ideas agrees, 0..5

What differs in a negative pair is drawn afresh, so that no single word gives it away.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from experiments.data.examples import Example
from experiments.data.synthetic import sentences, words
from experiments.data.synthetic.sentences import Asked, Event, Part, Slot

ERROR_RATIO = 0.04
"""Share of the examples of two classes that the annotator puts into the wrong one."""
RATING_STD = 0.5
"""Standard deviation of the annotator's ratings about the true one, in points of 0..5."""
IN_COMMON: dict[Slot, float] = {"subject": 2.0, "action": 1.5, "object": 1.5}
"""The three main ideas of an event, and the points that each adds to a similarity."""
DETAILS: tuple[Slot, ...] = ("quality", "place")
"""The other two. They differ in half of all pairs, and no label depends on them."""
TOLD: dict[Asked, tuple[Slot, ...]] = {
    "subject": ("action", "object", "place"),
    "object": ("quality", "subject", "action", "place"),
    "place": ("quality", "subject", "action", "object"),
}
"""What each kind of question tells about the event, so what can be wrong in it."""


def annotated(example: Example, rng: Random) -> Example:
    """The example with the label that one annotator gives it.

    A class is wrong in a share `ERROR_RATIO` of the examples; a rating has normal noise of `RATING_STD` and
    stays within 0..5, with two decimals.
    """
    if isinstance(example.label, int):
        return replace(example, label=1 - example.label) if rng.random() < ERROR_RATIO else example
    return replace(example, label=min(5.0, max(0.0, round(rng.gauss(example.label, RATING_STD), 2))))


def acceptability(rng: Random, part: Part) -> Example:
    """CoLA's kind: half the sentences are broken in agreement or order."""
    label = rng.randrange(2)
    sentence = sentences.statement(sentences.draw_event(rng, part), rng)
    return Example(sentence if label else _broken(sentence, rng), None, label)


def _broken(sentence: str, rng: Random) -> str:
    """Break one or two things: the number of the verb or of an article, the order of neighbouring words."""
    tokens = sentence.split()
    broken = rng.sample(("verb", "article", "order"), rng.randint(1, 2))
    if "verb" in broken:
        tokens[3] = tokens[3][:-1] if _is_singular_verb(tokens[3]) else tokens[3] + "s"
    if "article" in broken:
        article, noun = rng.choice(((0, 2), (4, 5)))
        tokens[article] = "this" if tokens[noun].endswith("s") else "these"
    if "order" in broken:
        first = rng.randint(1, 4)
        tokens[first], tokens[first + 1] = tokens[first + 1], tokens[first]
    return " ".join(tokens)


def _is_singular_verb(word: str) -> bool:
    return any(word == words.verb_form(name, plural=False) for names in words.VERBS for name in names)


def sentiment(rng: Random, part: Part) -> Example:
    """SST-2's kind."""
    label = rng.randrange(2)
    opinion = sentences.draw_opinion(rng, part, pleasant=bool(label))
    return Example(sentences.opinion_statement(opinion, rng), None, label)


def paraphrase(rng: Random, part: Part) -> Example:
    """MRPC's kind: one or two of the three main ideas differ in a negative."""
    label = rng.randrange(2)
    slots = [] if label else _one_or_two(IN_COMMON, rng)
    first, second = sentences.draw_pair(rng, part, slots + _details(rng))
    return Example(sentences.statement(first, rng), sentences.statement(second, rng), label)


def answering(rng: Random, part: Part) -> Example:
    """QNLI's kind, question first: in a negative two ideas differ that the question tells."""
    label = rng.randrange(2)
    asked = rng.choice(sentences.ASKABLE)
    slots = rng.sample(TOLD[asked], 2) if label else []
    event, other = sentences.draw_pair(rng, part, slots)
    return Example(sentences.question(other, asked, rng), sentences.statement(event, rng), label)


def entailment(rng: Random, part: Part) -> Example:
    """RTE's kind: in a negative one or two of the kinds of both actors and the action differ."""
    label = rng.randrange(2)
    slots = _one_or_two(IN_COMMON, rng) if label else []
    event, other = sentences.draw_pair(rng, part, slots)
    while not _kinds_differ(event, other, slots):
        event, other = sentences.draw_pair(rng, part, slots)
    return Example(sentences.statement(event, rng), sentences.category_statement(other, rng), label)


def _kinds_differ(event: Event, other: Event, slots: Iterable[Slot]) -> bool:
    actors = [(getattr(event, slot), getattr(other, slot)) for slot in slots if slot != "action"]
    return all(words.category_of(one) != words.category_of(another) for one, another in actors)


def similarity(rng: Random, part: Part) -> Example:
    """STS-B's kind: the points of `IN_COMMON` for the ideas that are the same."""
    slots = rng.sample(tuple(IN_COMMON), rng.randint(0, len(IN_COMMON)))
    score = sum(points for slot, points in IN_COMMON.items() if slot not in slots)
    first, second = sentences.draw_pair(rng, part, slots + _details(rng))
    return Example(sentences.statement(first, rng), sentences.statement(second, rng), float(score))


def _one_or_two(slots: Iterable[Slot], rng: Random) -> list[Slot]:
    return rng.sample(tuple(slots), rng.randint(1, 2))


def _details(rng: Random) -> list[Slot]:
    return [slot for slot in DETAILS if rng.random() < 0.5]


TASKS: dict[str, Callable[[Random, Part], Example]] = {
    "sst2": sentiment,
    "mrpc": paraphrase,
    "cola": acceptability,
    "qnli": answering,
    "rte": entailment,
    "stsb": similarity,
}
