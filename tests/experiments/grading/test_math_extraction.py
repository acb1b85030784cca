import pytest

from experiments.grading.math import extraction

ANSWERS = [  # text, published answer, proper answer
    ("So 36. The answer is: 36", "36", "36"),
    ("The answer is: 36.", "36", "36"),
    ("The answer is: 5. No. The answer is: 6.", "6", "6"),
    ("The answer is: 3.5.\nNext.", "3.5", "3.5"),
    ("The answer is: $x = 2$. Since 2 is even.\n", "$x = 2$. Since 2 is even", "$x = 2$. Since 2 is even"),
    ("The answer is: 72\n\n### ", "72\n\n###", "72"),
    ("The answer is: 72\n### Next", "72\n### Next", "72"),
    ("The answer is: 72\n\nAnd more.\n", "72\n\nAnd more", "72"),
    ("The answer is: \\frac{1}\n{2}", "\\frac{1}\n{2}", "\\frac{1}\n{2}"),
    ("The answer is: \n\n7", "7", "7"),
    ("The answer is: ", "", ""),
    ("It is $\\boxed{\\frac{1}{2}}$.", None, "\\frac{1}{2}"),
    ("\\boxed{3}. The answer is: 4", "4", "4"),
    ("The answer is 72", None, None),
    ("the answer is: 72", None, None),
    ("", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "published", "proper"), ANSWERS)
def test_the_answer_follows_the_last_marker(text: str, published: str | None, proper: str | None) -> None:
    assert extraction.published_answer(text) == published
    assert extraction.proper_answer(text) == proper


BOXES = [
    ("\\boxed{1} and \\boxed{\\sqrt{2}}", "\\sqrt{2}"),
    ("\\boxed{\\text{A {b} c}} end", "\\text{A {b} c}"),
    ("\\boxed 2$", "2"),
    ("\\fbox{5}", "5"),
    ("\\boxed{}", ""),
    ("\\boxed{open", None),
    ("\\boxed", None),
    ("none", None),
]


@pytest.mark.parametrize(("text", "content"), BOXES)
def test_the_last_box_is_read_to_the_brace_that_closes_it(text: str, content: str | None) -> None:
    assert extraction.last_boxed(text) == content
