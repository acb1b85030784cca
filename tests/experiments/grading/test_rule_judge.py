"""The judge by rule: ten for the right words in order alone, less the less of them agree."""

import subprocess
import sys
from itertools import combinations, permutations

import pytest

from experiments.grading.glue import GradingError
from experiments.grading.rule_judge import common_subsequence, rating

RIGHT = "rome lima oslo"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RIGHT, 10),
        ("  Rome, LIMA\nOslo. ", 10),
        ("rome lima", 8),  # F = 4/5
        ("lima rome oslo", 7),  # F = 4/6
        ("rome", 5),  # F = 2/4
        ("oslo lima rome", 4),  # F = 2/6
        (f"{RIGHT} paris", 8),  # F = 6/7
        (f"{RIGHT} {RIGHT} {RIGHT} {RIGHT}", 4),  # F = 6/15
        ("paris", 1),
        ("romelimaoslo", 1),
        ("", 1),
        ("?!", 1),
    ],
)
def test_rating_follows_the_stated_formula(answer: str, expected: int) -> None:
    assert rating(answer, (RIGHT,)) == expected


def test_only_the_right_words_in_the_right_order_get_ten() -> None:
    """Fails if the common words are counted without their order, or F is rounded up."""
    tens = [
        order
        for number in range(5)
        for order in permutations(("rome", "lima", "oslo", "paris"), number)
        if rating(" ".join(order), (RIGHT,)) == 10
    ]
    assert tens == [("rome", "lima", "oslo")]
    # One word short of very many is the nearest that a wrong answer comes.
    many = " ".join(map(str, range(400)))
    assert rating(f"{many} end", (many,)) == rating(many.removesuffix(" 399"), (many,)) == 9


def test_nearest_reference_counts() -> None:
    assert rating("dog cat", ("paris", "dog cat", "dog")) == 10
    assert rating("dog", ("paris", "dog cat")) == rating("dog", ("dog cat",))


@pytest.mark.parametrize(
    ("references", "message"),
    [((), "no reference to rate an answer by"), (("rome", " . "), r"reference ' \. ' has no words")],
)
def test_references_that_rate_nothing_are_refused(references: tuple[str, ...], message: str) -> None:
    with pytest.raises(GradingError, match=message):
        rating("rome", references)


def test_common_subsequence_agrees_with_trying_all() -> None:
    """Fails if the diagonal is taken from the row that is being written."""
    texts = ["", "a", "aa", "ab", "ba", "abc", "abab", "bcbda", "cabbd", "dcba"]
    for first in texts:
        for second in texts:
            longest = max(
                number
                for number in range(len(first) + 1)
                for kept in combinations(first, number)
                if _is_subsequence(kept, second)
            )
            assert common_subsequence(first, second) == longest


def _is_subsequence(kept: tuple[str, ...], text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in kept)


def test_judge_needs_no_torch() -> None:
    code = "import sys, experiments.grading.rule_judge; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
