r"""Numbers as people write them, as exact fractions: nothing is rounded, no percentage guessed.

1,450,000   1{,}450{,}000   \$18.90   -3/4   \frac{3}{4}   2 1/2   2\frac12   .5   0.\overline{3}   1e3
"""

import re
from fractions import Fraction

_LONGEST = 400  # characters; a longer numeral answers no question, and Python reads at most 4,300 digits

_SIGN = r"(?P<sign>[-+−]?)(?:\\?\$)?(?P<late>[-−]?)"
_INTEGER = r"(?:\d{1,3}(?:(?:,\\!|\{,\}|,)\d{3})+(?!\d)|\d+)"
_LATEX_FRACTION = re.compile(
    rf"{_SIGN}(?P<whole>{_INTEGER})?\s*\\[dtc]?frac\s*"
    rf"(?:\{{\s*(?P<above>{_INTEGER})\s*\}}|(?P<above_1>\d))\s*"
    rf"(?:\{{\s*(?P<below>{_INTEGER})\s*\}}|(?P<below_1>\d))"
)
_SLASH = re.compile(
    rf"{_SIGN}(?:(?P<whole>{_INTEGER})\s+)?(?P<above>{_INTEGER})\s*/\s*(?P<below>{_INTEGER})(?![\d.])"
)
_DECIMAL = re.compile(
    rf"{_SIGN}(?P<whole>{_INTEGER}|(?=\.\d))"
    r"(?:\.(?P<decimals>\d*)(?:\\overline\s*\{(?P<repeated>\d+)\})?)?(?:[eE](?P<power>[-+]?\d{1,3}))?"
)


def numeral(text: str) -> Fraction | None:
    """The value of a text that is one number and nothing else; None for any other text."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    for form in (_LATEX_FRACTION, _SLASH, _DECIMAL):
        if found := form.fullmatch(text):
            return _value(found)
    return None


def first_numeral(text: str) -> Fraction | None:
    """The value of the first number in a text; None without one."""
    digit = re.search(r"\d", text)
    if digit is None:
        return None
    near = text[max(0, digit.start() - 10) : digit.start() + _LONGEST]  # a sign, a currency, \frac before it
    matches = (
        form.match(near, start)
        for start in range(min(10, digit.start()) + 1)
        for form in (_LATEX_FRACTION, _SLASH, _DECIMAL)
    )
    found = next((match for match in matches if match), None)
    return _value(found) if found else None


def _value(found: re.Match[str]) -> Fraction | None:
    """The value of a match of any of the three forms; None for a division by zero."""
    part = {name: text or "" for name, text in found.groupdict().items()}
    value = Fraction(_integer(part["whole"]))
    if "below" in part:
        above, below = (_integer(part[name] or part.get(f"{name}_1", "")) for name in ("above", "below"))
        if below == 0:
            return None
        value += Fraction(above, below)
    else:
        value = (value + _decimals(part["decimals"], part["repeated"])) * Fraction(10) ** int(
            part["power"] or 0
        )
    return value if part["sign"] in ("", "+") and not part["late"] else -value


def _decimals(digits: str, repeated: str) -> Fraction:
    value = Fraction(int(digits or 0), 10 ** len(digits))
    if repeated:
        value += Fraction(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(digits))
    return value


def _integer(text: str) -> int:
    return int(re.sub(r"\D", "", text) or 0)
