"""Tests of experiments/report/grid.py: the grid is the one that `experiment=glue` runs."""

import shlex

import pytest
import yaml

from experiments.composing import load
from experiments.config import run_id
from experiments.report import grid
from experiments.report.grid import CONF, RowKey


def sweep(experiment: str) -> dict[str, str]:
    content = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    return dict(content["hydra"]["sweeper"]["params"])


@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_grid_is_what_the_experiment_runs(scale: str) -> None:
    params, made = sweep("glue"), grid.load(scale)
    first = [row for row in made.rows if row.model == grid.MODELS[scale][0] and row.method != "head"]
    assert {grid.row_choice(row.method, row.targets) for row in first} == set(params["row"].split(","))
    assert set(made.tasks) == set(params["task"].split(","))
    assert params["seed"] == "${scale.seeds}"


def test_controls_are_what_their_experiment_runs() -> None:
    rows = sweep("glue_controls")["row"].split(",")
    assert {grid.row_choice(row.method, row.targets) for row in grid.CONTROLS["tiny"]} == set(rows)


def test_sizes_of_the_grids() -> None:
    paper, minilm = grid.load("paper"), grid.load("minilm")
    assert (len(paper.rows), len(paper.tasks), paper.seeds) == (15, 6, [0, 1, 2, 3, 4])
    assert (minilm.rows, minilm.seeds) == ([], [0, 1, 2])
    assert (grid.load("mine").rows, grid.load("mine").seeds) == ([], [])


@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_each_command_makes_the_runs_that_the_table_looks_for(scale: str) -> None:
    for row in grid.load(scale).rows:
        command = grid.command(scale, row, ["rte"], [3])
        start, *words = shlex.split(command)[3:]
        assert start == "-m"
        assert run_id(load(words)) == grid.run_id(row, "rte", 3)


def test_command_of_a_changed_setting_says_that_more_is_due() -> None:
    assert grid.command("tiny", RowKey("tiny_roberta", "vblora", "qv", "k4"), ["rte"], [0]).endswith(
        "settings of k4"
    )
    assert "variant=released" in grid.command("paper", RowKey("m", "vblora", "qv", "released"), ["rte"], [0])
