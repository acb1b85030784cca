"""Instructions about a few words with one right answer each: Alpaca's and MT-Bench's tiny counterpart.

    splits()["train"]  Prompted("Please invert the words .", "dog wet", context="wet dog", …)
    splits()["test"]   Prompted("Now invert the words : hot hat", "hat hot", group="mt_bench", …)
    texts(1, "0")      "capital ( peru ) = lima ; wet dog | invert -> dog wet"

Half of the training and validation examples have an input, as 40 % of Alpaca's do; the questions of the
test set, like MT-Bench's, have none. The text to pretrain on holds the skills and their names in other
notations. The words that instructions are put in stand in it too, but in no order, between what matters.
"""

import re
from collections.abc import Iterator
from random import Random

from experiments import alpaca_prompts
from experiments.data.examples import Prompted
from experiments.data.synthetic.errands.skills import (
    CAPITALS,
    KINDS,
    PLURAL_OF,
    SKILLS,
    WORDS,
    Part,
    Words,
    draw_words,
)

VERSION = 7
"""Raised with every change of words, skills, text or instructions; part of every seed, kept in records."""
NUM_EXAMPLES: dict[Part, int] = {"train": 800, "validation": 160, "test": 80}
"""The test set has ten questions for each skill, as MT-Bench for each of its eight categories."""
FIRST_QUESTION_ID = 81  # as in MT-Bench
GROUP = "mt_bench"
_WORD = re.compile(r"### Response:|\S+")

NUM_STATEMENTS = 4
"""In one text. As there is always another, a model that is not tuned goes on behind a right answer."""
NOTATIONS = ("{name} ( {words} ) = {answer}", "{words} | {name} -> {answer}")
DISTRACTED_NOTATIONS = ("{}{name} {}{words} {}=> {answer}", "{}{words} {}{name} {}=> {answer}")
"""With distractors in the gaps."""
DISTRACTED_RATIO = 0.5
"""Share of the statements in a notation of these."""
MOST_DISTRACTORS = 6
"""In one gap; any number up to it is as likely."""
REQUESTS = ("Please {}", "I want you to {}", "Your task is to {}", "Now {}")
SECOND_TURN = "Now do the same for the words : {}"
PROMPTS = tuple(alpaca_prompts.prompt(Prompted("", context=context)) for context in ("", " "))
"""Alpaca's, without and with an input."""


def _words_of(*forms: str) -> list[str]:
    return [word for word in _WORD.findall(" ".join(forms)) if "{" not in word]


ASKING = (*REQUESTS, SECOND_TURN, *(skill.task for skill in SKILLS.values()), *PROMPTS)
"""All that instructions are put in."""
DISTRACTORS = tuple(dict.fromkeys(_words_of(*ASKING, ". :")))
"""The words of instructions, in the text without their order: a model of real text knows such words too."""


def texts(num_texts: int, seed: str) -> Iterator[str]:
    """Texts to pretrain on: statements of what a skill makes of some words.

    Args:
        num_texts: how many.
        seed: any string; the same one gives the same texts.
    """
    rng = Random(f"{VERSION}/text/{seed}")
    for _ in range(num_texts):
        yield " ; ".join(_statement(rng) for _ in range(NUM_STATEMENTS))


def splits() -> dict[str, list[Prompted]]:
    """The examples, always the same: "train" in random order, "validation" and "test" skill by skill.

    The facts of a test example are MT-Bench's: question_id, category (here the skill) and turn_2. Training
    examples have one turn, so nothing prepares a model for a second.
    """
    found = {part: _distinct(part) for part in NUM_EXAMPLES}
    Random(f"{VERSION}/order").shuffle(found["train"])
    return {str(part): examples for part, examples in found.items()}


def vocabulary() -> tuple[str, ...]:
    """Every word that can be written, each once, in a fixed order."""
    names = [name for skill in SKILLS.values() for name in skill.names]
    answers = (*KINDS, *CAPITALS.values(), *PLURAL_OF.values())
    form_words = _words_of(*NOTATIONS, *ASKING, "; . : =>")
    return tuple(dict.fromkeys((*WORDS, *answers, *names, *form_words)))


def _statement(rng: Random) -> str:
    skill = rng.choice(list(SKILLS))
    words = draw_words(rng, skill, "text")
    name = rng.choice(SKILLS[skill].names)
    notation = rng.choice(DISTRACTED_NOTATIONS if rng.random() < DISTRACTED_RATIO else NOTATIONS)
    gaps = [_distractors(rng) for _ in range(3)]
    return notation.format(*gaps, name=name, words=" ".join(words), answer=_answer(skill, words))


def _distractors(rng: Random) -> str:
    return "".join(f"{word} " for word in rng.choices(DISTRACTORS, k=rng.randint(0, MOST_DISTRACTORS)))


def _answer(skill: str, words: Words) -> str:
    return " ".join(SKILLS[skill].answer(words))


def _distinct(part: Part) -> list[Prompted]:
    """As many examples of each skill, skill by skill; each test question on words of its own."""
    rng = Random(f"{VERSION}/{part}")
    found: list[Prompted] = []
    for skill in SKILLS:
        asked: set[Words] = set()
        while len(asked) < NUM_EXAMPLES[part] // len(SKILLS):
            words = draw_words(rng, skill, part)
            write = _question if part == "test" else _example
            example = write(rng, skill, words, len(found))
            key = words if part == "test" else (example.source, example.context)
            if key not in asked:
                asked.add(key)
                found.append(example)
    return found


def _example(rng: Random, skill: str, words: Words, number: int) -> Prompted:
    """One like Alpaca's; every other one has its words as input."""
    request, given, answer = _request(rng, skill), " ".join(words), _answer(skill, words)
    if number % 2:
        return Prompted(f"{request} .", answer, (answer,), context=given)
    return Prompted(f"{request} : {given}", answer, (answer,))


def _question(rng: Random, skill: str, words: Words, number: int) -> Prompted:
    """One like MT-Bench's, of two turns."""
    others = words
    while others == words:
        others = draw_words(rng, skill, "test")
    facts = {
        "question_id": str(FIRST_QUESTION_ID + number),
        "category": skill,
        "turn_2": SECOND_TURN.format(" ".join(others)),
    }
    source, answer = f"{_request(rng, skill)} : {' '.join(words)}", _answer(skill, words)
    return Prompted(source, answer, (answer,), GROUP, facts=facts)


def _request(rng: Random, skill: str) -> str:
    return rng.choice(REQUESTS).format(SKILLS[skill].task.format(rng.choice(SKILLS[skill].names)))
