"""Merging an adapter into the weights and taking it out, and loading one from disk: PEFT's beside ours.

To load is to read a saved adapter, put it on a model that holds another one already, and make it the active
one; the model and its first adapter are there before. Merging and unmerging leaves the model as it was, which
PEFT approaches by subtracting and we reach by keeping the old weights.
"""

import gc
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import vblora
from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.presets import SIDES, Case, Trained

CASES: Mapping[str, Case] = {
    "RoBERTa-base qv": Case(presets.BASE, presets.ROBERTA[:3:2]),
    "RoBERTa-large all": Case(presets.LARGE, presets.ROBERTA),
}
NAME = "other"  # of the adapter that comes and goes


def measure(rounds: int) -> dict[str, Any]:
    """Both measurements of every case."""
    return {title: case for name, chosen in CASES.items() for title, case in both(name, chosen, rounds)}


def both(title: str, case: Case, rounds: int) -> list[tuple[str, dict[str, Any]]]:
    """Merging and loading of one case's adapters."""
    base = presets.built(case)
    merging = {side: Side(_merging(Trained(case, side, presets.built(case))), 1) for side in SIDES[:3]}
    found = [(f"{title}: merge and unmerge", {"unit": "times", "sides": alternate(merging, rounds)})]
    del merging
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        loading = {}
        for side in SIDES[:3]:
            trained = Trained(case, side, base)
            loading[side] = Side(_loading(trained, Path(folder) / side.replace(" ", "-")), 1)
        found.append((f"{title}: load", {"unit": "adapters", "sides": alternate(loading, rounds)}))
    return found


def _merging(trained: Trained) -> Callable[[], None]:
    trained.step()  # so that it changes something
    model: Any = trained.model.eval()

    def ours() -> None:
        vblora.merge(model)
        vblora.unmerge(model)

    def theirs() -> None:
        model.merge_adapter()
        model.unmerge_adapter()

    return ours if trained.side == "vblora" else theirs


def _loading(trained: Trained, folder: Path) -> Callable[[], None]:
    trained.step()
    model: Any = trained.model.eval()

    def ours() -> None:
        vblora.load(model, folder, NAME)
        vblora.detach(model, NAME)

    def theirs() -> None:
        model.load_adapter(folder, NAME)
        model.set_adapter(NAME)
        model.delete_adapter(NAME)

    with torch.no_grad():
        if trained.side == "vblora":
            vblora.save(model, folder, kind="topk")
            return ours
        model.save_pretrained(folder)
    return theirs
