"""Checks of what generated text brings: the kind of model, the settings of generation, 4 and 8 bits."""

import importlib.util
from collections.abc import Iterator

from experiments.config import Config
from experiments.families import is_generative
from experiments.recipe import DECODERS

# A tiny decoder's architecture, and what its layers are named like.
TINY_KINDS = {"gpt2": "gpt2", "llama": "decoder"}
# Settings of data that not every family reads, by the families that do; what has files reads more.
READ: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("num_train", "num_test"), ("e2e", "instruct", "math")),
    **dict.fromkeys(("source_max_length", "target_max_length", "num_turns"), ("instruct",)),
}
READ_FROM_FILES: dict[str, tuple[str, ...]] = {
    **{"held_out": ("instruct", "math"), "mmlu_shots": ("instruct",)},
    **{"train_set": ("math",), "text_form": ("e2e",)},
}


def problems(cfg: Config) -> list[str]:
    """Everything that is wrong with a language model's settings, or with such settings elsewhere."""
    found = [*_kind(cfg), *_quantization(cfg), *_unread(cfg)]
    if is_generative(cfg.task.family):
        return [*found, *_generation(cfg), *_training(cfg)]
    return [*found, *_without_text(cfg)]


def _kind(cfg: Config) -> Iterator[str]:
    """An encoder gives classes, a decoder text."""
    family, kind = cfg.task.family, cfg.model.kind
    if is_generative(family) == (kind == "encoder"):
        wanted = "a language model" if is_generative(family) else "an encoder"
        scales = f"{family}/tiny" if is_generative(family) else "tiny"
        yield (
            f"model: task {cfg.task.name} needs {wanted}, and {cfg.model.name} is of kind {kind}; choose "
            f"another model, or a scale such as {scales}, which chooses task, model and data together"
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


def _unread(cfg: Config) -> Iterator[str]:
    """Settings of data that nothing would read, and that would still make another run of this one."""
    for name, families in (READ | READ_FROM_FILES).items():
        idle = cfg.task.family not in families
        made_here = cfg.data.source == "synthetic" and name in READ_FROM_FILES
        if getattr(cfg.data, name) not in (None, []) and (idle or made_here):
            what = f"task {cfg.task.name}" if idle else "source synthetic"
            yield f"data.{name}: {what} has no use for it; leave it out"


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
    held_out = cfg.data.held_out or cfg.data.source == "synthetic" or cfg.task.family == "e2e"
    if how.epoch == "best" and not held_out:
        yield "generation.epoch: best is judged by held-out examples; set data.held_out, or choose last"
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
    if cfg.optim.label_smoothing is not None:
        yield f"optim.label_smoothing: task {cfg.task.name} has no use for it; leave it at null"
