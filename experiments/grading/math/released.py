r"""Rule `released`: what the published grader says, faults included, for numbers comparable with Table 4's.

Source of the rule: LoRA-XS's graders, which VB-LoRA's math code took over
(https://github.com/leo-yangli/VB-LoRA, math_instruction_tuning/instruction_tuning_eval, commit 2fa62a7);
written anew from what they do. Known faults, each a case in the tests:

- an answer that its LaTeX clean-up cannot take is compared with itself, so it is right: one "/" beside
  something that is no integer (x/2), two "\text{ ", a "\frac" or "\sqrt" at the end;
- numbers 100 times too large or too small are right, and those within 1e-4 (1e-3 if computed, such as pi);
- braces and parentheses are dropped before texts are compared: \frac{1}{23} is \frac{12}{3};
- GSM8K's number is rounded to an integer, and ends at its second separator: 1,450,000 is 1,450;
- "^" is Python's exclusive or between integers: 2^3 is 1.

The published code evaluates an answer as Python, without a time limit; here it is parsed by the grammar in
formulas.py, which refuses what is no formula. The two can differ only where an answer calls a function that
the grammar lacks, or is Python beyond arithmetic. Its step for LaTeX never runs in its pinned environment, so
there is none here.
"""

import math
import re
from collections.abc import Callable

Algebra = Callable[[str, str], bool]
"""Whether two formulas are equal in value; `formulas.equal`."""

LONGEST = 2_000
"""Characters of the longest answer that is compared as a formula."""

_NUMBER = re.compile(r"[-+]?\d*[.,/]?\d+")
_REMOVED = {  # in this order: a replacement may make room for a later one
    **{"\n": "", r"\!": "", "\\\\": "\\", "tfrac": "frac", "dfrac": "frac", r"\left": "", r"\right": ""},
    **{r"^{\circ}": "", r"^\circ": "", r"\$": ""},
}
_UNIT = r"\text{ "


class CannotCleanError(ValueError):
    """An answer that the published clean-up fails on."""


def gsm8k(answer: str, reference: str) -> bool:
    """The verdict for GSM8K.

    Args:
        answer: all that follows the marker.
        reference: the gold number.
    """
    found = _NUMBER.search(answer.strip())
    value = _rounded(found[0]) if found else None
    return value is not None and equal(str(value), str(int(reference.replace(",", ""))), _no_formula)


def _rounded(text: str) -> int | None:
    """The number as an integer; None where the published code finds none or stops with an error."""
    above, slash, below = text.partition("/")
    try:
        if not slash:
            return round(float(text.replace(",", "")))
        if above.strip("+-") == "":
            return None
        return round(float(above)) if below == "0" else round(int(above) / int(below))
    except (OverflowError, ZeroDivisionError, ValueError):
        return None


def math_answer(answer: str, reference: str, algebra: Algebra) -> bool:
    """The verdict for MATH; `algebra` is asked only where texts and numbers do not decide."""
    try:
        first, second = cleaned(answer), cleaned(reference)
    except CannotCleanError:
        return equal(answer, answer, algebra) or answer == reference  # with itself, as published
    return equal(first, second, algebra) or first == second


def by_text(answer: str, reference: str) -> bool | None:
    """The verdict for MATH where it needs no algebra; None where it does. Linear in the answer.

    Answers of more than `LONGEST` characters are not compared as formulas.
    """
    too_long = max(len(answer), len(reference)) > LONGEST
    try:
        return math_answer(answer, reference, _no_formula if too_long else _undecided)
    except _UndecidedError:
        return None


def by_algebra(answer: str, reference: str) -> bool:
    """The whole verdict for MATH.

    May need any time and memory: call it in a process that can be killed.
    """
    from experiments.grading.math import equality  # imports sympy, which only workers need

    return math_answer(answer, reference, equality.equal)


def equal(answer: str, reference: str, algebra: Algebra) -> bool:
    """The published comparison of two cleaned texts: as numbers, as texts, part by part, as formulas."""
    if (value := _number(answer)) is not None and (gold := _number(reference)) is not None:
        return any(math.isclose(one, value, rel_tol=1e-4) for one in (gold / 100, gold, gold * 100))
    if not answer:
        return False
    answer, reference = answer.strip(), reference.strip()
    if _bare(answer, reference):
        return True
    if _in_same_brackets(answer, reference):
        parts = [text[1:-1].split(",") for text in (answer, reference)]
        if len(parts[0]) == len(parts[1]):
            verdicts = [equal(one, other, algebra) for one, other in zip(*parts, strict=True)]
            if all(verdicts):
                return True
    return algebra(answer, reference)


def cleaned(text: str) -> str:
    r"""The published clean-up of an answer in LaTeX.

    Raises:
        CannotCleanError: the published code raises here, and then compares the answer with itself.
    """
    for old, new in _REMOVED.items():
        text = text.replace(old, new)
    if text.count(_UNIT) > 1:
        raise CannotCleanError("two units")
    text = text.split(_UNIT)[0].replace(r"\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    text = f"0{text}" if text[0] == "." else text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = _fractions_in_braces(_roots_in_braces(text).replace(" ", ""))
    return _slash_as_fraction(r"\frac{1}{2}" if text == "0.5" else text)


def _roots_in_braces(text: str) -> str:
    first, *rest = text.split(r"\sqrt")
    if "" in rest:
        raise CannotCleanError(r"a \sqrt of nothing")
    return first + "".join(
        r"\sqrt" + (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}") for part in rest
    )


def _fractions_in_braces(text: str) -> str:
    r"""\frac12 as \frac{1}{2}; unchanged if a \frac is followed by one character only."""
    first, *rest = text.split(r"\frac")
    made = [first]
    for part in rest:
        if part == "":
            raise CannotCleanError(r"a \frac of nothing")
        if part[0] != "{":
            if len(part) < 2:
                return text
            below = part[1:] if part[1] == "{" else f"{{{part[1]}}}{part[2:]}"
            part = f"{{{part[0]}}}{below}"
        made.append(part)
    return r"\frac".join(made)


def _slash_as_fraction(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2:
        return text
    try:
        above, below = map(int, parts)
    except ValueError as error:
        raise CannotCleanError("a slash beside something that is no integer") from error
    return rf"\frac{{{above}}}{{{below}}}" if text == f"{above}/{below}" else text


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def _bare(answer: str, reference: str) -> bool:
    """Whether the texts are equal without braces and parentheses, or without their outer brackets."""
    squared = _within(answer, "[]") and not reference.startswith("(")
    if squared or (_within(answer, "()") and not reference.startswith("[")):
        answer, reference = answer.strip("[]()"), reference.strip("[]()")
    none = str.maketrans("", "", "{}()")
    return answer.translate(none) == reference.translate(none)


def _in_same_brackets(answer: str, reference: str) -> bool:
    return any(_within(answer, pair) and _within(reference, pair) for pair in ("[]", "()"))


def _within(text: str, pair: str) -> bool:
    return text.startswith(pair[0]) and text.endswith(pair[1])


class _UndecidedError(Exception):
    """Carries the need for algebra out of the comparison."""


def _undecided(answer: str, reference: str) -> bool:
    raise _UndecidedError


def _no_formula(answer: str, reference: str) -> bool:
    return False
