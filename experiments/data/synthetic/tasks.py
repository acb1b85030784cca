"""The six synthetic tasks, one for each of GLUE's kinds; labels as in GLUE (entailment is 0).

    cola   1 if the words agree and stand in order      the big dogs chase this medic in the forest
    sst2   1 if the opinion is pleasant                 the hound in the yard is not cruel and very kind
    mrpc   1 if both sentences say the same             the big dogs chase .. | the large hounds pursue ..
    qnli   0 if the sentence answers the question       who chases the medic .. ? | the big dogs chase ..
    rte    0 if the first says it of one of these kinds the big dogs chase .. | some animals pursue one person
    stsb   how many of five ideas agree, 0..5           the big dogs chase .. | the small hounds chase ..

In a negative pair several ideas differ at once, each drawn afresh, so that no single word gives it away.
"""

from collections.abc import Callable
from random import Random

from experiments.data.examples import Example
from experiments.data.synthetic import sentences, words
from experiments.data.synthetic.sentences import Asked, Event, Part

TOLD: dict[Asked, tuple[str, ...]] = {
    "subject": ("action", "object", "place"),
    "object": ("quality", "subject", "action", "place"),
    "place": ("quality", "subject", "action", "object"),
}
"""What each kind of question tells about the event, so what can be wrong in it."""


def acceptability(rng: Random, part: Part) -> Example:
    """CoLA's kind: half the sentences are broken in agreement or order."""
    label = rng.randrange(2)
    sentence = sentences.statement(sentences.draw_event(rng, part), rng)
    return Example(sentence if label else _broken(sentence, rng), None, label)


def _broken(sentence: str, rng: Random) -> str:
    """Break one thing: the number of the verb or of an article, or the order of two neighbouring words."""
    tokens = sentence.split()
    kind = rng.randrange(3)
    if kind == 0:
        tokens[3] = tokens[3][:-1] if _is_singular_verb(tokens[3]) else tokens[3] + "s"
    elif kind == 1:
        article, noun = rng.choice(((0, 2), (4, 5)))
        tokens[article] = "this" if tokens[noun].endswith("s") else "these"
    else:
        first = rng.choice((1, 2, 3, 4))
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
    """MRPC's kind: two or three of the five ideas differ in a negative."""
    label = rng.randrange(2)
    slots = [] if label else rng.sample(("subject", "action", "object"), rng.randint(1, 2))
    slots += [slot for slot in ("quality", "place") if rng.random() < 0.5]
    first, second = sentences.draw_pair(rng, part, slots)
    return Example(sentences.statement(first, rng), sentences.statement(second, rng), label)


def answering(rng: Random, part: Part) -> Example:
    """QNLI's kind, question first: in a negative all that the question tells differs, or all but one idea."""
    label = rng.randrange(2)
    asked = rng.choice(sentences.ASKABLE)
    slots = rng.sample(TOLD[asked], rng.randint(1, 2)) if label else ()
    event, other = sentences.draw_pair(rng, part, slots)
    return Example(sentences.question(other, asked, rng), sentences.statement(event, rng), label)


def entailment(rng: Random, part: Part) -> Example:
    """RTE's kind: in a negative both actors are of another kind, and the action differs too."""
    label = rng.randrange(2)
    slots = rng.sample(("subject", "action", "object"), rng.randint(1, 2)) if label else ()
    event, other = sentences.draw_pair(rng, part, slots)
    while label and not _kinds_differ(event, other, slots):
        event, other = sentences.draw_pair(rng, part, slots)
    return Example(sentences.statement(event, rng), sentences.category_statement(other, rng), label)


def _kinds_differ(event: Event, other: Event, slots) -> bool:
    actors = [(getattr(event, s), getattr(other, s)) for s in slots if s != "action"]
    return all(words.category_of(one) != words.category_of(another) for one, another in actors)


def similarity(rng: Random, part: Part) -> Example:
    """STS-B's kind: 0 to 5 ideas in common."""
    W = {"subject": 2.0, "action": 1.5, "object": 1.5}
    slots = rng.sample(tuple(W), rng.randrange(4))
    score = 5 - sum(W[s] for s in slots)
    slots += [slot for slot in ("quality", "place") if rng.random() < 0.5]
    first, second = sentences.draw_pair(rng, part, slots)
    return Example(sentences.statement(first, rng), sentences.statement(second, rng), score)


def _some(slots: tuple[str, ...], at_least: int, rng: Random) -> list[str]:
    return rng.sample(slots, rng.randint(at_least, len(slots)))


TASKS: dict[str, Callable[[Random, Part], Example]] = {
    "sst2": sentiment,
    "mrpc": paraphrase,
    "cola": acceptability,
    "qnli": answering,
    "rte": entailment,
    "stsb": similarity,
}
