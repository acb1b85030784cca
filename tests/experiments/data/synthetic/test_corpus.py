"""The pretraining text: pairs that belong together, and nothing of the tasks."""

import pytest

from experiments.data.synthetic import TASKS, glue_splits, words
from experiments.data.synthetic.corpus import text_pairs

from .reading import ideas

NUM_PAIRS = 6000


@pytest.fixture(scope="module")
def text() -> list[tuple[str, str]]:
    return list(text_pairs(NUM_PAIRS, "test"))


def test_same_seed_gives_the_same_text(text: list[tuple[str, str]]) -> None:
    assert list(text_pairs(50, "test")) == text[:50]
    assert list(text_pairs(50, "other")) != text[:50]


def test_text_uses_every_word_and_no_other(text: list[tuple[str, str]]) -> None:
    assert {word for pair in text for half in pair for word in half.split()} == set(words.vocabulary())


@pytest.mark.parametrize("task", sorted(TASKS))
def test_no_example_of_a_task_stands_in_the_text(text: list[tuple[str, str]], task: str) -> None:
    examples = [example for part in glue_splits(task).values() for example in part]
    halves = {half for pair in text for half in pair}
    assert not {(example.text, example.pair) for example in examples} & set(text)
    assert not {example.text for example in examples if not example.text.endswith("?")} & halves


def test_no_two_statements_of_a_pair_disagree(text: list[tuple[str, str]]) -> None:
    statements = [pair for pair in text if all(len(ideas(half)) == 5 for half in pair)]
    assert len(statements) > NUM_PAIRS / 10
    assert all(ideas(first) == ideas(second) for first, second in statements)
