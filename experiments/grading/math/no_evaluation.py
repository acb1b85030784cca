"""Keeps sympy from evaluating texts as Python.

Wherever sympy is handed a text (`sympify("5")`, `Number("5")`), it turns it into a program and runs that.
math-verify's grammar hands it the numerals of an answer that way, and nothing else that was found; still,
nothing a model writes shall be run. So while answers are compared, sympy reads texts by the grammar of
formulas.py, which is also several times faster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sympy.parsing import sympy_parser

from experiments.grading.math import formulas


@contextmanager
def nothing_evaluated() -> Iterator[None]:
    """While it lasts, a text is a formula or, to sympy, a syntax error; in all threads of this process."""
    evaluating = sympy_parser.parse_expr
    sympy_parser.parse_expr = _parse
    try:
        yield
    finally:
        sympy_parser.parse_expr = evaluating


def _parse(text: str, *_: Any, **__: Any) -> Any:
    try:
        return formulas.parse(text, caret_is_power=True)
    except formulas.NoFormulaError as error:
        raise SyntaxError(str(error)) from error  # what sympy expects of its parser
