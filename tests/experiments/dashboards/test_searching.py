"""A sweep of W&B for learning rates: what is sent; its runs can start, and tell the score that it reads."""

import shlex
from pathlib import Path

import pytest
import small_world
import yaml
from offline_runs import offline_runs, read

from experiments import pipeline
from experiments.composing import load
from experiments.config import ConfigError
from experiments.dashboards.errors import DashboardError
from experiments.dashboards.searching import definition

from .served import serving
from .test_creating import created

ASKED = ["row=vblora_qv", "task=stsb", "seed=100"]


def proposed(sweep: dict[str, object], rates: dict[str, float]) -> list[str]:
    """The words of a run that an agent starts, as W&B writes its command."""
    command = sweep["command"]
    assert isinstance(command, list)
    assert command[:4] == ["${env}", "${interpreter}", "-m", "experiments.run"]
    assert command[-1] == "${args_no_hyphens}"
    return [*command[4:-1], *(f"{name}={value}" for name, value in rates.items())]


def test_sweep_is_made_and_its_agents_command_printed(tmp_path: Path) -> None:
    with serving("mine") as server:
        words = ["--entity", "team", "--project", "mine", "--runs", "7", *ASKED]
        lines = created(server, tmp_path, *words, command="search")
    (sent,) = server.sweeps
    assert (sent["entityName"], sent["projectName"]) == ("team", "mine")
    assert yaml.safe_load(sent["config"]) == definition(ASKED, 7)
    assert shlex.split(lines[-1].rpartition(": ")[2]) == ["wandb", "agent", "team/mine/s1"]


def test_rates_are_sought_around_the_tuned_ones() -> None:
    sweep, tuned = definition(ASKED), load(ASKED).optim
    assert sweep["metric"] == {"name": "best/pearson", "goal": "maximize"}
    assert {*sweep["parameters"]} == {"optim.bank_lr", "optim.logits_lr", "optim.head_lr"}
    for name, space in sweep["parameters"].items():
        value = getattr(tuned, name.removeprefix("optim."))
        assert space["min"] < value < space["max"] == pytest.approx(100 * space["min"])


def test_run_of_an_agent_starts_and_logs_what_the_sweep_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WANDB_SWEEP_ID": "s1", "WANDB_RUN_ID": "given", "WANDB_MODE": "offline"}.items():
        monkeypatch.setenv(name, value)
    words = small_world.overrides(small_world.make(tmp_path), tmp_path, "lora", "qv", "optim.head_lr=1e-3")
    sweep = definition([word for word in words if "head_lr" not in word], 3)
    rates = {"optim.adapter_lr": 0.0123, "optim.head_lr": 0.001}
    assert sweep["parameters"].keys() == rates.keys()
    record = pipeline.run(load([*proposed(sweep, rates), "tracker.mode=offline"]))
    assert record.status == "success", record.error
    (path,) = offline_runs(tmp_path / "cache")
    summary = read(path)["summary"]
    assert record.outcome is not None
    assert summary[sweep["metric"]["name"]] == record.outcome["scores"][record.outcome["metric"]]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["row=vblora_qv", "optim.bank_lr=1"], DashboardError, "optim.bank_lr=1: the sweep is to find it"),
        (["scale=math/tiny", "row=none"], DashboardError, "none has no rate"),
        (["row=vblora_qv", "optim.epochs=0"], ConfigError, "optim.epochs: 0 is out of range"),
    ],
)
def test_what_cannot_be_searched_is_told(words: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        definition(words)
