from fractions import Fraction

import pytest

from experiments.grading.math.numerals import first_numeral, numeral

NUMERALS = {
    "72": 72, "1,450,000": 1_450_000, "1{,}450{,}000": 1_450_000, "12,\\!345": 12_345,
    "\\$18.90": Fraction(189, 10), "-3/4": Fraction(-3, 4), "\\frac{3}{4}": Fraction(3, 4),
    "-\\dfrac34": Fraction(-3, 4), "2 1/2": Fraction(5, 2), "2\\frac12": Fraction(5, 2), ".5": Fraction(1, 2),
    "0.\\overline{3}": Fraction(1, 3), "0.1\\overline{6}": Fraction(1, 6), "1e3": 1000, "72.00": 72,
    "-$5": -5, "$-5": -5, "−4": -4, "+7": 7, "1,234.5": Fraction(2469, 2), " 8 ": 8,
}  # fmt: skip
NO_NUMERALS = [
    "",
    "x",
    "3/0",
    "1,2",
    "1.2.3",
    "1/2/3",
    "12345,678",
    "-",
    ".",
    "5x",
    "\\frac{-1}{2}",
    "9" * 401,
]


@pytest.mark.parametrize("text", NUMERALS)
def test_a_number_is_read_exactly_however_it_is_written(text: str) -> None:
    assert numeral(text) == NUMERALS[text]


@pytest.mark.parametrize("text", NO_NUMERALS)
def test_what_is_not_one_number_has_no_value(text: str) -> None:
    assert numeral(text) is None


FIRST = [
    ("She has 3 apples and 4 pears", 3),
    ("$72$ dollars", 72),
    ("1,450,000 people", 1_450_000),
    ("about -5 degrees", -5),
    ("it is .75 of it", Fraction(3, 4)),
    ("x=\\frac{3}{4}", Fraction(3, 4)),
    ("2 1/2 hours", Fraction(5, 2)),
    ("10-15", 10),
    ("- 5 apples", 5),
    ("72%", 72),
    ("$1,000.50.", Fraction(2001, 2)),
    ("3:30", 3),
    ("5, 6", 5),
    ("no number", None),
    ("3/0", None),
]


@pytest.mark.parametrize(("text", "value"), FIRST)
def test_the_first_number_of_a_text(text: str, value: Fraction | None) -> None:
    assert first_numeral(text) == value
