"""One run by two processes: the result of one process within rounding, one record; killed and continued."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import several
import text_world
import training_world as world
from killing import finish

from experiments import pipeline
from experiments.batches import IDLE, EpochSampler, Share
from experiments.composing import load
from experiments.config import ConfigError
from experiments.records import RunRecord, read

BARE: dict[str, Any] = {"dropout": 0.0, "save_seconds": 0.0}
CASES: dict[str, dict[str, Any]] = {
    "classes": {"num_train": 50},
    "a number, one process idle": {"task": "stsb", "num_train": 49},
    "several forwards a step": {"num_train": 53, "micro_batch_size": 2},
}


def together(
    folder: Path, killed: int | None = None, point: str | None = None, call: int = 1, **settings: Any
) -> list[int]:
    """Exit codes of two processes that train the small model, of which one may be killed at a point."""
    processes = several.start(2, several.train, str(folder), killed, point, call, settings)
    return several.end(processes)


# Mutations that this finds: `Share` without its rank, idle examples that are learned from, a loss that is
# divided by one process's own count.
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_result_of_one(case: str, tmp_path: Path) -> None:
    settings = {**BARE, **CASES[case]}
    alone = finish(tmp_path / "alone", **settings)
    assert together(tmp_path / "two", **settings) == [0, 0]
    first, second = several.outcomes(tmp_path / "two")
    for name in ("history", "scores", "answers", "num_steps"):
        assert first[name] == second[name]
    assert first["num_steps"] == alone["num_steps"]
    ours, expected = (np.array([row["scores"] for row in found["answers"]]) for found in (first, alone))
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    assert np.ptp(expected) > 0.02, "it would pass with anything"


# Mutation that this finds: the second process's noise drawn from where its generator happens to be.
@pytest.mark.parametrize(("killed", "point"), [(0, "between manifest and rename"), (1, "before a step")])
def test_killed_process_costs_nothing(killed: int, point: str, tmp_path: Path) -> None:
    settings = {"save_seconds": 0.0, "epochs": 2}
    assert together(tmp_path / "unbroken", **settings) == [0, 0]
    codes = together(tmp_path / "killed", killed, point, 4, **settings)
    assert all(codes), "the other one ends too"
    assert together(tmp_path / "killed", **settings) == [0, 0]
    unbroken, found = (several.outcomes(tmp_path / name)[0] for name in ("unbroken", "killed"))
    assert found.pop("num_resumes") == 1 and unbroken.pop("num_resumes") == 0
    assert found == unbroken


def test_checkpoint_of_another_number_of_processes_is_not_used(tmp_path: Path) -> None:
    together(tmp_path / "run", 0, "in an evaluation", 1, **BARE)
    with pytest.warns(UserWarning, match="belongs to other settings"):
        assert world.run(tmp_path / "run", dropout=0.0).num_resumes == 0


@pytest.mark.parametrize("size", [2, 3, 8])
def test_shares_are_disjoint_equally_many_and_all(size: int) -> None:
    whole = EpochSampler(np.arange(1, 51), 24, seed=3, group=True)
    shares = [list(Share(whole, 24 // size, rank, size)) for rank in range(size)]
    assert {len(share) for share in shares} == {len(Share(whole, 24 // size, 0, size))} == {3}
    steps = [sorted(row for share in shares for row in share[i] if row != IDLE) for i in range(3)]
    order = whole.order(0)
    assert steps == [sorted(order[i : i + 24].tolist()) for i in range(0, 50, 24)]
    assert sum(batch == [IDLE] for share in shares for batch in share) == max(0, size - 2)


def test_language_model_answers_as_after_one_process_also_sharded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """33 examples in steps of 32: in the last step the second process has none."""
    text_world.shrink(monkeypatch)

    def words(name: str, *more: str) -> list[str]:
        asked = ("row=vblora_all", "data.num_train=33", f"paths.cache={tmp_path}/cache", *more)
        return text_world.overrides("math", tmp_path / name, *asked)

    one = pipeline.run(load(words("one")))
    two, sharded = (both(words("two")), both(words("sharded", "model.sharded=true")))
    assert [record.circumstances["num_processes"] for record in (one, two, sharded)] == [1, 2, 2]
    for found in (two, sharded):
        assert found.outcome and one.outcome and found.hash == one.hash
        same = ("answers_sha256", "model_fingerprint", "trainable_params", "num_steps")
        assert [found.outcome[name] for name in same] == [one.outcome[name] for name in same]
        assert found.outcome["last_scores"] == pytest.approx(one.outcome["last_scores"], rel=1e-6)


def both(words: list[str]) -> RunRecord:
    """A whole run by two processes; the one record that it leaves."""
    assert several.end(several.start(2, several.run_small, words)) == [0, 0]
    (folder,) = (word.partition("=")[2] for word in words if word.startswith("paths.results="))
    (path,) = Path(folder).rglob("seed0.json")
    return read(path)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["optim.batch_size=33"], "optim.batch_size: 33 examples cannot be shared by 2 processes alike"),
        (["optim.micro_batch_size=8", "optim.batch_size=24"], "does not divide the 12 examples of a process"),
        (["model.sharded=true", "row=full"], "only for a method that leaves the backbone frozen"),
        (["model.sharded=true", "model.quantization=nf4"], "only for a decoder whose weights are loaded"),
    ],
)
def test_what_several_processes_cannot_run_is_told_first(
    words: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=re.escape(problem)):
        load(["scale=math/tiny", *words])


def test_one_process_shards_nothing() -> None:
    with pytest.raises(ConfigError, match="model.sharded: needs several processes: torchrun"):
        load(["scale=math/tiny", "model.sharded=true"])
