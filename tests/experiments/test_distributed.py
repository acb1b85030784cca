"""One run by two processes: the result of one process within rounding, one record; killed and continued."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import several
import small_world
import text_world

from experiments import distributed, pipeline, progress
from experiments.batches import IDLE, EpochSampler, Share
from experiments.composing import load
from experiments.config import ConfigError
from experiments.distributed import LaunchError
from experiments.progress import Outcome
from experiments.records import RunRecord, read
from experiments.trainer import noise_seed

BARE: dict[str, Any] = {"dropout": 0.0, "save_seconds": 0.0}
CASES: dict[str, dict[str, Any]] = {
    "classes": {"num_train": 50},
    "a number, one process idle": {"task": "stsb", "num_train": 49},
    "several forwards a step": {"num_train": 53, "micro_batch_size": 2},
}


def trained(
    folder: Path,
    size: int = 2,
    killed: int | None = None,
    point: str | None = None,
    call: int = 1,
    **settings: Any,
) -> list[int]:
    """Exit codes of the processes that train the small model, of which one may be killed at a point."""
    return several.end(several.start(size, several.train, str(folder), killed, point, call, settings))


# Mutations that this finds: `Share` without its rank, idle examples that are learned from, a loss that is
# divided by one process's own count, gradients that are not averaged.
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_result_of_one(case: str, tmp_path: Path) -> None:
    settings = {**BARE, **CASES[case]}
    assert trained(tmp_path / "alone", 1, **settings) == [0]
    assert trained(tmp_path / "two", **settings) == [0, 0]
    ((alone, logged),) = several.outcomes(tmp_path / "alone", 1)
    (first, of_first), (second, of_second) = several.outcomes(tmp_path / "two")
    assert (first, of_first) == (second, of_second)
    np.testing.assert_allclose(of_first, logged, rtol=1e-3)  # losses and norms of the gradients
    assert first["num_steps"] == alone["num_steps"] and len(logged) > 10
    ours, expected = (np.array([row["scores"] for row in found["answers"]]) for found in (first, alone))
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    assert np.ptp(expected) > 0.02, "it would pass with anything"


# Mutation that this finds: the second process's noise drawn from where its generator happens to be.
@pytest.mark.parametrize(("killed", "point"), [(0, "between manifest and rename"), (1, "before a step")])
def test_killed_process_costs_nothing(killed: int, point: str, tmp_path: Path) -> None:
    settings = {"save_seconds": 0.0, "epochs": 2}
    assert trained(tmp_path / "unbroken", **settings) == [0, 0]
    codes = trained(tmp_path / "killed", 2, killed, point, 4, **settings)
    assert all(codes), "the other one ends too"
    assert trained(tmp_path / "killed", **settings) == [0, 0]
    unbroken, found = (several.outcomes(tmp_path / name)[0][0] for name in ("unbroken", "killed"))
    assert found.pop("num_resumes") == 1 and unbroken.pop("num_resumes") == 0
    assert found == unbroken


@pytest.mark.parametrize(("before", "after"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow)])
def test_another_number_of_processes_goes_on_from_the_checkpoint(
    before: int, after: int, tmp_path: Path
) -> None:
    assert trained(tmp_path / "unbroken", 1, **BARE) == [0]
    assert all(trained(tmp_path / "run", before, 0, "in an evaluation", 1, **BARE))
    assert trained(tmp_path / "run", after, **BARE) == [0] * after
    ((expected, _),) = several.outcomes(tmp_path / "unbroken", 1)
    found, _ = several.outcomes(tmp_path / "run", 1)[0]
    assert found["num_resumes"] == 1 and found["num_steps"] == expected["num_steps"]
    for row, wanted in zip(found["answers"], expected["answers"], strict=True):
        assert row["scores"] == pytest.approx(wanted["scores"], abs=2e-5)


def test_noise_differs_by_process_and_step_and_can_be_had_again() -> None:
    seeds = [noise_seed(1, rank, step) for rank in range(4) for step in range(50)]
    assert len({*seeds}) == len(seeds)
    assert seeds == [noise_seed(1, rank, step) for rank in range(4) for step in range(50)]


@pytest.mark.parametrize("size", [2, 3, 8])
def test_shares_are_disjoint_equally_many_and_all(size: int) -> None:
    whole = EpochSampler(np.arange(1, 51), 24, seed=3, group=True)
    shares = [list(Share(whole, 24 // size, rank, size)) for rank in range(size)]
    assert {len(share) for share in shares} == {len(Share(whole, 24 // size, 0, size))} == {3}
    steps = [sorted(row for share in shares for row in share[i] if row != IDLE) for i in range(3)]
    order = whole.order(0)
    assert steps == [sorted(order[i : i + 24].tolist()) for i in range(0, 50, 24)]
    assert sum(batch == [IDLE] for share in shares for batch in share) == max(0, size - 2)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Words of a small run of a language model: 33 examples, 32 a step, so one process idles."""

    def of(name: str, *more: str) -> list[str]:
        asked = ("data.num_train=33", "optim.epochs=2", f"paths.cache={tmp_path}/cache/{name}", *more)
        return text_world.overrides("math", tmp_path / name, *asked)

    return of


