"""Formulas of rule `released`, without running a model's text as a program.

The published grader hands an answer to sympy's `parse_expr`, which evaluates it as Python: the answer
`__import__("os").system("…")` would be obeyed. Here a grammar reads arithmetic and calls of mathematical
functions, and builds the sympy objects that `parse_expr` would have built. Everything else is no formula;
there the published code mostly fails as well, and such an answer is wrong.

    xor     := sum ("^" sum)*                                sum   := product (("+" | "-") product)*
    product := unary (("*" | "/" | "//" | "%") unary)*       unary := ("+" | "-") unary | power
    power   := postfix ("**" unary)?                         postfix := atom ("!" | "!!")*
    atom    := number | name | name "(" xor ("," xor)* ")" | "(" xor ")"
"""

import builtins
import keyword
import operator
import re
from collections.abc import Callable
from typing import Any

import sympy

DEEPEST = 50
"""Nesting of the deepest formula; MATH's references nest 4 deep, and Python's parser refuses 200."""

Token = tuple[str, str]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|//|!!|[-+*/%^(),!]))"
)
_CONSTANTS = {name: getattr(sympy, name) for name in ("pi", "E", "I", "oo", "zoo", "nan")}
_FUNCTIONS = {
    name: getattr(sympy, name)
    for name in (
        *(
            "sqrt",
            "cbrt",
            "root",
            "exp",
            "log",
            "ln",
            "Abs",
            "sign",
            "floor",
            "ceiling",
            "factorial",
            "binomial",
        ),
        *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "atan2", "acot", "asec", "acsc"),
        *(
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "re",
            "im",
            "arg",
            "conjugate",
            "Max",
            "Min",
            "N",
        ),
    )
} | {"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min}
_POSTFIX = {"!": sympy.factorial, "!!": sympy.factorial2}
_ADDITIVE = {"+": operator.add, "-": operator.sub}
_MULTIPLICATIVE = {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod}


class NoFormulaError(ValueError):
    """A text that the grammar does not take; the message says where."""


def parse(text: str, *, caret_is_power: bool = False, exact: bool = False) -> Any:
    """The formula as a sympy expression.

    Args:
        text: what to parse.
        caret_is_power: "^" is a power, as for sympy's `sympify`; else the exclusive or of integers, as for
            its `parse_expr` and in Python.
        exact: decimals are fractions, as for `sympify(text, rational=True)`; else floating point.

    Raises:
        NoFormulaError: the grammar does not take it, or it is nested more than 50 deep. What sympy raises
            while it computes (a wrong number of arguments, an overflow) goes through.
    """
    return _Parser(_tokens(text), caret_is_power, exact).whole()


def _tokens(text: str) -> list[Token]:
    tokens, place, text = [], 0, text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise NoFormulaError(f"character {place}: {text[place : place + 10]!r} is no part of a formula")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return [*tokens, ("end", "")]


class _Parser:
    """A recursive descent; each method is the rule of the grammar that bears its name."""

    def __init__(self, tokens: list[Token], caret_is_power: bool, exact: bool) -> None:
        self.tokens, self.place, self.depth = tokens, 0, 0
        self.caret_is_power, self.exact = caret_is_power, exact

    def whole(self) -> Any:
        value = self.xor()
        self.expect("end", "")
        return value

    def xor(self) -> Any:
        return self.sum() if self.caret_is_power else self.chain(self.sum, {"^": _exclusive_or})

    def sum(self) -> Any:
        return self.chain(self.product, _ADDITIVE)

    def product(self) -> Any:
        return self.chain(self.unary, _MULTIPLICATIVE)

    def chain(self, operand: Callable[[], Any], operators: dict[str, Callable[[Any, Any], Any]]) -> Any:
        value = operand()
        while self.ahead() in operators:
            value = operators[self.take()[1]](value, operand())
        return value

    def unary(self) -> Any:
        if self.ahead() not in _ADDITIVE:
            return self.power()
        sign = self.take()[1]
        value = self.nested(self.unary)
        return -value if sign == "-" else value

    def power(self) -> Any:
        base = self.postfix()
        if self.ahead() == "**" or (self.ahead() == "^" and self.caret_is_power):
            self.take()
            return base ** self.nested(self.unary)
        return base

    def postfix(self) -> Any:
        value = self.atom()
        while self.ahead() in _POSTFIX:
            value = _POSTFIX[self.take()[1]](value)
        return value

    def atom(self) -> Any:
        kind, text = self.take()
        if kind == "number":
            return _number(text, self.exact)
        if kind == "name":
            return _function(text)(*self.arguments()) if self.ahead() == "(" else _constant(text)
        if text != "(":
            raise NoFormulaError(f"token {self.place}: {text!r} where a number, a name or a bracket is due")
        value = self.nested(self.xor)
        self.expect("sign", ")")
        return value

    def arguments(self) -> list[Any]:
        self.expect("sign", "(")
        values = [self.nested(self.xor)]
        while self.ahead() == ",":
            self.take()
            values.append(self.nested(self.xor))
        self.expect("sign", ")")
        return values

    def nested(self, rule: Callable[[], Any]) -> Any:
        if self.depth == DEEPEST:
            raise NoFormulaError(f"token {self.place}: nested more than {DEEPEST} deep")
        self.depth += 1
        value = rule()
        self.depth -= 1
        return value

    def ahead(self) -> str:
        """The next token if it is a sign."""
        kind, text = self.tokens[self.place]
        return text if kind == "sign" else ""

    def take(self) -> Token:
        token = self.tokens[self.place]
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def expect(self, kind: str, text: str) -> None:
        token = self.take()
        if token != (kind, text):
            raise NoFormulaError(f"token {self.place}: {token[1]!r} where {text or 'the end'!r} is due")


def _number(text: str, exact: bool) -> Any:
    digits = text.replace("_", "")
    if not digits.isdecimal():
        return sympy.Rational(digits) if exact else sympy.Float(digits)
    if digits.startswith("0") and digits.strip("0"):
        raise NoFormulaError(f"{text} begins with 0")
    return sympy.Integer(int(digits))


def _constant(name: str) -> Any:
    """π, e and the like, else a symbol; a name that means anything else in sympy or Python is no formula."""
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if _is_taken(name):
        raise NoFormulaError(f"{name} is no number")
    return sympy.Symbol(name)


def _function(name: str) -> Callable[..., Any]:
    """A known function, or an unknown one, about which nothing can be computed: f(2)."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]  # type: ignore[no-any-return]
    if _is_taken(name):
        raise NoFormulaError(f"{name} is no function of the grammar")
    return sympy.Function(name)  # type: ignore[no-any-return]


def _is_taken(name: str) -> bool:
    return keyword.iskeyword(name) or hasattr(sympy, name) or hasattr(builtins, name)


def _exclusive_or(first: Any, second: Any) -> Any:
    if not (isinstance(first, sympy.Integer) and isinstance(second, sympy.Integer)):
        raise NoFormulaError("an exclusive or of what is no integer")
    return sympy.Integer(int(first) ^ int(second))
