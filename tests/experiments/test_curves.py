import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from offline_runs import offline_runs, read
from small_world import make, overrides

from experiments import curves, pipeline, training
from experiments.composing import load
from experiments.curves import Curves, before_clipping, norms

GROUPS = {"bank", "logits", "head", "head_no_decay"}
STEPS_PER_EPOCH, EPOCHS = 5, 2


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


def logs_of(world: Path, folder: Path, *words: str) -> list[dict[str, Any]]:
    """The training logs of one run, as W&B has them."""
    chosen = overrides(world, folder, "vblora", "qv", "tracker=wandb", *words)
    record = pipeline.run(load(chosen))
    assert record.status == "success", record.error
    (path,) = offline_runs(folder / "cache")
    return [row for row in read(path)["history"] if "train/loss" in row]


@pytest.fixture(scope="module")
def logs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of a run whose every step is clipped."""
    return logs_of(world, tmp_path_factory.mktemp("clipped"), "optim.max_grad_norm=1e-3")


def part(log: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {key.removeprefix(prefix): value for key, value in log.items() if key.startswith(prefix)}


def test_each_group_has_its_learning_rate_of_the_step_that_is_logged(logs: list[dict[str, Any]]) -> None:
    assert len(logs) == STEPS_PER_EPOCH * EPOCHS
    optim = load(["scale=minilm", "row=vblora_qv", "task=cola", "model.path=.", "data.root=."]).optim
    for log in logs:
        rates = part(log, "train/lr/")
        assert set(rates) == GROUPS and rates["bank"] == log["train/learning_rate"]
        assert optim.bank_lr * rates["logits"] == pytest.approx(optim.logits_lr * rates["bank"])


def test_norms_of_the_groups_make_up_the_norm_before_clipping(logs: list[dict[str, Any]]) -> None:
    for log in logs:
        parts = part(log, "train/grad_norm/")
        assert set(parts) == GROUPS and log["train/grad_norm"] > 1e-3
        assert math.hypot(*parts.values()) == pytest.approx(log["train/grad_norm"], rel=1e-5)


def test_norms_are_logged_where_nothing_is_clipped(world: Path, tmp_path: Path) -> None:
    logs = logs_of(world, tmp_path, "optim.max_grad_norm=null", "optim.epochs=1")
    assert all(log["train/grad_norm"] > 0 for log in logs)
    parts = part(logs[-1], "train/grad_norm/")
    assert math.hypot(*parts.values()) == pytest.approx(logs[-1]["train/grad_norm"], rel=1e-5)


def test_tokens_count_up_to_all_epochs_and_have_a_speed(logs: list[dict[str, Any]], world: Path) -> None:
    counts = [log["train/tokens"] for log in logs]
    assert counts == sorted(counts) and counts[0] > 0
    assert counts[-1] == EPOCHS * counts[STEPS_PER_EPOCH - 1]
    rows = (world / "glue/CoLA/train.tsv").read_text(encoding="utf-8").splitlines()
    lengths = [len(row.split("\t")[3].split()) + 2 for row in rows]
    assert counts[-1] == EPOCHS * sum(lengths), "each text with its two special tokens, without padding"
    assert all(log["train/tokens_per_second"] > 0 and log["train/peak_bytes"] > 0 for log in logs)


def test_logs_of_an_evaluation_stay_as_they_are(world: Path, tmp_path: Path) -> None:
    logs_of(world, tmp_path, "optim.epochs=1")
    (path,) = offline_runs(tmp_path / "cache")
    evaluations = [row for row in read(path)["history"] if "eval/matthews" in row]
    assert evaluations and not any("train/tokens" in row for row in evaluations)


# Fails if the curves are added to what the Trainer keeps of its log.
def test_checkpoints_hold_no_curve(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.claims, "settle", lambda cfg, record: None)
    logs_of(world, tmp_path, "paths.save_seconds=0")
    (state, *_) = (tmp_path / "cache" / "checkpoints").rglob("trainer_state.json")
    kept = {key for log in json.loads(state.read_text(encoding="utf-8"))["log_history"] for key in log}
    assert "loss" in kept and not kept & {"tokens", "peak_bytes", "lr/bank"}


def test_without_a_tracker_no_curve_is_computed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    for name in ("norms", "before_clipping", "peak_bytes", "Tokens", "Clock"):
        monkeypatch.setattr(curves, name, never)
    record = pipeline.run(load(overrides(world, tmp_path, "vblora", "qv", "tracker=none")))
    assert record.status == "success", record.error


def test_continued_run_counts_its_tokens_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["optim.epochs=4", "paths.save_seconds=0"]
    whole = logs_of(world, tmp_path / "whole", *words)
    seen: list[int] = []
    log = Curves.on_log

    def stop(self: Curves, args: Any, state: Any, control: Any, **keywords: Any) -> None:
        log(self, args, state, control, **keywords)
        seen.append(state.global_step)
        if len(seen) == 8:
            raise KeyboardInterrupt

    chosen = overrides(world, tmp_path, "vblora", "qv", "tracker=wandb", *words)
    with monkeypatch.context() as patch:
        patch.setattr(Curves, "on_log", stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(load(chosen))
    assert pipeline.run(load(chosen)).circumstances["num_resumes"] == 1
    last = read(offline_runs(tmp_path / "cache")[-1])["history"]
    rest = [row for row in last if "train/loss" in row]
    assert 0 < len(rest) < len(whole)
    shown = ("train/global_step", "train/tokens", "train/loss")
    assert [[row[key] for key in shown] for row in rest] == [
        [row[key] for key in shown] for row in whole[-len(rest) :]
    ]


def test_norms_are_of_those_gradients_that_are_there() -> None:
    there, none = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3))
    there.grad = torch.tensor([3.0, 4.0])
    assert norms([{"name": "a", "params": [there, none]}, {"name": "b", "params": [none]}]) == {"a": 5.0}
    assert norms([]) == {}


def test_parts_stay_as_they_are_where_no_norm_is_known() -> None:
    found = {"lr/a": 0.1, "grad_norm/a": 3.0, "grad_norm/b": 4.0}
    assert before_clipping(found, None) == found
    assert before_clipping(found, 10.0) == {"lr/a": 0.1, "grad_norm/a": 6.0, "grad_norm/b": 8.0}
    still = {"grad_norm/a": 0.0}
    assert before_clipping(still, 0.0) == still


def test_window_shows_nothing_by_default() -> None:
    assert list(training.no_window(object())) == []  # type: ignore[arg-type]
