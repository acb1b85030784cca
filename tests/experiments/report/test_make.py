"""Tests of the Makefile: its targets run the grid that a table shows, and print that table."""

import shlex
import subprocess
from pathlib import Path

import pytest

from experiments.families import FAMILIES
from experiments.report import grid, scales
from experiments.report.grid import RowKey

PROJECT = Path(__file__).resolve().parents[3]
EVERY = [(family, scale) for family in FAMILIES for scale in ("tiny", "paper")]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A stand-in for .venv whose Python prints its words, and fails where they hold `fail`."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*"\ncase "$*" in *fail*) exit 3;; esac\n', encoding="utf-8"
    )
    python.chmod(0o755)
    return tmp_path


def make(environment: Path, *words: str, status: int = 0) -> list[list[str]]:
    """The words that every command was given."""
    command = ["make", "--no-print-directory", "-s", "-C", str(PROJECT), f"VENV={environment}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("-m experiments")]


def runs(command: list[str], family: str) -> set[tuple[RowKey, int]]:
    """The runs of a sweep: the axes of its experiment, as changed by its words."""
    asked = dict(word.split("=", 1) for word in command if "=" in word)
    scale = scales.find(family, asked["scale"].rpartition("/")[2])
    experiment = scales.read(grid.CONF / "experiment" / f"{asked['experiment']}.yaml")
    axes = {"model": scale.model, **experiment["hydra"]["sweeper"]["params"], **asked}
    rows = [grid.row_parts(choice) for choice in axes["row"].split(",")]
    return {
        (RowKey(model, *row), seed)
        for model in axes["model"].split(",")
        for row in rows
        for seed in scale.seeds
    }


@pytest.mark.parametrize(("family", "scale"), EVERY)
def test_reproducing_runs_what_the_table_shows(family: str, scale: str, environment: Path) -> None:
    *sweeps, table = make(environment, f"reproduce-{family}", f"SCALE={scale}")
    assert all(words[:3] == ["-m", "experiments.run", "-m"] for words in sweeps)
    made = set().union(*(runs(words, family) for words in sweeps))
    wanted = grid.load(scale, family)
    due = {(row, seed) for row in wanted.rows for seed in wanted.seeds}
    assert made == due
    assert table == ["-m", "experiments.report", "results", f"scale={scales.find(family, scale).word}"]


@pytest.mark.parametrize(("family", "scale"), [("glue", "minilm"), ("e2e", "small"), ("math", "small")])
def test_real_input_has_one_sweep_of_its_own_experiment(family: str, scale: str, environment: Path) -> None:
    sweep, table = make(environment, f"reproduce-{family}", f"SCALE={scale}", "ARGS=data.root=/x")
    name = scale if family == "glue" else f"{family}-{scale}"
    word = scale if family == "glue" else f"{family}/{scale}"
    assert sweep[3:] == [
        f"scale={word}",
        "launcher=joblib",
        f"experiment={grid.EXPERIMENTS[name]}",
        "data.root=/x",
    ]
    assert table[-1] == f"scale={word}"


def test_target_decides_the_family_whatever_family_says(environment: Path) -> None:
    commands = make(environment, "reproduce-math", "FAMILY=e2e")
    assert {word for command in commands for word in command if word.startswith("scale=")} == {
        "scale=math/tiny"
    }


@pytest.mark.parametrize("target", ["plan", "status", "tables"])
def test_report_targets_take_a_family(target: str, environment: Path) -> None:
    report = ["-m", "experiments.report", target]
    assert make(environment, target) == [[*report, "scale=tiny"]]
    words = ["FAMILY=e2e", "SCALE=small", "ARGS=paths.results=/x paths.cache=/y"]
    assert make(environment, target, *words) == [[*report, "scale=e2e/small", "results=/x", "cache=/y"]]


def test_retrying_takes_the_launcher_and_words_of_the_sweep(environment: Path) -> None:
    words = ["SCALE=minilm", "ARGS=paths.results=/x model.path=/m data.root=/d"]
    given = ["scale=minilm", "launcher=joblib", "results=/x", "model.path=/m", "data.root=/d"]
    assert make(environment, "retry-failed", *words) == [["-m", "experiments.report", "retry", *given]]


def test_check_starts_every_sweep_with_check(environment: Path) -> None:
    commands = make(environment, "check", "FAMILY=e2e", "SCALE=paper")
    assert [command[-1] for command in commands] == ["check=true", "check=true"]
    assert {"model=gpt2_large", "experiment=e2e"} <= set(commands[1])


def test_failed_sweep_stops_no_other_and_makes_the_target_fail(environment: Path) -> None:
    commands = make(environment, "reproduce-e2e", "ARGS=model.name=fail", status=2)
    assert len(commands) == 2 + 1
    assert commands[-1][2] == "results"


def test_judge_passes_its_words_on(environment: Path) -> None:
    assert make(environment, "judge", "ARGS=--dry-run") == [["-m", "experiments.judging", "--dry-run"]]


def test_help_lists_every_target_that_is_public() -> None:
    shown = subprocess.run(
        ["make", "-s", "-C", str(PROJECT), "help"], capture_output=True, text=True, check=True
    )
    listed = {line.split(" ", 1)[0] for line in shown.stdout.splitlines()}
    assert {f"reproduce-{family}" for family in FAMILIES} | {
        "judge",
        "plan",
        "status",
        "retry-failed",
        "tables",
        "check",
    } <= listed
