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
    assert minilm.tasks == ["cola", "stsb", "mrpc"] and minilm.seeds == [0, 1, 2]
    assert [row[1:3] for row in minilm.rows][:3] == [("head", "none"), ("full", "full"), ("lora", "qv")]
    assert [row[1:3] for row in minilm.rows][3:] == [("vera", "qv"), ("vblora", "qv"), ("vblora", "all")]
    assert all(grid.row_parts(grid.row_choice(*row[1:3])) == row[1:3] for row in (*paper.rows, *minilm.rows))
    assert (grid.load("mine").rows, grid.load("mine").seeds) == ([], [])


@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_each_command_makes_the_runs_that_the_table_looks_for(scale: str) -> None:
    for row in grid.load(scale).rows:
        command = grid.command(scale, row, ["rte"], [3])
        start, *words = shlex.split(command)[3:]
        assert start == "-m"
        assert run_id(load(words)) == grid.run_id(row, "rte", 3)


def test_a_changed_setting_has_no_command_that_would_run_something_else() -> None:
    words = grid.command("tiny", RowKey("tiny_roberta", "vblora", "qv", "k4"), ["rte"], [0])
    assert words.startswith("# vblora qv, variant k4") and words.endswith("task=rte seed=0")


def test_command_of_a_local_model_leaves_its_folders_to_fill_in() -> None:
    words = grid.command("local", RowKey("mine", "vblora", "qv"), ["rte"], [0]).split()
    assert {"model.name=mine", "model.path=FOLDER", "data.root=FOLDER", "tuned=TABLE"} <= set(words)


def test_command_of_the_released_scripts_settings_says_so() -> None:
    assert "variant=released" in grid.command("paper", RowKey("m", "vblora", "qv", "released"), ["rte"], [0])