@pytest.mark.parametrize("row", ["vblora_all", "full"])
def test_language_model_answers_as_after_one_process_also_sharded(
    row: str, words: Callable[..., list[str]]
) -> None:
    asked = [f"row={row}", "generation.epoch=best"]
    one = pipeline.run(load(words("one", *asked)))
    two, sharded = both(words("two", *asked)), both(words("sharded", *asked, "model.sharded=true"))
    assert [record.circumstances["num_processes"] for record in (one, two, sharded)] == [1, 2, 2]
    for found in (two, sharded):
        assert found.outcome and one.outcome and found.hash == one.hash
        same = ("answers_sha256", "model_fingerprint", "trainable_params", "num_steps", "best_epoch")
        assert [found.outcome[name] for name in same] == [one.outcome[name] for name in same]
        assert found.outcome["last_scores"] == pytest.approx(one.outcome["last_scores"], rel=1e-6)


# Mutation that this finds: a checkpoint of parameters that FSDP2 keeps whole after an evaluation.
@pytest.mark.parametrize("sharded_before", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_full_fine_tuning_in_parts_goes_on_where_it_was_killed(
    sharded_before: str, words: Callable[..., list[str]]
) -> None:
    asked = ["row=full", "generation.epoch=best", "paths.save_seconds=0"]
    unbroken = both(words("unbroken", *asked, "model.sharded=true"))
    start = words("killed", *asked, f"model.sharded={sharded_before}")
    assert all(several.end(several.start(2, several.run_small, start, "between manifest and rename", 3)))
    found = both(words("killed", *asked, "model.sharded=true"))
    assert found.circumstances["num_resumes"] == 1
    assert found.outcome and unbroken.outcome
    if sharded_before == "true":
        assert found.outcome == unbroken.outcome
    assert found.outcome["last_scores"] == pytest.approx(unbroken.outcome["last_scores"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["lora_all", "lora_xs_all"])
def test_other_adapters_train_on_a_sharded_model(row: str, words: Callable[..., list[str]]) -> None:
    one = pipeline.run(load(words("one", f"row={row}")))
    sharded = both(words("sharded", f"row={row}", "model.sharded=true"))
    assert sharded.outcome and one.outcome
    assert sharded.outcome["last_scores"] == pytest.approx(one.outcome["last_scores"], rel=1e-5)


def both(asked: list[str]) -> RunRecord:
    """A whole run by two processes; the one record that it leaves."""
    assert several.end(several.start(2, several.run_small, asked)) == [0, 0]
    (folder,) = (word.partition("=")[2] for word in asked if word.startswith("paths.results="))
    (path,) = Path(folder).rglob("seed0.json")
    return read(path)


def test_failure_of_another_than_the_first_is_told_with_its_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "LINGER", 0.0)
    monkeypatch.setattr(progress, "display", progress.Display())
    progress.follow(Outcome("glue/cola/x/full-full/seed0", "success"))
    assert capsys.readouterr() == ("", "") and not progress.display.failures()
    progress.follow(Outcome("glue/cola/x/full-full/seed0", "failed", "out of memory"))
    assert capsys.readouterr().err == "process 3 of 4: failed  glue/cola/x/full-full/seed0  out of memory\n"
    assert progress.display.failures()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but 1 found each other"),
        ({"ACCELERATE_USE_FSDP": "true"}, "ACCELERATE_USE_FSDP is set"),
    ],
)
def test_processes_that_do_not_find_each_other_are_refused(
    told: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "accelerate.PartialState", lambda **_: SimpleNamespace(num_processes=1, process_index=0)
    )
    with pytest.raises(LaunchError, match=problem), distributed.joined():
        raise AssertionError("it would train a part of each batch")


def test_failed_run_leaves_the_group_to_the_end_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To take it down in order, a process would wait for others that wait for this one."""
    left: list[str] = []
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "_join", lambda: distributed._set_parted(False))
    monkeypatch.setattr(distributed, "agreed", lambda value: value)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: left.append("in order"))
    monkeypatch.setattr(pipeline, "work", lambda cfg: 1 / 0)
    record, made = pipeline.attempt(load(small_world.overrides(small_world.make(tmp_path), tmp_path)))
    assert made and record.status == "failed" and left == []


@pytest.mark.slow
def test_command_under_torchrun_leaves_one_record_and_then_skips(tmp_path: Path) -> None:
    world = small_world.make(tmp_path)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*run, "-m", "experiments.run", *small_world.overrides(world, tmp_path)]
    for status in ("success", "skipped"):
        told = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert told.returncode == 0, told.stderr
        (line,) = (line for line in told.stdout.splitlines() if "seed0.json" in line)
        assert line.startswith(f"{status} ")
    assert len(list(tmp_path.rglob("seed0.json"))) == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["optim.batch_size=33"], "optim.batch_size: 33 examples cannot be shared by 2 processes alike"),
        (["optim.micro_batch_size=8", "optim.batch_size=24"], "does not divide the 12 examples of a process"),
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
