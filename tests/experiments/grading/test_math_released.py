"""Rule `released` against a table of what the published grader says, fault by fault.

The expectations follow from the project's ledger of that grader (docs/fidelity.md). The published code
itself, run beside this rule on 16,949 answers (references of MATH, changed at random, and odd ones by hand),
agreed on all but two, which are hexadecimal numbers; and on every line of the tables below.

Mutations that were tried and that made the tables fail: `gold * 100` left out of the numbers; "()" left out
of the dropped brackets; CannotCleanError taken for wrong; 1e-4 as tolerance of computed values; no rounding.
"""

import pytest

from experiments.grading.math import equality, formulas, released

TABLE = {
    # An answer that the clean-up cannot take is compared with itself.
    "one slash beside a name": [("x/2", "7", True), ("m/s", "7", True), ("3/4 cups", "7", True)],
    "a slash beside a decimal": [("1.5/2", "7", True), ("1/2", "7", False), ("1/2/3", "7", False)],
    "two units": [("5 \\text{ ft} 2 \\text{ in}", "7", True), ("5 \\text{ ft}", "7", False)],
    "a command at the end": [("\\frac", "7", True), ("5\\sqrt", "7", True), ("3 + \\frac", "7", True)],
    "not a number, with itself": [("x/2 nan", "7", True), ("", "7", False), ("nan", "x/2", False)],
    # Numbers.
    "off by 100": [("5000", "50", True), ("0.5", "50", False), ("0.50", "50", True), ("500", "50", False)],
    "within 1e-4": [("3.1414", "3.1415", True), ("3.141", "3.1415", False), ("9.9999", "10", True)],
    "within 1e-3 if computed": [("pi", "3.14", True), ("pi", "3.1", False), ("sqrt(2)", "1.414", True)],
    "separators": [("1,450,000", "1450000", True), ("1,2", "12", True), ("1{,}000", "1000", False)],
    "as Python reads them": [("1e3", "1000", True), ("1_000", "1000", True), ("inf", "infinity", True)],
    # Texts.
    "braces and parentheses dropped": [("\\frac{1}{23}", "\\frac{12}{3}", True), ("f(x)", "fx", True)],
    "outer brackets dropped": [("[1,2]", "1,2", True), ("(1,2)", "1,2", True), ("[1,2]", "(1,2)", False)],
    "interval ends": [("(1,2]", "(1,2)", False), ("(1,2]", "1,2]", True)],
    "part by part": [("(1,200)", "(1,2)", True), ("(x+1,2)", "(1+x,2)", True), ("(2,1)", "(1,2)", False)],
    # The clean-up.
    "fractions": [
        ("\\frac12", "\\frac{1}{2}", True),
        ("1/2", "\\frac{1}{2}", True),
        ("0.5", "\\frac{1}{2}", True),
    ],
    "a half otherwise": [
        ("0.50", "\\frac{1}{2}", False),
        (".5", "\\frac{1}{2}", True),
        ("01/2", "1/2", False),
    ],
    "roots": [("\\sqrt2", "\\sqrt{2}", True), ("\\sqrt 2", "\\sqrt{2}", True)],
    "other spellings": [("\\dfrac{1}{2}", "\\tfrac{1}{2}", True), ("\\left(1\\right)", "(1)", True)],
    "units and degrees": [
        ("5 \\text{ ft}", "5", True),
        ("5\\mbox{ ft}", "5", False),
        ("30^\\circ", "30", True),
    ],
    "percent signs": [("50\\%", "50", True), ("50%", "50", False)],
    "short left sides": [
        ("x=5", "5", True),
        ("k = 5", "5", True),
        ("AB = 5", "5", False),
        ("x=y=5", "5", False),
    ],
    "dollar signs": [("\\$5", "5", True), ("$5$", "5", False)],
    # Formulas, which the published code evaluates as Python.
    "terms in another order": [("x+1", "1+x", True), ("2*x", "x*2", True), ("2x", "x*2", False)],
    "functions": [("sin(x)**2+cos(x)**2", "1", True), ("log(8,2)", "3", True), ("f(2)", "2", False)],
    "factorials": [("5!", "120", True), ("3!!", "3", True), ("(2+1)!", "6", True)],
    "power as exclusive or": [
        ("2^3", "8", False),
        ("2^3", "1", True),
        ("2**3", "8", True),
        ("x^2", "x**2", False),
    ],
    "power where that fails": [("4^0.5", "sqrt(4)", True), ("1/(2^-1)", "2", True)],
    "LaTeX": [("\\sqrt{4}", "sqrt(4)", False), ("\\pi", "pi", False), ("\\frac{4}{2}", "2", False)],
    "complex and infinite": [("1+2*I", "2*I+1", True), ("i", "I", False), ("oo", "2*oo", True)],
}
CASES = [(fault, *case) for fault, cases in TABLE.items() for case in cases]


