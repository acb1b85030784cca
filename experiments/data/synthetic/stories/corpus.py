"""The texts: sums, calculations, letters that stand for numbers, and stories with their counts.

    14 + 9 - 5 : Max describes the answer step by step. 14 + 9 = 23 . 23 - 5 = 18 . which is 18 .

Other people's talk comes between the sentences. So a model learns to find the numbers that count wherever
they stand, and knows most words of the prompt as words that change nothing. No text asks a question.
"""

from collections.abc import Iterator, Sequence
from random import Random

from experiments.data.synthetic.stories import accounts, words
from experiments.data.synthetic.stories.accounts import Account

TALK_RATIO = 0.25
"""How often talk comes before a sentence, and before the next talk."""
SUMS_PER_TEXT = 5


def texts(num_texts: int, seed: str) -> Iterator[str]:
    """Texts of a few sentences each.

    Args:
        num_texts: how many.
        seed: any string; the same one gives the same texts.
    """
    rng = Random(seed)
    for _ in range(num_texts):
        yield rng.choice(_WRITERS)(rng)


def _sums(rng: Random) -> str:
    sums = [accounts.draw(rng, "sum", 1) for _ in range(SUMS_PER_TEXT)]
    return " ".join(sentence for account in sums for sentence in accounts.working(account))


def _calculation(rng: Random) -> str:
    account = accounts.draw_of("text", rng, "sum", 2)
    sentences = [f"{accounts.expression(account)} :", *accounts.working(account), _closing(account, rng)]
    return _among_talk(sentences, rng)


def _equation(rng: Random) -> str:
    account = accounts.draw_of("text", rng, "letter", 2)
    known, asked, working = accounts.equation(account, rng)
    return _among_talk([f"{known} .", f"{asked} :", *working, _closing(account, rng)], rng)


def _story(rng: Random) -> str:
    account = accounts.draw_of("text", rng, "story", rng.randint(1, 2))
    told, actor, thing = accounts.story(account, rng)
    now = f"now {actor} has {account.totals()[-1]} {thing} ."
    end = rng.choice((now, _closing(account, rng)))
    return _among_talk([*told, *accounts.working(account), end], rng)


_WRITERS = (_sums, _calculation, _equation, _story, _story)


def _closing(account: Account, rng: Random) -> str:
    return f"{rng.choice(words.CLOSINGS)} {account.totals()[-1]} ."


def _among_talk(sentences: Sequence[str], rng: Random) -> str:
    said = []
    for sentence in sentences:
        while rng.random() < TALK_RATIO:
            said.append(_talk(rng))
        said.append(sentence)
    return " ".join(said)


def _talk(rng: Random) -> str:
    """A sentence without numbers; never one of the prompt's."""
    actor, verb = rng.choice(words.ACTORS), rng.choice(("describes", "completes"))
    said, asked = rng.choice(words.SAID), rng.choice(words.ASKED)
    sentences = (
        f"{actor} {verb} {asked}",
        f"{actor} {verb} {said} step by step.",
        f"Let's think that {actor} {verb} {asked}",
        f"Write that {actor} appropriately {verb} {asked}",
        f"Below is {said} by {actor} that {verb} {asked}",
        f"The {said.split()[1]} appropriately {verb} {asked}",
    )
    return rng.choice(sentences)
