"""Where in a model's text the answer stands.

    "So she has 72/2 = 36 left. The answer is: 36."   ->  "36"

Every function is linear in the text, so that megabytes of it do no harm.
"""

from experiments.prompts import ANSWER_MARKER

_BOXES = ("\\boxed", "\\fbox")
_NEW_SECTION = ("\n\n", "###")


def after_marker(text: str) -> str | None:
    """What follows the last "The answer is: "; None without one."""
    place = text.rfind(ANSWER_MARKER)
    return None if place < 0 else text[place + len(ANSWER_MARKER) :]


def first_sentence(text: str) -> str:
    """The text up to a full stop that ends a line, without that or another full stop at its end.

    The published rule for MATH; a decimal point or a full stop within a line ends nothing.
    """
    return text.split(".\n", 1)[0].strip().removesuffix(".").strip()


def published_answer(text: str) -> str | None:
    """The answer where the published rule sees it; None without a marker, which that rule counts as wrong."""
    answer = after_marker(text)
    return None if answer is None else first_sentence(answer)


def proper_answer(text: str) -> str | None:
    r"""The answer as a reader sees it: as published, with two differences.

    It ends before an empty line or a "###" too, which is where a model goes on to a next exercise; and
    without a marker the last \boxed{} counts, which says as plainly what the answer is (models that were not
    tuned on MetaMathQA end in one).
    """
    answer = after_marker(text)
    if answer is None:
        return last_boxed(text)
    answer = answer.lstrip()
    ends = [place for place in map(answer.find, _NEW_SECTION) if place >= 0]
    return first_sentence(answer[: min(ends, default=len(answer))] + "\n")


def last_boxed(text: str) -> str | None:
    r"""The content of the last \boxed{} (else the last \fbox{}); None if there is none or it never closes.

    TeX also reads "\boxed 2" as a box around the next character; two solutions of MATH's training set do so.
    """
    for box in _BOXES:
        place = text.rfind(box)
        if place >= 0:
            return _argument(text[place + len(box) :].lstrip())
    return None


def _argument(text: str) -> str | None:
    """The content of the group that the text starts with, or its first character."""
    if not text.startswith("{"):
        return text[:1] or None
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:place]
    return None