@pytest.mark.parametrize(("fault", "answer", "reference", "right"), CASES)
def test_math_is_judged_as_published(fault: str, answer: str, reference: str, right: bool) -> None:
    assert released.by_algebra(answer, reference) is right, fault


@pytest.mark.parametrize(("fault", "answer", "reference", "right"), CASES)
def test_what_text_decides_agrees_with_the_whole_rule(
    fault: str, answer: str, reference: str, right: bool
) -> None:
    assert released.by_text(answer, reference) in (right, None), fault


GSM8K = [
    ("72", "72", True), ("72.4", "72", True), ("71.5", "72", True), ("72.5", "72", True),
    ("73.5", "72", False), ("3.4", "3", True), ("0.4", "0", True), ("7200", "72", True),
    ("0.72", "72", False), ("1", "100", True), ("1,450", "1,450,000", False),
    ("1,450,000", "1,450,000", False), ("1,450,000", "1,450", True), ("1450000", "1,450,000", True),
    ("144/2", "72", True), ("145/2", "72", True), ("5/0", "5", True), ("5/00", "5", False),
    ("/5", "5", False), ("x = 5 apples", "5", True), ("-5", "-5", True), ("- 5", "-5", False),
    ("½", "1", False), ("", "0", False), ("none", "0", False), ("9" * 400, "9", False), ("72%", "72", True),
    ("$72", "72", True),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference", "right"), GSM8K)
def test_gsm8k_is_rounded_and_ends_at_its_second_separator(answer: str, reference: str, right: bool) -> None:
    assert released.gsm8k(answer, reference) is right


def test_an_answer_too_long_for_algebra_is_compared_as_text() -> None:
    assert released.by_text("x+1" + " " * 3_000, "1+x") is False
    assert released.by_text("x+1", "1+x") is None
    assert released.by_text("\\text{ " * 3_000, "1+x") is True


CODE = [
    "__import__('os').system('true')", "().__class__", "x.y", "x[0]", "[1, 2]", "{1}", "lambda: 1",
    "x if y else z", "'text'", "x == y", "x < y", "a = b", "f(x=1)", "eval(1)", "open(1)", "exec(1)",
    "print(1)", "x; y", "@x", "`x`", "x and y", "S(1)", "Symbol(x)", "lambdify(x, y)", "sympify(1)", "None",
    "x\\", "2x", "(1", "1)", "", "007", "f()", "sin", "$1",
]  # fmt: skip


@pytest.mark.parametrize("text", CODE)
def test_the_grammar_takes_arithmetic_and_no_other_python(text: str) -> None:
    with pytest.raises(formulas.NoFormulaError):
        formulas.parse(text)
    assert not equality.equal(text, "1")


FORMULAS = [
    ("1+2*3", "7"), ("2**3**2", "512"), ("-2**2", "-4"), ("2**-1", "1/2"), ("--3", "3"), ("7//2", "3"),
    ("7%4", "3"), ("(1+2)*3", "9"), ("6/4", "3/2"), ("3!", "6"), ("-3!", "-6"), ("1^3", "2"), ("1+2^3", "0"),
    ("2*x-x", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), FORMULAS)
def test_operators_bind_as_in_python(text: str, value: str) -> None:
    assert str(formulas.parse(text)) == value


def test_caret_is_a_power_where_sympify_reads_it() -> None:
    assert str(formulas.parse("-2^3^2", caret_is_power=True)) == "-512"
    assert str(formulas.parse("0.25", exact=True)) == "1/4"


def test_nesting_beyond_the_limit_is_no_formula() -> None:
    deepest = formulas.DEEPEST
    assert formulas.parse("(" * deepest + "1" + ")" * deepest) == 1
    for text in ("(" * (deepest + 1) + "1" + ")" * (deepest + 1), "-" * 100_000 + "1", "2**" * 100 + "1"):
        with pytest.raises(formulas.NoFormulaError, match="nested more than 50 deep"):
            formulas.parse(text)
