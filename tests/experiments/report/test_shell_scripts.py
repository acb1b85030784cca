"""Tests of experiments/report/shell_scripts.py and of the committed scripts/."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from experiments.composing import load
from experiments.report import published, shell_scripts

PROJECT = Path(__file__).resolve().parents[3]
SCRIPTS = shell_scripts.scripts()


def test_committed_scripts_are_the_generated_ones() -> None:
    files = [path for path in (PROJECT / "scripts" / "table1").rglob("*") if path.is_file()]
    there = {str(path.relative_to(PROJECT)): path.read_text() for path in files}
    assert there == SCRIPTS, "run `make scripts`"


def test_every_row_of_table_1_has_a_script() -> None:
    assert len(SCRIPTS) == len(published.rows("table1")) == 15


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_its_row(name: str, tmp_path: Path) -> None:
    """With a stand-in for Python that prints its arguments."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    assert os.access(PROJECT / name, os.X_OK)
    command = [str(PROJECT / name), "force=true", "paths.cache=a b"]
    environment = {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert words[:4] == ["-m", "experiments.run", "-m", "scale=paper"]
    assert words[-2:] == ["force=true", "paths.cache=a b"]
    model, row = Path(name).parent.name, Path(name).stem
    assert words[4:6] == [f"model={model}", f"row={row}"]
    assert words[6:8] == ["task=sst2,mrpc,cola,qnli,rte,stsb", "seed=0,1,2,3,4"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_well_formed(name: str) -> None:
    subprocess.run(["bash", "-n", str(PROJECT / name)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(PROJECT / name)], check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_first_run_of_the_sweep_composes(name: str) -> None:
    sweep = re.search(r"experiments\.run -m (.*?) \"\$@\"", SCRIPTS[name].replace("\\\n", " "))
    assert sweep is not None
    cfg = load([word.split(",")[0] for word in shlex.split(sweep[1])])
    assert (cfg.scale.name, cfg.task.name, cfg.seed, cfg.variant) == ("paper", "sst2", 0, "paper")
