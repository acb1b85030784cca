"""A language model of a family, hardly pretrained, so that whole runs take seconds; for tests of wiring."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments import recipe

STEPS, TEXTS = 4, 64


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tiny decoders be made in a second."""
    for world, found in recipe.DECODERS.items():
        small = replace(found, num_steps=STEPS, num_texts=TEXTS, width=64, num_layers=1, num_heads=2)
        monkeypatch.setitem(recipe.DECODERS, world, small)


def overrides(family: str, folder: Path, *words: str) -> list[str]:
    """Words of a run at tiny scale that takes few steps and answers few questions."""
    few = [
        "optim.epochs=1",
        "optim.batch_size=32",
        "data.num_train=64",
        "data.num_test=6",
        "generation.max_new_tokens=8",
    ]
    limits = ["generation.max_new_tokens_of={}"] if family == "math" else []
    places = [f"paths.results={folder}/results", f"paths.cache={folder}/cache", "tracker=none"]
    return [f"scale={family}/tiny", *few, *limits, *places, "variant=small", *words]
