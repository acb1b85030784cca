"""Checks of what generated text brings: the kind of model, the settings of generation, 4 and 8 bits."""

import importlib.util
from collections.abc import Iterator

from experiments.config import Config
from experiments.families import is_generative
from experiments.recipe import DECODERS

TINY_KINDS = {
    "gpt2": "gpt2",
    "llama": "decoder",
}  # a tiny decoder's architecture, and the names of its layers


def problems(cfg: Config) -> list[str]:
    """Everything that is wrong with a language model's settings, or with such settings elsewhere."""
    found = [*_kind(cfg), *_quantization(cfg)]
    if is_generative(cfg.task.family):
        return [*found, *_generation(cfg), *_training(cfg)]
    return [*found, *_without_text(cfg)]


def _kind(cfg: Config) -> Iterator[str]:
    """An encoder gives classes, a decoder text."""
    family, kind = cfg.task.family, cfg.model.kind
    if is_generative(family) == (kind == "encoder"):
        wanted = "a language model" if is_generative(family) else "an encoder"
        scales = f"{family}/{cfg.scale.name}" if is_generative(family) else cfg.scale.name
        yield (
            f"model: task {cfg.task.name} needs {wanted}, and {cfg.model.name} is of kind {kind}; choose "
            f"another model, or scale={scales}, which chooses task, model and data together"
        )
    elif cfg.model.source in ("tiny", "scratch") and family in DECODERS:
        own = TINY_KINDS[DECODERS[family].architecture]
        if kind != own:
            yield f"model: {family}'s tiny backbone is of kind {own}, not {kind}; choose scale={family}/tiny"


def _quantization(cfg: Config) -> Iterator[str]:
    bits = cfg.model.quantization
    if bits is None:
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        yield "model.quantization: bitsandbytes is not installed; `pip install bitsandbytes`, or give null"
    if cfg.method.name == "full":
        yield f"model.quantization: {bits} weights cannot be trained; full fine-tuning needs null"
    if cfg.model.source == "scratch":
        yield f"model.quantization: only loaded weights can be stored as {bits}; give null"
    if not is_generative(cfg.task.family):
        yield f"model.quantization: {bits} is offered for language models; give null"


def _generation(cfg: Config) -> Iterator[str]:
    how = cfg.generation
    if how.engine == "vllm":
        if importlib.util.find_spec("vllm") is None:
            yield "generation.engine: vllm is not installed; `pip install vllm`, or choose transformers"
        if how.num_beams > 1 or how.beam_search != "transformers":
            yield "generation.engine: vllm answers greedily here; beams need engine transformers"
        if not how.merge and cfg.method.library != "none":
            yield "generation.engine: vllm runs a plain model; set generation.merge=true"
    if how.beam_search == "hu2021" and how.num_beams == 1:
        yield "generation.num_beams: hu2021 has 2 or more; greedy is beam_search=transformers"
    for group, most in how.max_new_tokens_of.items():
        if most < 1:
            yield f"generation.max_new_tokens_of.{group}: {most} is out of range; it is 1 or more"


def _training(cfg: Config) -> Iterator[str]:
    smoothing = cfg.optim.label_smoothing
    if smoothing is not None and not 0 <= smoothing < 1:
        yield f"optim.label_smoothing: {smoothing} is outside 0 <= ε < 1"
    if cfg.method.name == "head":
        yield "method: a language model has no head to train alone; method=none leaves it as it is"
    if cfg.data.num_turns not in (None, 1, 2):
        yield f"data.num_turns: {cfg.data.num_turns}; MT-Bench has 1 or 2"
    if any(shots not in (0, 5) for shots in cfg.data.mmlu_shots):
        yield f"data.mmlu_shots: {list(cfg.data.mmlu_shots)}; MMLU is asked with 0 or 5 exemplars"


def _without_text(cfg: Config) -> Iterator[str]:
    """Settings that only text has, and that nothing would read."""
    if cfg.method.name == "none":
        yield f"method: none trains nothing, and task {cfg.task.name} has a fresh head; choose method=head"
    text = {
        "optim.label_smoothing": cfg.optim.label_smoothing,
        "data.source_max_length": cfg.data.source_max_length,
        "data.target_max_length": cfg.data.target_max_length,
        "data.held_out": cfg.data.held_out,
        "data.train_set": cfg.data.train_set,
        "data.text_form": cfg.data.text_form,
        "data.num_turns": cfg.data.num_turns,
    }
    for place, value in text.items():
        if value is not None:
            yield f"{place}: task {cfg.task.name} has no use for it; leave it at null"
