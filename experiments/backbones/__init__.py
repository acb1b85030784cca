"""The small pretrained models of scale tiny: they ship with the repository, and can be made anew.

    folder("math")                  experiments/backbones/math
    made("math", seed=3, cache)     the same by the same recipe from another seed, pretrained here, once

A folder holds what transformers writes, with weights in float16, and `recipe.json`: the recipe that made it,
its key, the torch that ran it, and the weights' SHA-256. `python -m experiments.backbones` writes the
shipped ones anew.
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from experiments.recipe import DECODERS, DecoderRecipe, Recipe

FAMILIES = ("glue", *DECODERS)
"""One backbone for each."""
RECIPE_FILE = "recipe.json"


def folder(family: str) -> Path:
    """The shipped backbone of a family, a folder that `AutoModel` and `AutoTokenizer` load.

    Raises:
        KeyError: there is no such family.
    """
    if family not in FAMILIES:
        raise KeyError(f"no tiny backbone of family {family!r}; choose from {', '.join(FAMILIES)}")
    return Path(__file__).parent / family


def recipe(family: str, seed: int | None = None) -> Recipe | DecoderRecipe:
    """What the family's backbone is made by, from its own seed or from another."""
    found = DECODERS[family] if family in DECODERS else Recipe()
    return found if seed is None else replace(found, seed=seed)


def made(family: str, seed: int | None, cache: Path) -> Path:
    """A backbone pretrained on this machine; made if it is not there yet.

    Args:
        family: one of `FAMILIES`.
        seed: of text, first weights and batches; None for the recipe's own.
        cache: folder that holds it, under `backbones/`.
    """
    from experiments import decoder_pretraining, pretraining  # here, as they import torch

    wanted = recipe(family, seed)
    if isinstance(wanted, Recipe):
        return pretraining.tiny_backbone(cache, wanted)
    return decoder_pretraining.tiny_decoder(cache, wanted)


def write_recipe(family: str, target: Path, torch_version: str) -> None:
    """Leave in a folder what made it."""
    wanted = recipe(family)
    weights = hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest()
    content = {
        **{"recipe": asdict(wanted), "key": wanted.key()},
        **{"torch": torch_version, "weights_sha256": weights},
    }
    (target / RECIPE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
