"""The words of the stories, of sums, of other people's talk, and of the problems' form."""

import re

from experiments import prompts

ACTORS = ("Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Ida", "Max", "Zoe")
THINGS = ("apples", "pens", "cards", "coins", "eggs", "books", "cups", "shells")
GAINS = ("finds", "buys", "gets", "wins")
LOSSES = ("loses", "sells", "drops", "spends")
LETTERS = ("x", "y", "n", "m")
LARGEST = 30
"""No number is larger, and none is negative."""
CLOSINGS = ("that makes", "in total", "which is", "there are")
"""What the texts say before a result."""
SAID = ("an instruction", "the instruction", "a response", "the response", "an answer", "the answer")
ASKED = ("a task.", "the task.", "a request.", "the request.")
NEW_TO_THE_TEXTS = ("how", "many", "does", "have", "what", "if", ",", "?")
"""Words of the questions; no text asks one."""


def vocabulary() -> tuple[str, ...]:
    """Every word that can be written, each once, in a fixed order; "### Response:" is one."""
    numbers = (str(number) for number in range(LARGEST + 1))
    texts = (*CLOSINGS, *SAID, *ASKED, "has now by describes completes The + - = : .")
    form = (*NEW_TO_THE_TEXTS, prompts.math_evaluation_prompt(""), prompts.ANSWER_MARKER)
    written = " ".join((*ACTORS, *THINGS, *GAINS, *LOSSES, *LETTERS, *numbers, *texts, *form))
    return tuple(dict.fromkeys(re.findall(r"### Response:|\S+", written)))
