r"""math-verify as rule `proper` uses it.

Of its extractions only the LaTeX grammar is used: the other one takes numbers out of prose, which
extraction.py does, and evaluates expressions as Python. Its removal of units is off: it takes the last letter
of "a + b + c" for one. Its repairs of LaTeX are off: latex.py makes them, and they break "\frac \pi4".
"""

import logging
from typing import Any

import math_verify
from latex2sympy2_extended import NormalizationConfig

from experiments.grading.math.no_evaluation import nothing_evaluated

__all__ = ["nothing_evaluated", "parse", "verify"]

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of the time limit that it has not here
_LATEX = math_verify.LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=False, nits=False, boxed="none"
    ),
)


def parse(text: str) -> list[Any]:
    """What math-verify makes of a formula: a sympy object if its grammar takes it, and the text."""
    found: list[Any] = math_verify.parse(f"${text}$", [_LATEX], parsing_timeout=None)
    return found


def verify(gold: list[Any], target: list[Any]) -> bool:
    """Whether a reading of the one equals a reading of the other; 0<x<1 equals the interval (0,1)."""
    return bool(math_verify.verify(gold, target, timeout_seconds=None, allow_set_relation_comp=True))
