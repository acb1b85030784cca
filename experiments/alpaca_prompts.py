"""Alpaca's prompt, with and without an input, and what the released `source_max_len` of 16 leaves of it.

The released instruction scripts cut the tokenised prompt to its first 16 tokens, the beginning-of-text token
among them, and learn the answer behind what is left. Of Llama 2's tokens, with and without input, this is

    <s> Below is an instruction that describes a task, paired with an input that
    <s> Below is an instruction that describes a task. Write a response that appropri

so the model never sees the instruction it answers: it learns what Alpaca's answers look like. Both lengths
can be run (`data.source_max_length`); `sees_instruction` says which a setting is.

Source of the wording: https://github.com/tatsu-lab/stanford_alpaca, in the form of
https://github.com/artidoro/qlora, which has a space behind the last colon.
"""

from collections.abc import Callable, Sequence

from experiments.data.examples import Prompted

OPENING = "Below is an instruction that describes a task"
OPENINGS = {
    True: f"{OPENING}, paired with an input that provides further context. ",
    False: f"{OPENING}. ",
}
REQUEST = "Write a response that appropriately completes the request.\n\n"
INSTRUCTION = "### Instruction:\n"
INPUT = "\n\n### Input:\n"
RESPONSE = "\n\n### Response: "

Tokenize = Callable[[str], Sequence[str]]


def prompt(example: Prompted) -> str:
    """The prompt up to where the answer begins; `source` is the instruction, `context` its input or empty."""
    context = f"{INPUT}{example.context}" if example.context else ""
    return f"{before_instruction(example)}{example.source}{context}{RESPONSE}"


def second_turn(example: Prompted, answer: str, end: str, question: str) -> str:
    """The prompt of a second question: the first, its answer, the end-of-text token, then the question.

    No source gives the template for MT-Bench's second turn; this is the form that FastChat gives Alpaca's.

    Args:
        example: the first question.
        answer: what the model answered to it.
        end: the end-of-text token as text, as it stood behind every answer in training.
        question: the second turn.
    """
    return f"{prompt(example)}{answer}{end}\n\n{INSTRUCTION}{question}{RESPONSE}"


def before_instruction(example: Prompted) -> str:
    """The template's fixed opening, up to the instruction."""
    return f"{OPENINGS[bool(example.context)]}{REQUEST}{INSTRUCTION}"


def remains(example: Prompted, tokenize: Tokenize, source_max_length: int) -> list[str]:
    """The tokens of the prompt that are left beside the beginning-of-text token, which takes the first place.

    Args:
        example: instruction and input.
        tokenize: from a text to its tokens, without special ones.
        source_max_length: tokens of the prompt that training keeps, the beginning-of-text token included.
    """
    return list(tokenize(prompt(example)))[: max(0, source_max_length - 1)]


def sees_instruction(example: Prompted, tokenize: Tokenize, source_max_length: int) -> bool:
    """Whether anything of the instruction is left."""
    return len(remains(example, tokenize, source_max_length)) > len(tokenize(before_instruction(example)))
