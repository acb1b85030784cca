"""Checks of a method, its options and its targets, before any model is there."""

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import vblora
from experiments import options
from experiments.config import MethodConfig, TargetsConfig
from experiments.methods import LIBRARIES, OWN, peft_class, peft_config

# Set by the pipeline, not in YAML: what is adapted, and that the head trains.
RESERVED = ("targets", "target_modules", "modules_to_save", "task_type", "inference_mode", "peft_type")

# Methods of PEFT that the pipeline would run as something else, or not at all.
UNSERVED = {
    "ADALORA": "moves its ranks in a call after every step, which this pipeline does not make",
    "ADAMSS": "chooses its subspaces in a call after every step, which this pipeline does not make",
    "POLY": "needs the number of a task in every batch",
    "SHADOW": "runs a second model beside the first, whose outputs this pipeline does not read",
    "TRAINABLE_TOKENS": "trains embeddings and adapts no linear layer",
    "XLORA": "mixes adapters that were trained before",
}


def problems(method: MethodConfig, targets: TargetsConfig) -> list[str]:
    """Everything that is wrong with a method and its targets, before any model is there."""
    if method.library not in LIBRARIES:
        return [options.unknown("method.library", method.library, LIBRARIES)]
    if method.library != "peft" and method.name not in LIBRARIES[method.library]:
        return [options.unknown("method.name", method.name, LIBRARIES[method.library])]
    return [*_target_problems(method, targets), *_option_problems(method)]


def _target_problems(method: MethodConfig, targets: TargetsConfig) -> list[str]:
    whole = (
        {"full": "full", "head": "none", "none": "none"}.get(method.name)
        if method.library == "none"
        else None
    )
    if whole is not None and targets.name != whole:
        return [f"targets: method {method.name} goes with targets={whole} only, not {targets.name}"]
    if whole is None and not targets.modules:
        return [
            f"targets: method {method.name} adapts layers; targets={targets.name} names none, try qv or all"
        ]
    return []


def _option_problems(method: MethodConfig) -> list[str]:
    place = "method.options"
    if method.library == "none":
        return (
            [f"{place}: method {method.name} has no options, so not {', '.join(method.options)}"]
            if method.options
            else []
        )
    if method.library == "peft" and str(method.options.get("peft_type")) not in PEFT_TYPE_TO_CONFIG_MAPPING:
        names = sorted(str(kind.value) for kind in PEFT_TYPE_TO_CONFIG_MAPPING)
        return [options.unknown(f"{place}.peft_type", method.options.get("peft_type"), names)]
    if reason := UNSERVED.get(str(method.options.get("peft_type"))) if method.library == "peft" else None:
        return [f"{place}.peft_type: {method.options['peft_type']} {reason}"]
    given = {name: value for name, value in method.options.items() if name != "peft_type"}
    kind = OWN[method.name] if method.library == "vblora" else peft_class(method)
    found = options.problems(place, given, kind, RESERVED)
    found += [f"{place}.r: {r} is too small; it is 1 or more" for r in [given.get("r", 1)] if _too_small(r)]
    return found or _refusal(place, method)


def _too_small(rank: object) -> bool:
    """PEFT looks at a rank only when the model is there."""
    return isinstance(rank, int) and rank < 1


def _refusal(place: str, method: MethodConfig) -> list[str]:
    """What the library itself says against the values."""
    try:
        if method.library == "vblora":
            config = OWN[method.name](targets=["query"], **method.options)
            config.check()
            _ = config.starting_bank() if isinstance(config, vblora.VBLoRAConfig) else None
        elif peft_config(method, ["query"]).is_prompt_learning:
            return [f"{place}.peft_type: {method.options['peft_type']} learns a prompt and adapts no layer"]
    except (ValueError, TypeError) as error:
        return [f"{place}: {error}"]
    return []
