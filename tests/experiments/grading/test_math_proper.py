import pytest

from experiments.grading.math import latex, proper

EQUAL = [
    ("1450000", "1,450,000"), ("11111111100", "11,\\! 111,\\! 111,\\! 100"), ("10,000", "10\\,000"),
    ("0.5", "\\frac12"), ("\\frac{-1}{2}", "-\\frac12"), ("3.5", "3\\frac{1}{2}"), ("1 1/2", "\\frac{3}{2}"),
    ("0.333333", "\\frac13"), ("0.\\overline{3}", "1/3"), ("4!", "24"), ("\\binom{5}{2}", "10"),
    ("44", "44\\%"), ("0.44", "44\\%"), ("44%", "44"), ("44 percent", "44\\%"), ("$44\\%$", "44\\%"),
    ("$5$", "5"), ("\\(5\\)", "5"), ("\\boxed{5}", "5"), ("**5**", "5"), ("$\\boxed{5}$.", "5"), ("5", "5."),
    ("5 inches", "5\\text{ inches}"), ("5 cm", "5"), ("144 m^3", "144 \\mbox{ m}^3"),
    ("9 a.m.", "9\\text{ a.m.}"), ("\\$32,348", "32348"), ("30", "30^\\circ"), ("30 degrees", "30^{\\circ}."),
    ("45^\\circ,135^\\circ", "45^\\circ, 135^\\circ"), ("\\frac{270}{7}", "\\frac{270}7\\text{ degrees}"),
    ("\\frac{12}{5525}", "\\frac{12}{5,\\!525}"), ("Evelyn", "\\text{Evelyn}"), ("evelyn", "\\text{Evelyn}"),
    ("(B)", "\\text{B}"), ("B", "\\text{(B)}"), ("B and A", "\\text{A,B}"),
    ("\\text{Saturday}", "\\mbox{Saturday}"), ("13", "\\text{13}"), ("4:30", "\\text{4:30 p.m.}"),
    ("8:34 PM", "8\\!:\\!34 \\text{ p.m.}"), ("5:00", "05\\!:\\!00"), ("2, 1", "1,2"), ("\\pm 2", "2,-2"),
    ("12 and 13", "12\\text{ and }13"), ("6,8,10", "6, 8\\text{, and }10"), ("81,256", "81, 256"),
    ("x=1 or x=2", "1,2"), ("$1$ and $2$", "\\{1,2\\}"), ("\\left( 1 , 2 \\right)", "(1,2)"),
    ("0<x<1", "(0,1)"), ("(-\\infty,2)\\cup(3,\\infty)", "(-\\infty, 2) \\cup (3, \\infty)"),
    ("\\begin{bmatrix}1\\\\2\\end{bmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"), ("x=5", "5"),
    ("5", "x = 5"), ("y = 2x+3", "2x+3"), ("5=3x+2y", "3x+2y=5"), ("(2x+3)", "2x+3"), ("(x+1)^2", "x^2+2x+1"),
    ("x**2 + 3*x", "x^2+3x"), ("c+b+a", "a + b + c"), ("\\frac{1}{\\sqrt2}", "\\frac{\\sqrt2}{2}"),
    ("2pi", "2\\pi"), ("2π", "2\\pi"), ("sqrt(2)", "\\sqrt2"), ("√2", "\\sqrt{2}"),
    ("10000\\pi", "10,000\\pi"), ("\\frac{\\pi}{4}+2-\\sqrt{2}", "\\frac \\pi4 + 2 - \\sqrt2"),
    ("43", "43_5"), ("43_{5}", "43_5"), ("1-2i", "-2i+1"), ("\\sin^2 t", "1-\\cos^2 t"),
    ("\\frac{1}{2}x", "\\frac{x}{2}"),
]  # fmt: skip
DIFFERENT = [
    ("3.4", "3"), ("72.01", "72"), ("7200", "72"), ("0.72", "72"), ("0.33", "\\frac13"), ("3.14", "\\pi"),
    ("44", "0.44"), ("\\frac{12}{3}", "\\frac{1}{23}"), ("0.0", "\\frac{1}{29,\\!322,\\!216}"),
    ("10,20", "1020"), ("123", "1,2,3"), ("x/2", "3"), ("m/s", "3"), ("3/4 cups", "3"), ("\\frac", "3"),
    ("5\\sqrt", "3"), ("", "5"), ("", ""), ("5", ""), ("(2,1)", "(1,2)"), ("(1,2)", "[1,2]"),
    ("(3,4)", "(3,4]"), ("(1,2,3)", "(1,2)"), ("1", "1,2"), ("\\{\\}", "0"), ("2:05", "4:10"), ("6:4", "3:2"),
    ("4:30 a.m.", "\\text{4:30 p.m.}"), ("11_2", "11_3"), ("A", "\\text{B}"), ("odd", "\\text{even}"),
    ("BA", "\\text{AB}"), ("\\text{two}", "\\text{two lines}"), ("3 t", "3"), ("x+y", "a+b"), ("2x", "x"),
    ("3x", "3"), ("x<3", "x>3"), ("x=5", "y=5"), ("-i", "i"), ("4+i", "4-i"), ("a + b", "a + b + c"),
    ("\\begin{pmatrix}1&2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"), ("2^{10}", "1023"),
    ("1/0", "5"), ("\\sqrt{3}", "\\sqrt{2}"), ("\\infty", "-\\infty"), ("nan", "5"), ("five", "5"),
    ("5" * 3_000, "5"),
]  # fmt: skip


