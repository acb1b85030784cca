"""Tests of experiments/report/retry.py: commands that run exactly the failed runs.

Each made a test here fail: seeds and tasks as one product; no comparison with what a record holds.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_records import failed, write_all
from small_world import make, overrides

from experiments import claims, composing, pipeline, records
from experiments.config import Config, run_id
from experiments.identity import described
from experiments.records import Found, RunRecord
from experiments.report import grid, retry
from experiments.report.__main__ import main
from experiments.report.retry import Retries


def failure(*words: str) -> RunRecord:
    """The record of a run that such a command would have left if it failed."""
    composing.register()
    composed = composing.composed_from(list(words), return_hydra_config=True)
    cfg, _ = composing.name(composed, composed.hydra.runtime.choices, words)
    return replace(failed(run_id(cfg), cfg.scale.name), config=described(cfg))


def due(*made: RunRecord, words: Sequence[str] = (), running: Sequence[str] = (), **place: str) -> Retries:
    wanted = grid.load(place.get("scale", "tiny"), place.get("family", "glue"))
    return retry.plan(Found(list(made), []), wanted, words, dict.fromkeys(running))


def told(*made: RunRecord, **about: Any) -> list[str]:
    found = due(*made, **about)
    assert found.refused == {}
    return [" ".join(command[3:]) for command in found.commands]


def test_each_row_has_a_command_for_its_tasks_and_seeds_and_for_no_other_run() -> None:
    runs = [("lora_qv", "rte", 0), ("lora_qv", "cola", 0), ("lora_qv", "cola", 3), ("full", "rte", 1)]
    runs += [("lora_qv", "mrpc", 0)]
    made = [failure(f"row={row}", f"task={task}", f"seed={seed}") for row, task, seed in runs]
    assert told(*made) == [
        "scale=tiny task=rte,mrpc seed=0 model=tiny_roberta row=lora_qv",
        "scale=tiny task=cola seed=0,3 model=tiny_roberta row=lora_qv",
        "scale=tiny task=rte seed=1 model=tiny_roberta row=full",
    ]


def test_words_of_the_user_go_along() -> None:
    words = ["launcher=joblib", "tracker=none", "paths.results=/elsewhere"]
    (command,) = told(failure("row=lora_qv", "task=rte"), words=words)
    assert command.endswith(" row=lora_qv launcher=joblib tracker=none paths.results=/elsewhere")


def test_family_and_model_are_those_of_the_record() -> None:
    made = failure(
        "scale=e2e/tiny", "model=tiny_gpt2_scratch", "row=full", "optim.full_lr=1e-3", "variant=fast"
    )
    (command,) = told(made, family="e2e")
    assert command == (
        "scale=e2e/tiny task=e2e seed=0 model=tiny_gpt2_scratch row=full ++optim.full_lr=0.001 variant=fast"
    )


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["row=vblora_qv", "method.options.topk=3"], "++method.options.topk=3"),
        (["row=lora_qv", "optim.epochs=3", "data.train_fraction=0.5"], "++optim.epochs=3"),
        (["row=vblora_all", "ablation=k3"], "++method.options.topk=3"),
        (["row=lora_qv", "+method.options.target_modules=[a, 'b c']"], 'target_modules=["a", "b c"]'),
        (["targets=qv", "method=peft", "method.name=ia3", "+method.options={peft_type: IA3}"], "method.name"),
        (["row=vblora_qv", "variant=released", "optim.epochs=2"], "variant=released-"),
    ],
)
def test_settings_of_its_own_are_read_from_the_record(words: list[str], more: str) -> None:
    made = failure(*words, "task=rte", "seed=7")
    (command,) = due(made).commands
    assert any(more in word for word in command)
    again = failure(*[word for word in command if "=" in word])
    assert (again.run_id, again.config) == (made.run_id, made.config)


def test_released_settings_are_chosen_by_their_name() -> None:
    made = failure("scale=paper", "row=vblora_qv", "task=rte", "variant=released")
    (command,) = told(made, scale="paper")
    assert command.endswith("row=vblora_qv variant=released")


def test_folders_are_asked_for_where_no_record_tells_them(tmp_path: Path) -> None:
    words = ["scale=minilm", "row=lora_qv", "task=rte", f"model.path={tmp_path}", f"data.root={tmp_path}"]
    made = failure(*words)
    (why,) = due(made, scale="minilm").reasons()
    asked = "add model.path=FOLDER data.root=FOLDER: where model and data lie is in no record"
    assert why == f"not run: {made.run_id}: {asked}"
    assert len(told(made, scale="minilm", words=words[3:])) == 1
    target = retry.target(grid.load("minilm"), [], [made])
    assert target == "make retry-failed SCALE=minilm ARGS='model.path=FOLDER data.root=FOLDER'"


def test_run_from_the_hub_needs_no_folder_and_keeps_the_commit_that_it_was_given() -> None:
    words = ["scale=minilm", "row=lora_qv", "task=rte"]
    made = failure(*words)
    assert told(made, scale="minilm") == ["scale=minilm task=rte seed=0 model=minilm row=lora_qv"]
    assert retry.target(grid.load("minilm"), [], [made]) == "make retry-failed SCALE=minilm"
    pinned = failure(*words, "data.revision=main")
    assert told(pinned, scale="minilm")[0].endswith(" row=lora_qv data.revision=main")
    (command,) = told(pinned, scale="minilm", words=["data.revision=other"])
    assert command.endswith(" row=lora_qv data.revision=other")


def test_run_whose_settings_cannot_be_made_again_is_refused_with_the_difference() -> None:
    made = failure("row=lora_qv", "task=rte", "optim.epochs=3")
    gone = {**made.config, "optim": {**made.config["optim"], "momentum": 0.9}}
    assert "optim.momentum was 0.9 and would be None" in due(replace(made, config=gone)).refused[made.run_id]
    less = {**made.config, "method": {"name": "lora", "library": "peft", "options": {}}}
    assert "method.options.r was None and would be" in due(replace(made, config=less)).refused[made.run_id]


def test_words_that_make_another_run_are_refused() -> None:
    made = failure("row=lora_qv", "task=rte")
    (why,) = due(made, words=["optim.epochs=3"]).refused.values()
    assert "with the words that were given it would be glue/rte/tiny_roberta/lora-qv-" in why


def test_running_run_is_left_alone() -> None:
    made = [failure("row=lora_qv", "task=rte", f"seed={seed}") for seed in range(3)]
    found = due(*made, running=[made[0].run_id, made[2].run_id])
    assert [word for word in found.commands[0] if word.startswith("seed=")] == ["seed=1"]
    assert found.reasons() == [f"not run: {made[0].run_id} and 1 more: it is running now"]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; those that name `cola` fail, those with `stsb` are interrupted."""
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        commands.append(command)
        status = 1 if "task=cola" in command else 130 if "task=stsb" in command else 0
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


