"""Tests of experiments/report/grid.py: the grid is the one that the family's experiments run."""

import shlex

import pytest

from experiments.families import FAMILIES
from experiments.report import grid, scales
from experiments.report.grid import CONF, RowKey

EVERY = [(family, scale) for family in FAMILIES for scale in grid.OF_THE_PAPER]
SMALL = {"e2e": "e2e-small", "math": "math-small"}


def sweep(experiment: str) -> dict[str, str]:
    content = scales.read(CONF / "experiment" / f"{experiment}.yaml")
    return dict(content["hydra"]["sweeper"]["params"])


@pytest.mark.parametrize(("family", "scale"), EVERY)
def test_grid_is_what_the_experiment_runs(family: str, scale: str) -> None:
    params, made = sweep(family), grid.load(scale, family)
    asked = [grid.row_parts(choice) for choice in params["row"].split(",")]
    assert [row[1:3] for row in made.rows[: len(asked)]] == asked
    assert len({row.model for row in made.rows[: len(asked)]}) == 1
    assert made.tasks == params["task"].split(",") == list(FAMILIES[family].tasks)
    assert params["seed"] == "${scale.seeds}"


@pytest.mark.parametrize("family", FAMILIES)
def test_controls_are_rows_of_tiny_alone(family: str) -> None:
    assert set(grid.CONTROLS[family]) <= set(grid.load("tiny", family).rows)
    assert not set(grid.CONTROLS[family]) & set(grid.load("paper", family).rows)


def test_sizes_of_the_grids() -> None:
    paper, minilm = grid.load("paper"), grid.load("minilm")
    assert (len(paper.rows), len(paper.tasks), paper.seeds) == (15, 6, [0, 1, 2, 3, 4])
    assert minilm.tasks == ["cola", "stsb", "mrpc"] and minilm.seeds == [0, 1, 2]
    assert [row[1:3] for row in minilm.rows][:3] == [("head", "none"), ("full", "full"), ("lora", "qv")]
    assert [row[1:3] for row in minilm.rows][3:] == [("vera", "qv"), ("vblora", "qv"), ("vblora", "all")]
    assert (grid.load("mine").rows, grid.load("mine").seeds) == ([], [])


def test_sizes_of_the_text_grids() -> None:
    text = {family: grid.load("paper", family) for family in ("e2e", "instruct", "math")}
    assert {family: (len(made.rows), made.seeds) for family, made in text.items()} == {
        "e2e": (8, [0, 1, 2]),
        "instruct": (8, [0]),  # the paper prints LoRA twice for each model
        "math": (8, [42]),
    }
    tiny = {family: len(grid.load("tiny", family).rows) for family in text}
    assert tiny == {"e2e": 7, "instruct": 6, "math": 7}
    assert grid.load("local", "math").rows == []


@pytest.mark.parametrize(("family", "name"), SMALL.items())
def test_small_scales_have_their_experiments_rows(family: str, name: str) -> None:
    rows = {"e2e": "full,lora_qv,vblora_all", "math": "none,full,lora_all,vblora_all"}
    assert sweep(grid.EXPERIMENTS[name])["row"] == rows[family]
    if not scales.find(family, "small").model:
        pytest.skip(f"conf/scale/{family} has no file for it yet")
    made = grid.load("small", family)
    assert made == grid.load(name, family) and made.scale == name
    assert ",".join(grid.row_choice(*row[1:3]) for row in made.rows) == rows[family]


@pytest.mark.parametrize(("family", "scale"), EVERY)
def test_names_of_rows_are_read_back(family: str, scale: str) -> None:
    rows = [row[1:3] for row in (*grid.load(scale, family).rows, RowKey("m", "vblora", "fused"))]
    assert all(grid.row_parts(grid.row_choice(*row)) == row for row in rows)
    assert all((CONF / "row" / f"{grid.row_choice(*row)}.yaml").is_file() for row in rows)


@pytest.mark.parametrize(("family", "scale"), EVERY)
def test_each_command_makes_the_runs_that_the_table_looks_for(family: str, scale: str) -> None:
    from experiments.composing import load
    from experiments.config import run_id

    made = grid.load(scale, family)
    for row in made.rows:
        command = grid.command(family, scale, row, made.tasks[-1:], [3])
        start, *words = shlex.split(command.replace("FOLDER", "/tmp"))[3:]
        assert start == "-m"
        assert run_id(load(words)) == grid.run_id(family, row, made.tasks[-1], 3)


def test_a_changed_setting_has_no_command_that_would_run_something_else() -> None:
    words = grid.command("glue", "tiny", RowKey("tiny_roberta", "vblora", "qv", "k4"), ["rte"], [0])
    assert words.startswith("# vblora qv, variant k4") and words.endswith("task=rte seed=0")


@pytest.mark.parametrize(("family", "task"), [("glue", "rte"), ("e2e", "e2e"), ("math", "metamath")])
def test_command_of_a_local_model_leaves_its_folders_to_fill_in(family: str, task: str) -> None:
    words = grid.command(family, "local", RowKey("mine", "vblora", "qv"), [task], [0]).split()
    assert {"model.name=mine", "model.path=FOLDER", "data.root=FOLDER", "tuned=TABLE"} <= set(words)
    assert ("scale=local" if family == "glue" else f"scale={family}/local") in words


def test_command_of_minilm_names_its_model_and_needs_no_folder() -> None:
    words = grid.command("glue", "minilm", RowKey("minilm", "vblora", "qv"), ["rte"], [0])
    assert words.split()[4:6] == ["scale=minilm", "model=minilm"]
    assert "FOLDER" not in words and "tuned" not in words


def test_command_at_paper_asks_for_mt_benchs_files_only_where_they_are_read() -> None:
    row = RowKey("llama2_13b", "vblora", "all")
    words = "scale=instruct/paper model=llama2_13b row=vblora_all task=alpaca seed=0 data.root=FOLDER"
    command = grid.command("instruct", "paper", row, ["alpaca"], [0])
    assert command == f"python -m experiments.run -m {words}"
    assert "FOLDER" not in grid.command(
        "math", "paper", RowKey("gemma_7b", "full", "full"), ["metamath"], [0]
    )


def test_command_of_the_released_scripts_settings_says_so() -> None:
    row = RowKey("m", "vblora", "qv", "released")
    assert "variant=released" in grid.command("glue", "paper", row, ["rte"], [0])
