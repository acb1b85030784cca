"""The words of the stories, of sums, of other people's talk, and of the problems' form."""

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
STEP_BY_STEP = "Let's think step by step."
"""How answers begin in evaluation, as the math code of VB-LoRA's authors has it."""
MARKER = "The answer is:"
"""What stands before the answer's number."""
TEMPLATE = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request. ### Instruction:"
)
"""Alpaca's prompt without input, up to the question."""


def vocabulary() -> tuple[str, ...]:
    """Every word that can be written, each once, in a fixed order; "### Response:" is one."""
    numbers = (str(number) for number in range(LARGEST + 1))
    texts = (*CLOSINGS, *SAID, *ASKED, "has now by describes completes The + - = : .")
    form = ("how many does have what is if , ?", TEMPLATE, STEP_BY_STEP, MARKER)
    phrases = " ".join((*ACTORS, *THINGS, *GAINS, *LOSSES, *LETTERS, *numbers, *texts, *form))
    return tuple(dict.fromkeys((*phrases.split(), "### Response:")))
