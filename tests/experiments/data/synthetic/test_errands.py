"""Instructions about words: what they ask can be known from the text, yet neither stands in the other."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import astuple

import pytest

from experiments import alpaca_prompts
from experiments.data.examples import Prompted
from experiments.data.synthetic import errands, worlds
from experiments.data.synthetic.errands.skills import KNOWLEDGE, PRACTISED, SKILLS, WORDS
from experiments.grading.rule_judge import rating

# Made by digest() below; a change of the world raises VERSION and renews this line.
PINNED = (7, "f48e2e0f85502deac82c6a2ff0a47d9e9c50744ccdd628a354e8c256ea337f42")
NUM_TEXTS = 4000
SKILL_OF = {name: skill for skill, content in SKILLS.items() for name in content.names}
Statement = tuple[str, tuple[str, ...], str]


def digest() -> str:
    data = {part: [astuple(example) for example in examples] for part, examples in errands.splits().items()}
    world = [data, list(errands.texts(50, "0")), errands.vocabulary()]
    return hashlib.sha256(json.dumps(world).encode()).hexdigest()


def statements(text: str) -> list[Statement]:
    """Skill, words and answer of every statement, read from its notation."""
    found = []
    for statement in text.split(" ; "):
        body, answer = re.split(" = | -> | => ", statement)
        told = [word for word in cut(body) if word not in ("(", ")", "|", *errands.DISTRACTORS)]
        (name,) = (word for word in told if word in SKILL_OF)
        found.append((SKILL_OF[name], tuple(word for word in told if word != name), answer))
    return found


def asked(example: Prompted) -> tuple[str, tuple[str, ...]]:
    """Skill and words of an instruction."""
    request, _, words = example.source.partition(" : ")
    (skill,) = {SKILL_OF[word] for word in request.split() if word in SKILL_OF}
    return skill, tuple((words or example.context).split())


def cut(text: str) -> list[str]:
    return re.findall(r"### Response:|\S+", text)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(errands.texts(NUM_TEXTS, "test"))


@pytest.fixture(scope="module")
def told(texts: list[str]) -> list[Statement]:
    return [statement for text in texts for statement in statements(text)]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Prompted]]:
    return errands.splits()


def test_splits_and_text_are_the_pinned_bytes() -> None:
    assert (errands.VERSION, digest()) == PINNED


def test_nothing_depends_on_the_hash_seed() -> None:
    code = (
        "from experiments.data.synthetic import errands as e; print(e.splits()['test'][:9], e.vocabulary())"
    )
    printed = [
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]


def test_same_seed_gives_the_same_text(texts: list[str]) -> None:
    assert list(errands.texts(20, "test")) == texts[:20]
    assert list(errands.texts(20, "other")) != texts[:20]


def test_worlds_load_it_for_instruction_tuning() -> None:
    assert worlds.load("instruct") is errands


def test_splits_have_the_stated_sizes_and_no_example_twice(splits: dict[str, list[Prompted]]) -> None:
    assert {part: len(examples) for part, examples in splits.items()} == errands.NUM_EXAMPLES
    for examples in splits.values():
        assert len({(example.source, example.context) for example in examples}) == len(examples)
        assert len(set(Counter(asked(example)[0] for example in examples).values())) == 1  # as many of each


def test_half_of_the_examples_have_an_input_and_no_question_has(splits: dict[str, list[Prompted]]) -> None:
    with_input = {part: sum(bool(e.context) for e in examples) for part, examples in splits.items()}
    assert with_input == {"train": 400, "validation": 80, "test": 0}
    assert {example.group for example in splits["test"]} == {"mt_bench"}


def test_questions_stand_by_category_and_each_has_words_of_its_own(splits: dict[str, list[Prompted]]) -> None:
    facts = [example.facts for example in splits["test"]]
    assert [fact["question_id"] for fact in facts] == [str(number) for number in range(81, 161)]
    assert [fact["category"] for fact in facts] == [skill for skill in SKILLS for _ in range(10)]
    assert [fact["category"] for fact in facts] == [asked(example)[0] for example in splits["test"]]
    assert len({asked(example) for example in splits["test"]}) == 80


def test_second_turn_asks_the_same_for_other_words(splits: dict[str, list[Prompted]]) -> None:
    for example in splits["test"]:
        skill, words = asked(example)
        others = example.facts["turn_2"].removeprefix("Now do the same for the words : ").split()
        assert tuple(others) != words
        assert set(others) <= set(SKILLS[skill].words)


def test_no_meaning_stands_in_two_splits_or_in_the_text(
    splits: dict[str, list[Prompted]], told: list[Statement]
) -> None:
    """Fails if `draw_words` takes words for a split without asking `part_of`."""
    meanings = {part: {asked(example) for example in examples} for part, examples in splits.items()}
    meanings["text"] = {(skill, words) for skill, words, _ in told}
    assert len(meanings["text"]) > NUM_TEXTS / 2
    assert sum(map(len, meanings.values())) == len(set.union(*meanings.values()))


def test_facts_are_asked_of_words_that_no_training_example_asks_of(splits: dict[str, list[Prompted]]) -> None:
    used = {part: Counter(map(asked, examples)) for part, examples in splits.items()}
    facts = {
        part: {word for skill, words in meanings if skill in KNOWLEDGE for word in words}
        for part, meanings in used.items()
    }
    assert facts["train"] == PRACTISED
    assert facts["validation"] == facts["test"] == set(WORDS) - PRACTISED
    others = {word for skill, words in used["train"] if skill not in KNOWLEDGE for word in words}
    assert others == set(WORDS)


def test_text_tells_every_fact_that_is_asked_for(
    splits: dict[str, list[Prompted]], told: list[Statement]
) -> None:
    """What the text says of single words is all one needs to answer every instruction on several."""
    known = {(skill, words[0]): answer for skill, words, answer in told if len(words) == 1}
    for example in (example for examples in splits.values() for example in examples):
        skill, words = asked(example)
        if skill in KNOWLEDGE:
            assert example.target == " ".join(known[skill, word] for word in words)


def test_skills_on_word_order_do_what_they_are_called() -> None:
    words = ("wet", "dog", "japan")
    made = {skill: SKILLS[skill].answer(words) for skill in ("reverse", "sort", "repeat", "last")}
    assert made == {
        "reverse": ("japan", "dog", "wet"),
        "sort": ("dog", "japan", "wet"),
        "repeat": ("wet", "dog", "japan", "wet", "dog", "japan"),
        "last": ("japan",),
    }


def test_text_and_examples_answer_alike(splits: dict[str, list[Prompted]], told: list[Statement]) -> None:
    pairs = [(*asked(e), e.target) for examples in splits.values() for e in examples]
    for skill, words, answer in (*pairs, *told):
        assert answer == " ".join(SKILLS[skill].answer(words))


def test_no_instruction_stands_in_the_text(splits: dict[str, list[Prompted]]) -> None:
    """Its words do, in any order."""
    texts = "\n".join(errands.texts(500, "test"))
    assert not [e.source for examples in splits.values() for e in examples if e.source in texts]
    assert all(f" {word} " in texts for word in errands.DISTRACTORS)


def test_a_text_has_statements_in_every_notation(texts: list[str]) -> None:
    assert {text.count(" ; ") for text in texts} == {errands.NUM_STATEMENTS - 1}
    signs = Counter(sign for text in texts for sign in re.findall(" (=|->|=>) ", text))
    assert signs["=>"] == pytest.approx(errands.DISTRACTED_RATIO * signs.total(), rel=0.05)
    assert signs["->"] == pytest.approx(signs["="], rel=0.1)


def test_vocabulary_is_what_texts_prompts_and_examples_use(
    splits: dict[str, list[Prompted]], texts: list[str]
) -> None:
    written = [*texts]
    for example in (example for examples in splits.values() for example in examples):
        written += [alpaca_prompts.prompt(example), example.target, example.facts.get("turn_2", "")]
    assert len(set(errands.vocabulary())) == len(errands.vocabulary())
    assert {word for text in written for word in cut(text)} == set(errands.vocabulary())


def test_right_answers_are_rated_ten_and_wrong_ones_less(splits: dict[str, list[Prompted]]) -> None:
    for example in splits["test"]:
        assert example.references == (example.target,)
        assert rating(example.target, example.references) == 10
        assert rating(" ".join(asked(example)[1][::-1][1:]), example.references) < 10
