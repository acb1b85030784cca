"""Answers to meaning representations of E2E's test set, in batches and one by one.

    one by one, no cache   the whole text is computed again for every token
    one by one             with a cache of keys and values
    batches                with a cache, in the test set's order
    sorted batches         with a cache, prompts of similar length together: what `experiments` does

Once greedily, once by the LoRA authors' beam search with 10 beams. How many texts differ from those of the
first side is said: sums of other shapes round otherwise.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.alternating import Side, alternate
from experiments import engines
from experiments.config import DataConfig, GenerationConfig
from experiments.engines import Engine
from experiments.tasks.e2e import E2ETask

Answer = Callable[[], list[list[int]]]
GREEDY = GenerationConfig(num_beams=1, max_new_tokens=64, batch_size=16)
BEAMS = GenerationConfig(
    beam_search="hu2021",
    num_beams=10,
    length_penalty=0.8,
    no_repeat_ngram_size=4,
    max_new_tokens=64,
    batch_size=16,
)
WAYS = {"greedy": GREEDY, "10 beams": BEAMS}


def measure(model_folder: Path, data: Path, rounds: int, num_prompts: int) -> dict[str, Any]:
    """The two ways of decoding, each with its sides, on a random sample of the test set."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder).eval()
    prompts = _prompts(tokenizer, data / "e2e", num_prompts)
    return {name: case(model, tokenizer, prompts, config, rounds) for name, config in WAYS.items()}


def _prompts(tokenizer: PreTrainedTokenizerBase, root: Path, number: int) -> list[list[int]]:
    """A random sample of the test set's."""
    task = E2ETask("e2e", DataConfig(source="local", root=str(root), max_length=512, text_form="plain"))
    examples = task.data().splits["test"]
    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[:number]
    return [task.prompt(tokenizer, examples[i]) for i in chosen.tolist()]


def case(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    config: GenerationConfig,
    rounds: int,
) -> dict[str, Any]:
    """One way of decoding, with and without batches; prompts are taken as they stand and sorted."""
    engine, size = engines.build(model, tokenizer, config), config.batch_size
    places = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    in_order = [prompts[i] for i in places]
    sides: dict[str, Answer] = {}
    if config.num_beams == 1:
        sides["one by one, no cache"] = lambda: [_without_cache(model, prompt, config) for prompt in prompts]
    sides["one by one"] = lambda: _in_batches(engine, prompts, 1, config)
    sides["batches"] = lambda: _in_batches(engine, prompts, size, config)
    sides["sorted batches"] = lambda: _in_batches(engine, in_order, size, config)
    found = {name: answer() for name, answer in sides.items()}
    found["sorted batches"] = [row for _, row in sorted(zip(places, found["sorted batches"], strict=True))]
    first = next(iter(found.values()))
    differ = {name: sum(a != b for a, b in zip(first, rows, strict=True)) for name, rows in found.items()}
    return {
        "unit": "answers",
        "facts": {name: {"other texts": number} for name, number in differ.items()},
        "sides": alternate({n: Side(run, len(prompts)) for n, run in sides.items()}, rounds, warm_up=False),
    }


def _in_batches(
    engine: Engine, prompts: Sequence[list[int]], size: int, config: GenerationConfig
) -> list[list[int]]:
    starts = range(0, len(prompts), size)
    return [row for start in starts for row in engine(prompts[start : start + size], config.max_new_tokens)]


@torch.inference_mode()
def _without_cache(model: PreTrainedModel, prompt: list[int], config: GenerationConfig) -> list[int]:
    """Greedy, each token from the whole text."""
    tokens, end = list(prompt), model.config.eos_token_id
    for _ in range(config.max_new_tokens):
        logits = model(torch.tensor([tokens]), use_cache=False, logits_to_keep=1).logits
        tokens.append(int(logits[0, -1].argmax()))
        if tokens[-1] == end:
            return tokens[len(prompt) : -1]
    return tokens[len(prompt) :]