@pytest.mark.parametrize(("tasks", "status"), [("rte", 0), ("rte cola", 1), ("rte stsb cola", 130), ("", 0)])
def test_exit_status_is_that_of_the_runs(
    tasks: str, status: int, called: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ("lora_qv", "vera_qv", "full")
    made = [failure(f"row={row}", f"task={task}") for row, task in zip(rows, tasks.split(), strict=False)]
    write_all(made, Path("mine"))
    assert main(["retry", "results=mine", "--dry-run"]) == 0 and not called
    assert main(["retry", "results=mine", "cache=there", "launcher=joblib"]) == status
    assert len(called) == len(made)
    for command in called:
        assert command[0] == sys.executable and {"paths.results=mine", "paths.cache=there"} <= {*command}


def test_refused_run_makes_the_command_fail(
    called: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_all([failure("row=lora_qv", "task=rte")], Path("results/runs"))
    assert main(["retry", "optim.epochs=3"]) == 1 and not called
    assert "not run: glue/rte/tiny_roberta/lora-qv/seed0" in capsys.readouterr().out


def test_failed_run_succeeds_when_its_cause_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(tmp_path / "world")
    words = overrides(world, tmp_path, "lora", "qv")
    cfg: Config = composing.load(words)
    honest: Callable[..., object] = pipeline.training.train
    monkeypatch.setattr(pipeline.training, "train", None)
    assert pipeline.run(cfg).status == "failed"
    monkeypatch.setattr(pipeline.training, "train", honest)
    place = [f"results={tmp_path}/runs", f"cache={tmp_path}/cache", "scale=minilm"]
    folders = [f"model.path={world}/model", f"data.root={world}/glue"]
    assert main(["retry", *place]) == 1, "the folders are not told"
    assert main(["retry", *place, *folders]) == 0
    assert records.read(claims.record_path(cfg)).status == "success"
