"""The words around a question: what a model is trained on and what it is asked.

Source of the wording: the Alpaca template without input, as the released math scripts use it
(https://github.com/leo-yangli/VB-LoRA, math_instruction_tuning).
"""

from collections.abc import Sequence

ALPACA_NO_INPUT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\n{instruction}\n\n### Response:"
)

MATH_SUFFIX = " Let's think step by step."
"""Stands after the template in evaluation only: nothing in the published training prepares for it."""

MATH_STOPS = ("Instruction:", "Instruction", "Response:", "Response")
"""Generation ends before the first of these; an answer that uses such a word is cut there too."""

ANSWER_MARKER = "The answer is: "
"""What follows its last occurrence is the answer."""


def math_training_prompt(question: str) -> str:
    """The prompt of a training example; the answer follows it at once, without a space."""
    return ALPACA_NO_INPUT.format(instruction=question)


def math_evaluation_prompt(question: str) -> str:
    """The prompt that the test questions are asked with: the training prompt and `MATH_SUFFIX`."""
    return math_training_prompt(question) + MATH_SUFFIX


def cut_at_stop(text: str, stops: Sequence[str] = MATH_STOPS) -> str:
    """The text before the first occurrence of any stop string; all of it if there is none."""
    return text[: min((place for place in map(text.find, stops) if place >= 0), default=len(text))]
