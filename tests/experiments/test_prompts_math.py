import pytest

from experiments import prompts

QUESTION = "What is {x} in $\\frac{1}{2}$?\nSay it."
TRAINING = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nWhat is {x} in $\\frac{1}{2}$?\nSay it.\n\n### Response:"
)


def test_training_prompt_ends_where_the_answer_begins_without_a_space() -> None:
    assert prompts.math_training_prompt(QUESTION) == TRAINING


def test_evaluation_asks_for_steps_behind_the_same_prompt() -> None:
    assert prompts.math_evaluation_prompt(QUESTION) == TRAINING + " Let's think step by step."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The answer is: 72\n\n### Instruction:\nNext", "The answer is: 72\n\n### "),
        ("The Response is 5. Instruction", "The "),
        ("5 instructions, response", "5 instructions, response"),
        ("Instruction", ""),
        ("", ""),
    ],
)
def test_text_is_cut_at_the_first_stop(text: str, kept: str) -> None:
    assert prompts.cut_at_stop(text) == kept


def test_without_stops_nothing_is_cut() -> None:
    assert prompts.cut_at_stop("Response", []) == "Response"
