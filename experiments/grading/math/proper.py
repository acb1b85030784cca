r"""Rule `proper`: an answer is right if it has the reference's value, however it is written.

GSM8K: the first number of the answer against the gold number, exactly (3.4 is not 3, and 1,450,000 is one
number). MATH: same text, same number or same words are decided here; everything else goes to math-verify
(https://github.com/huggingface/Math-Verify), which parses LaTeX by a grammar and compares with sympy: sets,
tuples, intervals, matrices, equations, expressions.

What it lets pass: units (the question names them), a per cent sign or a base that one of the two lacks, 44 %
for 0.44, a decimal that agrees to six digits. What it does not: a rounder decimal (3.14 for \pi).
"""

import re
from fractions import Fraction
from types import ModuleType

from experiments.grading.math import latex
from experiments.grading.math.numerals import first_numeral, numeral

LONGEST = 2_000
"""Characters of the longest answer that is compared by value; the longest reference of MATH has 159."""

_TOLERANCE = Fraction(1, 10**6)
_BASE = re.compile(r"_\s*\{?\s*(\d+)\s*\}?$")
_CLOCK = re.compile(r"(\d+)\s*:\s*(\d+)(?:\s*:\s*(\d+))?\s*((?:[ap]\s*\.?\s*m\b\.?)?)", re.IGNORECASE)
_WORDS = re.compile(r"\(?[A-Za-z][A-Za-z0-9 ,.'()-]*")
_UNIT_IN_WORDS = re.compile(r"(?<=[\d})])\s*(?:[a-zA-Z]{2,}|[ap]\.m|[mgs]\b)(?:[ ./^-]+[a-zA-Z0-9]+)*\.?$")


def gsm8k(answer: str, reference: str) -> bool:
    """Whether the answer's first number equals the reference."""
    value = first_numeral(answer)
    return value is not None and value == numeral(reference)


def by_text(answer: str, reference: str) -> bool | None:
    """The verdict for MATH where it needs no algebra; None where it does. Linear in the answer."""
    if not reference.strip() or max(len(answer), len(reference)) > LONGEST:
        return False
    first, second = _tidied(answer, reference)
    if first.replace(" ", "") == second.replace(" ", ""):
        return bool(second)
    for compare in (_as_numbers, _as_words, _as_clocks, _as_bases):
        verdict = compare(first, second)
        if verdict is not None:
            return verdict
    return None if first else False


def by_algebra(answer: str, reference: str) -> bool:
    """Whether math-verify finds the two equal in value.

    It has no time limit here (its own rests on a signal that compiled code does not see) and may need any
    time and memory: call it in a process that can be killed.
    """
    algebra = _algebra()
    with algebra.nothing_evaluated():
        target, gold = (algebra.parse(latex.split_percent(text)[0]) for text in _tidied(answer, reference))
        return bool(algebra.verify(gold, target))


def is_formula(reference: str, _: str) -> bool:
    """Whether math-verify's grammar takes a text; if not, an answer equals it only if it is written alike."""
    algebra = _algebra()
    with algebra.nothing_evaluated():
        found = algebra.parse(latex.split_percent(latex.tidy(reference))[0])
    return any(not isinstance(one, str) for one in found)


def _tidied(answer: str, reference: str) -> tuple[str, str]:
    second = latex.tidy(reference)
    return latex.tidy(answer, is_list="," in second), second


def _as_numbers(answer: str, reference: str) -> bool | None:
    (first, first_percent), (second, second_percent) = map(latex.split_percent, (answer, reference))
    right = numeral(latex.unwrapped(second))
    if right is None:
        return None
    value = numeral(latex.unwrapped(first))
    if value is None:
        value = numeral(_UNIT_IN_WORDS.sub("", first))
    if value is None:
        return None
    near = _TOLERANCE if "." in first + second else Fraction(0)
    values = [value]
    if first_percent != second_percent:
        values.append(value / 100 if first_percent else value * 100)
    return any(abs(one - right) <= near * abs(right) for one in values)


def _as_words(answer: str, reference: str) -> bool | None:
    r"""Names and choices: \text{(B)}, "B" and "(b)" are one; a list of single letters has no order."""
    if "\\text" not in reference or not _WORDS.fullmatch(latex.unwrapped(reference)):
        return None
    first, second = (_words(text) for text in (answer, reference))
    if all(len(word) == 1 for word in second):
        return sorted(first) == sorted(second)
    return first == second


def _words(text: str) -> list[str]:
    words = re.split(r"[\s,.()]+", latex.unwrapped(text).casefold().strip(" ,.()"))
    return [word for word in words if word != "and"]


def _as_clocks(answer: str, reference: str) -> bool | None:
    """Times of day and ratios, which a grammar of formulas would take for a division: 2:05 is not 4:10."""
    first, second = (_CLOCK.fullmatch(latex.unwrapped(text).strip()) for text in (answer, reference))
    if first is None or second is None:
        return None
    numbers = [[int(part or 0) for part in found.groups()[:3]] for found in (first, second)]
    halves = {found[4][:1].casefold() for found in (first, second)} - {""}
    return numbers[0] == numbers[1] and len(halves) < 2


def _as_bases(answer: str, reference: str) -> bool | None:
    """Numerals that name different bases are not compared further; math-verify drops the base."""
    first, second = _BASE.search(answer), _BASE.search(reference)
    return False if first and second and int(first[1]) != int(second[1]) else None


def _algebra() -> ModuleType:
    """Imported when it is needed: only workers need it, and it brings sympy."""
    from experiments.grading.math import algebra

    return algebra
