"""Short runs of the tiny language models, for tests of wiring."""

from pathlib import Path


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
