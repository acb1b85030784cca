"""The published grader's comparison of two formulas, for rule `released`; see formulas.py."""

import math
from typing import Any

import sympy

from experiments.grading.math import formulas
from experiments.grading.math.no_evaluation import nothing_evaluated

_TOLERANCE = 1e-3  # relative, of values that are computed


def equal(answer: str, reference: str) -> bool:
    """Whether the difference simplifies to 0, or both have values within 1e-3.

    May need any time and memory: call it in a process that can be killed.
    """
    with nothing_evaluated():
        first, second = _formula(answer), _formula(reference)
        if first is not None and second is not None and _difference_vanishes(first, second):
            return True
        return _close(_value(answer, first), _value(reference, second))


def _formula(text: str, **reading: bool) -> Any:
    """The formula, or None: as published, a text stays a text whatever goes wrong with it."""
    try:
        return formulas.parse(text, **reading)
    except Exception:
        return None


def _difference_vanishes(first: Any, second: Any) -> bool:
    try:
        return bool(sympy.simplify(first - second) == 0)
    except Exception:  # as published: go on with the values
        return False


def _value(text: str, formula: Any) -> Any:
    formula = _formula(text, caret_is_power=True, exact=True) if formula is None else formula
    try:
        return None if formula is None else sympy.N(formula)
    except Exception:  # as published: no value
        return None


def _close(first: Any, second: Any) -> bool:
    try:
        return math.isclose(first, second, rel_tol=_TOLERANCE)
    except Exception:  # as published: None, a complex number or a formula with symbols is close to nothing
        return False
