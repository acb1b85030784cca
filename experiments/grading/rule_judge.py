"""A judge by rule, for questions whose right answer is known: 1 to 10, as the judges of MT-Bench rate.

    right     rome lima oslo
    answers   Rome, Lima, Oslo. -> 10    rome lima -> 8    lima rome oslo -> 7    rome -> 5    paris -> 1

A judge model reads an answer's sense; this rule compares words, so it is of use only where one wording is
right.
"""

import re
from collections.abc import Sequence

from experiments.grading.glue import GradingError

LOWEST, HIGHEST = 1, 10
_WORD = re.compile(r"\w+")


def rating(answer: str, references: Sequence[str]) -> int:
    """How near an answer's words come to those of the nearest reference, in their order.

    F = 2·L / (a + r), rating = 1 + ⌊9·F⌋

    L is the length of the longest common subsequence of words, a and r are the numbers of words of answer and
    reference: F is ROUGE-L with equal weights (Lin 2004, https://aclanthology.org/W04-1013). The rating is 10
    if and only if the words are the same in the same order, and 1 if F is below 1/9. Upper case and
    punctuation do not count. Words behind a right answer lower F, so one that does not end is not rated 10.

    Raises:
        GradingError: there is no reference, or one has no words.
    """
    if not references:
        raise GradingError("no reference to rate an answer by; the rule judge needs at least one")
    said = _words(answer)
    return max(_rating(said, _words(reference), reference) for reference in references)


def _rating(said: list[str], due: list[str], reference: str) -> int:
    if not due:
        raise GradingError(f"reference {reference!r} has no words; the rule judge needs some to compare with")
    agreeing = 2 * common_subsequence(said, due)
    return LOWEST + (HIGHEST - LOWEST) * agreeing // (len(said) + len(due))


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest sequence of words that stands in both, in order but not always side by side."""
    # lengths[j] is the answer for the words of `first` that were read and the first j of `second`.
    lengths = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for j, other in enumerate(second, start=1):
            before, lengths[j] = lengths[j], before + 1 if word == other else max(lengths[j], lengths[j - 1])
    return lengths[-1]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
