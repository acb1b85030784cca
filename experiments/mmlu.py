"""MMLU answered as the released instruction code does: the letter with the largest of four logits.

    … Answer:  ->  logits of the tokens of A, B, C, D at the prompt's last position  ->  "C"

The four tokens are the first of each letter tokenised alone, without special tokens. SentencePiece puts a
space before a text, so for Llama they are the tokens of " A" to " D", and so a letter follows "Answer:" in
English; a byte-level tokenizer gives "A" to "D" without it. The beginning-of-text token comes first.

Source: https://github.com/leo-yangli/VB-LoRA (instruction_tuning/qlora_vb.py), which is QLoRA's code.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from experiments.data.mmlu import with_fewer
from experiments.grading.mmlu import LETTERS

MAX_LENGTH = 2048  # tokens of a prompt, the released code's mmlu_source_max_len


class MmluError(ValueError):
    """A tokenizer or a setting that MMLU cannot be answered with; the message says why."""


def letters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    batch_size: int = 8,
    max_length: int = MAX_LENGTH,
    cut: Literal["start", "end"] = "start",
) -> list[str]:
    """The answer to each prompt, in their order; the result does not depend on `batch_size`.

    Args:
        model: a causal language model that takes position_ids; adapters attached to it count.
        tokenizer: the model's; its padding side does not matter.
        prompts: each ends in "Answer:".
        batch_size: prompts of one forward.
        max_length: tokens of a prompt, the beginning-of-text token included; a longer prompt loses its last
            exemplars, as many as it must.
        cut: which end of a question loses tokens if it is too long alone: "start" keeps its options; "end" is
            what the released code does, which then reads the letter in the middle of a text.

    Raises:
        MmluError: the letters are not four different tokens, or a setting is out of range.
    """
    if batch_size < 1:
        raise MmluError(f"batch_size is {batch_size}; choose 1 or more")
    encoded = [
        encode(tokenizer, shortened(tokenizer, prompt, max_length), max_length, cut) for prompt in prompts
    ]
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))  # little padding, most memory first
    found: dict[int, str] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        answers = letters_of_tokens(model, tokenizer, [encoded[i] for i in batch])
        found.update(zip(batch, answers, strict=True))
    return [found[i] for i in range(len(encoded))]


def letters_of_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]]
) -> list[str]:
    """The answers to one batch of tokenised prompts, in one forward.

    Raises:
        MmluError: the letters are not four different tokens, or a prompt has no token.
    """
    tokens = letter_tokens(tokenizer)
    if not all(prompts):
        raise MmluError("a prompt has no token; every prompt needs one")
    logits = last_logits(model, prompts)[:, list(tokens)].float()
    return [LETTERS[int(i)] for i in logits.argmax(dim=1)]


@torch.no_grad()
def last_logits(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Tensor:
    """The logits at each prompt's last token: (B, vocabulary).

    Prompts are padded on the left, so that all end at the last position and no other logits need be computed;
    positions are counted from each prompt's own first token and the padding is masked.
    """
    longest = max(map(len, prompts))
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)  # token 0 fills up; the mask hides it
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    keep: dict[str, Any] = {"logits_to_keep": 1} if _keeps_logits(model) else {}
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    training = model.training
    model.eval()
    try:
        logits: Tensor = model(**inputs, **keep, use_cache=False).logits
    finally:
        model.train(training)
    return logits[:, -1]


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    max_length: int = MAX_LENGTH,
    cut: Literal["start", "end"] = "start",
) -> list[int]:
    """The beginning-of-text token, if the tokenizer has one, and the prompt's tokens, at most `max_length`.

    The beginning-of-text token is kept whichever end is cut.

    Raises:
        MmluError: `cut` is unknown, or `max_length` leaves no room for the prompt.
    """
    begin = [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]
    room = max_length - len(begin)
    if room < 1 or cut not in ("start", "end"):
        raise MmluError(f"max_length is {max_length} and cut {cut!r}; choose 2 or more, and start or end")
    tokens = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    return begin + (tokens[-room:] if cut == "start" else tokens[:room])


def shortened(tokenizer: PreTrainedTokenizerBase, prompt: str, max_length: int = MAX_LENGTH) -> str:
    """The prompt with as many exemplars as fit, as in Hendrycks et al. 2021; else the question alone."""
    room = max_length - (tokenizer.bos_token_id is not None)
    choices = list(with_fewer(prompt))
    lengths = (len(tokenizer(choice, add_special_tokens=False)["input_ids"]) for choice in choices)
    fitting = (choice for choice, length in zip(choices, lengths, strict=True) if length <= room)
    return next(fitting, choices[-1])


def letter_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The first token of each letter tokenised alone.

    Raises:
        MmluError: they are not four different ones.
    """
    found = tuple(int(tokenizer(letter, add_special_tokens=False)["input_ids"][0]) for letter in LETTERS)
    if len(set(found)) < len(LETTERS):
        raise MmluError(
            f"{', '.join(LETTERS)} begin with the tokens {found}, which do not tell them apart; use a "
            "tokenizer that has the letters in its vocabulary"
        )
    return found


def _keeps_logits(model: PreTrainedModel) -> bool:
    """Whether the last logits alone can be asked for; Llama's take 13 MB a hundred tokens in float32."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
