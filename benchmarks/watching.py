"""What it costs to record which bank vectors are selected: training steps with and without the recorder."""

from collections.abc import Callable
from typing import Any

from benchmarks import presets
from benchmarks.alternating import Side, alternate
from benchmarks.presets import CASES, Case, Trained
from vblora import VBLoRA
from vblora.footprint import Recorder

TITLES = ("RoBERTa-base qv", "RoBERTa-base all, h 2048, 4 x 16 tokens")
SMALLEST = "RoBERTa, 2 layers, all"  # where a step is short, and anything added to it shows most
STEPS = 1000  # of the training that is recorded; its periods are those of a real one


def measure(rounds: int) -> dict[str, Any]:
    """The preset `tiny`'s case and two of `small`'s; steps that are short are counted by the dozen."""
    cases = {SMALLEST: (CASES["tiny"][SMALLEST], 24)} | {
        title: (CASES["small"][title], 1) for title in TITLES
    }
    return {title: case(chosen, number, rounds) for title, (chosen, number) in cases.items()}


def case(chosen: Case, number: int, rounds: int) -> dict[str, Any]:
    """Time of both sides, `number` steps a round, on one model and adapter."""
    trained = Trained(chosen, "vblora", presets.built(chosen))
    adapter = next(module for module in trained.model.modules() if isinstance(module, VBLoRA))
    recorder = Recorder(adapter, STEPS)
    sides = {"not recorded": _steps(trained, number), "recorded": _recorded(trained, recorder, number)}
    timed = alternate({name: Side(run, number) for name, run in sides.items()}, rounds)
    return {"unit": "steps", "facts": {name: {} for name in sides}, "sides": timed}


def _steps(trained: Trained, number: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(number):
            trained.step()

    return run


def _recorded(trained: Trained, recorder: Recorder, number: int) -> Callable[[], None]:
    def run() -> None:
        with recorder:
            for step in range(number):
                recorder.begin(step)
                trained.step()

    return run
