"""A run that is killed and started again ends as one that never was, bit for bit.

Each of these made tests here fail: a checkpoint between an epoch's last step and its evaluation; no random
states in the checkpoint.
"""

import random
import time
from pathlib import Path

import pytest
from killing import POINTS, finish, start

# A correlation moves with every bit of every output, so an equal history means equal training.
EVERY_STEP = {"task": "stsb", "save_seconds": 0.0, "data": {"standardise_targets": True}}
NUM_RANDOM_KILLS = 24


def without_resumes(outcome: dict) -> dict:
    return {name: value for name, value in outcome.items() if name != "num_resumes"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict:
    outcome = finish(tmp_path_factory.mktemp("unbroken") / "run", **EVERY_STEP)
    assert outcome["num_resumes"] == 0
    assert outcome["num_steps"] == 21
    return without_resumes(outcome)


@pytest.mark.parametrize("point", POINTS)
def test_run_killed_at_a_point_ends_as_if_never_killed(point: str, unbroken: dict, tmp_path: Path) -> None:
    # The 10th call lies inside the second epoch; evaluations are fewer, and training ends once.
    call = {"in an evaluation": 2, "after an evaluation, before its checkpoint": 2}.get(point, 10)
    if point == "after training, before the record":
        call = 22  # once a checkpoint, and once when training is over
    process = start(tmp_path / "run", point, call, **EVERY_STEP)
    process.join(120)
    assert process.exitcode == -9
    outcome = finish(tmp_path / "run", **EVERY_STEP)
    assert outcome["num_resumes"] == 1
    assert without_resumes(outcome) == unbroken


def test_checkpoints_do_not_change_the_result(unbroken: dict, tmp_path: Path) -> None:
    assert without_resumes(finish(tmp_path / "run", **{**EVERY_STEP, "save_seconds": 1e9})) == unbroken


def kill_at_random_times(
    folder: Path, kills: int, seed: int, longest: float, **settings: object
) -> tuple[dict, int]:
    """Kill the run at random times, so often, then let it end; its outcome and the kills that hit."""
    generator = random.Random(seed)
    for hits in range(kills):
        process = start(folder, **settings)
        time.sleep(generator.uniform(0.0, longest))
        process.kill()
        process.join()
        if process.exitcode == 0:
            return finish(folder, **settings), hits
    return finish(folder, **settings), kills


def test_run_killed_at_three_random_times_ends_as_if_never_killed(unbroken: dict, tmp_path: Path) -> None:
    outcome, _ = kill_at_random_times(tmp_path / "run", 3, 0, 0.6, **EVERY_STEP)
    assert without_resumes(outcome) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cola", "stsb"])
@pytest.mark.parametrize("accumulate", [None, 4])
def test_many_random_kills(task: str, accumulate: int | None, tmp_path: Path) -> None:
    settings = {"task": task, "micro_batch_size": accumulate, "num_train": 200, "save_seconds": 0.0}
    begin = time.perf_counter()
    expected = without_resumes(finish(tmp_path / "whole", **settings))
    seconds = time.perf_counter() - begin
    hits = resumes = trial = 0
    while hits < NUM_RANDOM_KILLS:
        place, left = tmp_path / f"run{trial}", NUM_RANDOM_KILLS - hits
        outcome, more = kill_at_random_times(place, left, trial, seconds / 2, **settings)
        assert without_resumes(outcome) == expected
        hits, resumes, trial = hits + more, resumes + outcome["num_resumes"], trial + 1
    assert resumes  # some hit after the first checkpoint
