import pytest

from experiments.alpaca_prompts import before_instruction, prompt, remains, second_turn, sees_instruction
from experiments.data.examples import Prompted

PLAIN = Prompted("Name a colour.")
WITH_INPUT = Prompted("Translate.", context="chat")


def test_the_prompt_without_input_is_the_published_one() -> None:
    assert prompt(PLAIN) == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\nName a colour.\n\n### Response: "
    )


def test_the_prompt_with_input_is_the_published_one() -> None:
    assert prompt(WITH_INPUT) == (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\nTranslate.\n\n"
        "### Input:\nchat\n\n### Response: "
    )


def test_braces_in_an_instruction_stay() -> None:
    assert "{input} {0} %s" in prompt(Prompted("{input} {0} %s"))


def test_a_second_turn_follows_the_first_answer_and_its_end() -> None:
    text = second_turn(PLAIN, "Red.", "</s>", "Another?")
    assert text == f"{prompt(PLAIN)}Red.</s>\n\n### Instruction:\nAnother?\n\n### Response: "


# 15 beside the beginning-of-text token; Llama splits words further, so that even less remains of its 16.
@pytest.mark.parametrize(("example", "last"), [(PLAIN, "the"), (WITH_INPUT, "further")])
def test_sixteen_tokens_end_before_the_instruction(example: Prompted, last: str) -> None:
    kept = remains(example, str.split, 16)
    assert (len(kept), kept[0], kept[-1]) == (15, "Below", last)
    assert before_instruction(example).startswith(" ".join(kept))
    assert not sees_instruction(example, str.split, 16)


def test_the_instruction_is_seen_from_its_first_token_on() -> None:
    needed = (
        len(before_instruction(PLAIN).split()) + 2
    )  # the beginning-of-text token and one of the instruction
    assert not sees_instruction(PLAIN, str.split, needed - 1)
    assert sees_instruction(PLAIN, str.split, needed)
    assert remains(PLAIN, str.split, needed)[-1] == "Name"
    assert remains(PLAIN, str.split, 0) == []
