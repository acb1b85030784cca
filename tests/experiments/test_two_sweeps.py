"""Two sweeps at once, real processes on one results folder: each run is run once and each record is whole.

Without the lock of `experiments.claims` runs were made twice, and some broke on each other's checkpoints.
"""

import re
from pathlib import Path

import pytest
from small_world import make
from sweeping import EACH_ITS_OWN, TWO, outcomes, started, words

from experiments import pipeline
from experiments.composing import load

TASKS, SEEDS = ("cola", "stsb"), range(3)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What these runs give when each is run alone."""
    out = tmp_path_factory.mktemp("alone")
    plain = [word for word in words(world, out) if word != "-m"]
    for task in TASKS:
        for seed in SEEDS:
            pipeline.run(load([*plain, f"task={task}", f"seed={seed}"]))
    return outcomes(out / "runs")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], TWO),
        pytest.param(TWO, TWO, marks=pytest.mark.slow),
        pytest.param(TWO, EACH_ITS_OWN, marks=pytest.mark.slow),
        pytest.param(EACH_ITS_OWN, EACH_ITS_OWN, marks=pytest.mark.slow),
    ],
    ids=["basic and joblib", "joblib twice", "joblib and submitit", "submitit twice"],
)
def test_each_run_is_run_once(
    first: list[str], second: list[str], world: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    grid = [f"task={','.join(TASKS)}", f"seed={','.join(map(str, SEEDS))}"]
    plain = words(world, tmp_path, *grid, "paths.save_seconds=0")
    with (
        started(tmp_path / "1.log", *plain, *first) as one,
        started(tmp_path / "2.log", *plain, *second) as two,
    ):
        statuses = [one.ended(), two.ended()]
        made = one.told("success") + two.told("success")
    assert sorted(made) == sorted(undisturbed), one.said() + two.said()
    assert outcomes(tmp_path / "runs") == undisturbed
    for sweep, other, status in ((one, two, statuses[0]), (two, one, statuses[1])):
        busy = sweep.told("busy")
        assert status == (1 if busy else 0)
        assert {*busy} <= {*other.told("success")}, "what one leaves alone the other runs"
        assert len(re.findall(r"^busy .* process \d+ on ", sweep.said(), re.MULTILINE)) == len(busy)
        assert f"{len(busy)} runs belong to another process" in sweep.said() or not busy
