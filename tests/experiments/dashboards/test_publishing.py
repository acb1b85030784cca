"""Tests of `publish`: read back from the offline run that it leaves."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from offline_runs import offline_runs, read
from PIL import Image

from experiments import tracking
from experiments.dashboards import publishing
from experiments.dashboards.__main__ import main
from experiments.report.tables import reference_folder

TABLE = "row,seeds,measured,published\nVB-LoRA qv,0 1,88.4,\nLoRA qv,0,89.5,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds tables of scale tiny, and a figure."""
    tables, figures = tmp_path / "tables" / "tiny", tmp_path / "figures" / "tiny" / "more"
    for path in (tables, figures):
        path.mkdir(parents=True)
    (tables / "table1.csv").write_text(TABLE, encoding="utf-8")
    (tables / "table1.md").write_text("| row |\n", encoding="utf-8")
    Image.new("RGB", (2, 3)).save(figures / "spread.png")
    return tmp_path


def published(folder: Path) -> dict[str, Any]:
    """The run that the command leaves, and its folder."""
    places = [f"--{name}={folder}/{name}" for name in ("tables", "figures", "cache")]
    assert main(["publish", *places]) == 0
    (path,) = offline_runs(folder / "cache")
    return read(path) | {"folder": path.parent}


def test_files_become_one_artifact_in_a_run_of_its_own_kind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = published(folder)
    assert "3 files in the artifact report.tiny" in capsys.readouterr().out
    assert (run["run"].job_type, run["run"].display_name) == (tracking.REPORT, "report/tiny")
    assert list(run["run"].tags) == ["tiny", "report"] and run["config"]["scale"] == "tiny"
    (artifact,) = [each for each in run["artifacts"] if each.type == "report"]
    files = {"tables/table1.csv", "tables/table1.md", "figures/more/spread.png"}
    assert artifact.name == "report.tiny" and {each.path for each in artifact.manifest.contents} == files
    assert json.loads(artifact.metadata) == {"scale": "tiny"} and run["exit_code"] == 0


def test_tables_and_figures_can_be_looked_at(folder: Path) -> None:
    run = published(folder)
    (row,) = run["history"]
    assert row["figures/spread/_type"] == "image-file"
    table = json.loads((run["folder"] / "files" / row["tables/table1/path"]).read_text(encoding="utf-8"))
    assert table["columns"] == ["row", "seeds", "measured", "published"]
    assert table["data"] == [["VB-LoRA qv", "0 1", 88.4, None], ["LoRA qv", "0", 89.5, None]]


def test_tables_without_figures_are_enough(folder: Path) -> None:
    (folder / "figures").rename(folder / "elsewhere")
    (artifact,) = [each for each in published(folder)["artifacts"] if each.type == "report"]
    assert len(artifact.manifest.contents) == 2


def test_scale_without_tables_is_refused_with_what_makes_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", "--scale", "paper", f"--tables={folder}", f"--cache={folder}/cache"]) == 1
    assert "no tables of scale paper" in capsys.readouterr().err
    assert not (folder / "cache").exists()


def test_tables_of_the_project_are_published(tmp_path: Path) -> None:
    reference = Path(__file__).resolve().parents[3] / "results" / "reference"
    shutil.copytree(reference_folder(reference, "tiny"), tmp_path / "tables" / "tiny")
    where = {"project": "vblora", "mode": "offline"}
    files = publishing.publish("tiny", tmp_path / "tables", tmp_path, tmp_path / "cache", **where)
    (path,) = offline_runs(tmp_path / "cache")
    keys = {key.rpartition("/")[0] for row in read(path)["history"] for key in row if "/" in key}
    assert {f"tables/{each.stem}" for each in files if each.suffix == ".csv"} <= keys


@pytest.mark.parametrize(
    ("column", "cells"),
    [(("1", "", "2.5"), [1.0, None, 2.5]), (("0", "0 1"), ["0", "0 1"]), (("", "a"), [None, "a"])],
)
def test_column_holds_numbers_where_all_its_cells_are(column: tuple[str, ...], cells: list[object]) -> None:
    assert publishing.typed(column) == cells
