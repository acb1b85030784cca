r"""Other ways of writing an answer, to try the graders on: of the same value, and of another.

1,450,000   ->   1450000         \frac{3}{4}   ->   0.75         x+1   ->   (x+1)+1-1         5   ->   6
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from experiments.grading.math import latex
from experiments.grading.math.numerals import numeral

_NO_FORMULA = re.compile(r"\\text|\\begin|\\cup|\\in|\\pm|\\le|\\overline|\\triangle|[,=:_%<>|]|\\\$|\\%")
_MOST_DECIMALS = 12


@dataclass(frozen=True)
class Form:
    """A way of writing.

    Attributes:
        write: from a reference to an answer; None where the form does not apply.
        equal: whether the answer is right.
        alone: a rule of the worker that alone is asked, without the decisions by text before it: "proper",
            or "formula" for whether math-verify's grammar takes the reference at all.
    """

    write: Callable[[str], str | None]
    equal: bool = True
    alone: str | None = None


def as_written(reference: str) -> str:
    """The reference itself."""
    return reference


def in_a_sentence(reference: str) -> str:
    """Boxed, in dollars, with a full stop and more text after it."""
    return f"$\\boxed{{{reference}}}$.\nThat is all."


def as_price(reference: str) -> str:
    """A number with a currency, cents and a unit."""
    return f"${reference}.00 a day"


def other_separators(reference: str) -> str | None:
    """A large integer without its commas, or with them."""
    value = numeral(latex.tidy(reference))
    if value is None or value.denominator > 1 or abs(value) < 1000:
        return None
    return str(value) if "," in reference else f"{value.numerator:,}"


def other_numeral(reference: str) -> str | None:
    """A fraction as a decimal if that ends, else with a slash; a decimal as a fraction."""
    value = numeral(latex.tidy(reference))
    if value is None or value.denominator == 1:
        return None
    decimal = _decimal(value)
    return decimal if decimal and "." not in reference else f"{value.numerator}/{value.denominator}"


def other_expression(reference: str) -> str | None:
    """A formula with 1 added and taken away."""
    formula = _formula(reference)
    return None if formula is None else f"({formula})+1-1"


def other_spelling(reference: str) -> str | None:
    r"""Display fractions, \left and \right, and no spaces that mean nothing."""
    text = reference.replace(r"\frac", r"\dfrac").replace("(", r"\left(").replace(")", r"\right)")
    text = re.sub(r"(?<![a-zA-Z\\]) | (?![a-zA-Z])", "", text)
    return None if text == reference or re.search(r"\\text|\\ ", reference) else text


def other_order(reference: str) -> str | None:
    """A list without brackets backwards."""
    text = latex.tidy(reference)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 2 or re.search(r"[()\[\]]|\\(?:text|begin|\{)", text):
        return None
    return ", ".join(reversed(parts))


def swapped(reference: str) -> str | None:
    """A pair with its members exchanged."""
    pair = re.fullmatch(r"(\(|\\left\()([^,()]+),([^,()]+?)(\)|\\right\))", latex.tidy(reference))
    if pair is None or pair[2].replace(" ", "") == pair[3].replace(" ", ""):
        return None
    return f"({pair[3]},{pair[2]})"


def next_number(reference: str) -> str | None:
    """One more than a number."""
    value = numeral(latex.tidy(reference))
    return None if value is None else str(value + 1)


def next_expression(reference: str) -> str | None:
    """One more than a formula."""
    formula = _formula(reference)
    return None if formula is None or numeral(formula) is not None else f"({formula})+1"


GSM8K = {
    "as written": Form(as_written),
    "as a price in a sentence": Form(as_price),
    "with other separators": Form(other_separators),
    "one more": Form(next_number, equal=False),
}
MATH = {
    "as written": Form(as_written),
    "as written, math-verify alone": Form(as_written, alone="proper"),
    "as written, read as a formula": Form(as_written, alone="formula"),
    "boxed in a sentence": Form(in_a_sentence),
    "with other separators": Form(other_separators),
    "as another numeral": Form(other_numeral),
    "spelled otherwise": Form(other_spelling),
    "plus 1 minus 1": Form(other_expression),
    "list in another order": Form(other_order),
    "one more": Form(next_number, equal=False),
    "formula plus 1": Form(next_expression, equal=False),
    "pair exchanged": Form(swapped, equal=False),
}


def _formula(reference: str) -> str | None:
    text = latex.tidy(reference)
    return None if len(text) < 2 and not text.isdigit() or _NO_FORMULA.search(reference + text) else text


def _decimal(value: Fraction) -> str | None:
    """The decimal of a fraction if it ends soon."""
    for digits in range(1, _MOST_DECIMALS + 1):
        scaled = value * 10**digits
        if scaled.denominator == 1:
            sign, number = "-" * (value < 0), str(abs(scaled.numerator)).zfill(digits + 1)
            return f"{sign}{number[:-digits]}.{number[-digits:]}"
    return None