def verdict(answer: str, reference: str) -> bool:
    by_text = proper.by_text(answer, reference)
    return proper.by_algebra(answer, reference) if by_text is None else by_text


@pytest.mark.parametrize(("answer", "reference"), EQUAL)
def test_equal_values_are_equal_however_they_are_written(answer: str, reference: str) -> None:
    assert verdict(answer, reference)


@pytest.mark.parametrize(("answer", "reference"), DIFFERENT)
def test_what_the_published_rule_confuses_is_told_apart(answer: str, reference: str) -> None:
    assert not verdict(answer, reference)


GSM8K = [
    ("72", "72", True), ("72.00", "72", True), ("$72", "72", True), ("1,450,000", "1,450,000", True),
    ("1450000 people", "1,450,000", True), ("144/2", "72", True), ("-5", "-5", True), ("72%", "72", True),
    ("72.4", "72", False), ("71.999", "72", False), ("7200", "72", False), ("1,450", "1,450,000", False),
    ("5 + 67 = 72", "72", False), ("seventy-two", "72", False), ("", "72", False), ("72/0", "72", False),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference", "right"), GSM8K)
def test_gsm8ks_first_number_is_compared_exactly(answer: str, reference: str, right: bool) -> None:
    assert proper.gsm8k(answer, reference) is right


TIDIED = [
    ("$\\dfrac{270}7\\text{ degrees}$.", "\\frac{270}{7}"),
    ("\\frac12 + \\sqrt3", "\\frac{1}{2} + \\sqrt{3}"),
    ("\\frac{\\sqrt{2}}\\pi", "\\frac{\\sqrt{2}}{\\pi}"),
    ("\\frac {40}7", "\\frac{40}{7}"),
    ("\\leftarrow x", "\\leftarrow x"),
    ("\\left[ 1,\\, 2 \\right)", "[ 1, 2 )"),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
    ("(1,000)", "(1,000)"),
    ("\\text{ }", "\\text{ }"),
    ("\\frac", "\\frac"),
]


@pytest.mark.parametrize(("text", "tidied"), TIDIED)
def test_one_way_of_writing(text: str, tidied: str) -> None:
    assert latex.tidy(text) == tidied


def test_only_mathverifys_grammar_reads_answers_never_its_evaluating_extraction() -> None:
    assert proper.is_formula("2x+1", "") and not proper.is_formula("2 +", "")
    assert not proper.by_algebra("(lambda: 5)()", "5")
