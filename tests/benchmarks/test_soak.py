"""A sweep that is killed ends as one that was left alone.

Runs that went on without their trained tensors (no `put_back` in `GroupTrainer`) made this fail.
"""

import itertools
import json
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.processes import Group
from benchmarks.soak import Killer, Sweep
from experiments import pipeline
from experiments.composing import load

SAME = {"outcomes that differ": 0, "files that differ": 0, "tables that differ": 0}


def in_this_process(sweep: Sweep) -> dict[str, float]:
    """The runs one after another, without the seconds that workers need to start."""
    for values in itertools.product(*sweep.axes.values()):
        run = [f"{axis}={value}" for axis, value in zip(sweep.axes, values, strict=True)]
        pipeline.run(load([*sweep.settings, *run]))
    sweep.log.touch()
    return soak.found(sweep)


class Once(Killer):
    """Kills a worker, then leaves the sweep alone."""

    def kill(self, sweep: Sweep, group: Group) -> bool:
        return not self.counts and super().kill(sweep, group)


@pytest.mark.slow
def test_sweep_that_lost_a_worker_ends_as_one_that_was_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Runs of some seconds, so that the kill, at most one second after a checkpoint, falls into them.
    longer = ("optim.epochs=20", *(word for word in soak.SHORT if not word.startswith("optim.epochs=")))
    monkeypatch.setattr(soak, "SHORT", longer)
    monkeypatch.setattr(soak, "undisturbed", in_this_process)
    monkeypatch.setattr(soak, "Killer", Once)
    (case,) = soak.compare(tmp_path, 4, 2, 0.5, seed=0).values()
    alone, killed = case["facts"].values()
    assert alone["finished"] == killed["finished"] == 4
    assert (killed["workers killed"], killed["starts"], killed["continued"] > 0) == (1, 2, True)
    assert killed["torn"] == killed["run twice"] == 0 and SAME.items() <= killed.items()
    sweeps = [Sweep(tmp_path / name, 4, 2) for name in ("alone", "killed")]
    assert soak.differences(*spoiled(sweeps)) == dict.fromkeys(SAME, 1) | {"tables that differ": 3}


def spoiled(sweeps: list[Sweep]) -> list[Sweep]:
    """The sweeps, with another score and another answer in the second."""
    record, answers = (sorted(sweeps[1].records.rglob(f"*{end}"))[0] for end in ("0.json", ".answers.jsonl"))
    content = json.loads(record.read_text(encoding="utf-8"))
    content["outcome"]["scores"][content["outcome"]["metric"]] -= 0.1
    record.write_text(json.dumps(content), encoding="utf-8")
    answers.write_text("other\n", encoding="utf-8")
    return sweeps


@pytest.mark.slow
def test_sweep_that_is_killed_again_and_again_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    (case,) = soak.compare(tmp_path, 20, 3, 2.0, seed=0).values()
    killed = case["facts"]["killed again and again"]
    assert killed["finished"] == 20 and killed["starts"] > killed["workers killed"] >= 2
    assert killed["torn"] == killed["run twice"] == 0 and SAME.items() <= killed.items()


def test_header_of_safetensors_is_the_same_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    seen = []
    for header in (b'{"a":1,"b":2}', b'{"b":2,"a":1}', b'{"b":2,"a":3}'):
        path.write_bytes(len(header).to_bytes(8, "little") + header + b"data")
        seen.append(soak.content(path))
    assert seen[0] == seen[1] != seen[2]
