"""What turns prompts into text: transformers, the LoRA authors' beam search, or vLLM.

An engine takes token ids and gives token ids; its answers do not depend on how prompts are batched, up to
rounding.
"""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from experiments.beam_search import beam_search
from experiments.config import GenerationConfig
from experiments.tasks.text import pad_token, tokens_of

Engine = Callable[[Sequence[Sequence[int]], int], list[list[int]]]
"""Prompts of one batch and the most new tokens, to the new tokens of each."""


class EngineError(RuntimeError):
    """An engine that cannot be used here; the message says why and what to do."""


def build(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    stops: Sequence[str] = (),
) -> Engine:
    """The configured engine.

    Args:
        model: what answers.
        tokenizer: its own.
        config: engine and decoding.
        stops: texts that end an answer; they stay in it, the task cuts them off.

    Raises:
        EngineError: vLLM is asked for and not installed.
    """
    if config.engine == "vllm":
        return _vllm(model, tokenizer, config, stops)
    if config.beam_search == "hu2021":
        return _hu2021(model, tokenizer, config, stops)
    return _transformers(model, tokenizer, config, stops)


def padded(prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts as one matrix, filled up on the left so that all end together, and the mask that hides it."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    mask = torch.arange(width) >= width - lengths[:, None]
    return ids.to(device), mask.long().to(device)


def _transformers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    stops: Sequence[str],
) -> Engine:
    """`generate`, greedy or with beams; nothing is sampled whatever the model's own settings say."""
    pad, end = pad_token(tokenizer), int(tokenizer.eos_token_id)
    options: dict[str, Any] = {
        **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None},
        **{"pad_token_id": pad, "eos_token_id": end, "use_cache": True},
        **{"num_beams": config.num_beams, "no_repeat_ngram_size": config.no_repeat_ngram_size},
    }
    if config.num_beams > 1:
        options["length_penalty"] = config.length_penalty

    generator: Any = model  # torch's modules have no annotation for it

    def generate(prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        ids, mask = padded(prompts, pad, model.device)
        with torch.inference_mode():
            enough = StoppingCriteriaList([Stops(tokenizer, stops, ids.shape[1])] if stops else [])
            out = generator.generate(
                ids, attention_mask=mask, max_new_tokens=most, stopping_criteria=enough, **options
            )
        return [_until(row, end) for row in out[:, ids.shape[1] :].tolist()]

    return generate


class Stops(StoppingCriteria):
    """Ends an answer whose last words hold a stop; transformers' own cannot read a word-level tokenizer.

    Args:
        tokenizer: decodes.
        stops: texts that end an answer.
        start: tokens of the prompts, in which stops mean nothing.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], start: int) -> None:
        self.tokenizer, self.stops, self.start = tokenizer, stops, start
        self.tail = max(map(len, stops)) + 1  # a token is a character or more, so no stop is longer

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Which rows have ended."""
        tails = self.tokenizer.batch_decode(input_ids[:, self.start :][:, -self.tail :])
        found = [any(stop in text for stop in self.stops) for text in tails]
        return torch.tensor(found, device=input_ids.device)


def _hu2021(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    stops: Sequence[str],
) -> Engine:
    """The LoRA authors' rules; a stop that is one token ends a beam as the end-of-text token does."""
    end = int(tokenizer.eos_token_id)
    pieces = [tokens_of(tokenizer, stop) for stop in stops]
    ends = [end, *(piece[0] for piece in pieces if len(piece) == 1)]

    def generate(prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        ids, mask = padded(prompts, pad_token(tokenizer), model.device)
        rows = beam_search(
            model,
            ids,
            mask,
            num_beams=config.num_beams,
            length_penalty=config.length_penalty,
            no_repeat_ngram_size=config.no_repeat_ngram_size,
            max_new_tokens=most,
            eos_token_ids=ends,
        )
        return [_until(row, end) for row in rows]

    return generate


def _vllm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    stops: Sequence[str],
) -> Engine:
    """Use vLLM on a copy of the model on disk, so the adapter must be merged; greedy only."""
    try:
        import vllm
    except ImportError as error:
        raise EngineError(
            "generation.engine=vllm needs vLLM: pip install vllm, or choose engine=transformers"
        ) from error
    with tempfile.TemporaryDirectory(prefix="vblora-vllm-") as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        server = vllm.LLM(model=folder, dtype=str(model.dtype).removeprefix("torch."))

    def generate(prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        settings = vllm.SamplingParams(temperature=0.0, top_p=1.0, max_tokens=most, stop=list(stops))
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        end = int(tokenizer.eos_token_id)
        return [
            _until(list(found.outputs[0].token_ids), end)
            for found in server.generate(asked, settings, use_tqdm=False)
        ]

    return generate


def _until(tokens: Sequence[int], end: int) -> list[int]:
    """The tokens before the end of text."""
    return list(tokens[: tokens.index(end)]) if end in tokens else list(tokens)
