"""Tests of experiments/report/shell_scripts.py and of the committed scripts/."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from experiments.report import published, shell_scripts

PROJECT = Path(__file__).resolve().parents[3]
SCRIPTS = shell_scripts.scripts()
SCALES = {"table1": "paper", "table2": "e2e/paper", "table3": "instruct/paper", "table4": "math/paper"}
RUNS = {
    "table1": ["task=sst2,mrpc,cola,qnli,rte,stsb", "seed=0,1,2,3,4"],
    "table2": ["task=e2e", "seed=0,1,2"],
    "table3": ["task=alpaca", "seed=0"],
    "table4": ["task=metamath", "seed=42"],
}


def test_committed_scripts_are_the_generated_ones() -> None:
    files = [path for path in (PROJECT / "scripts").glob("table?/**/*") if path.is_file()]
    there = {str(path.relative_to(PROJECT)): path.read_text(encoding="utf-8") for path in files}
    assert there == SCRIPTS, "run `make scripts`"


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "table4"])
def test_every_printed_row_has_a_script(table: str) -> None:
    """Two papers measured LoRA for Table 3, by the same runs."""
    rows = {(row.model, row.method, row.targets) for row in published.rows(table)}
    assert sum(name.startswith(f"scripts/{table}/") for name in SCRIPTS) == len(rows)


def test_script_says_what_was_published_and_what_it_costs() -> None:
    lora = SCRIPTS["scripts/table3/llama2_7b/lora_all.sh"]
    assert "LoRA all: seed 0. Published (kopiczko2024): MT-Bench 5.19; (li2024): MT-Bench 5.63.\n" in lora
    assert "lora_all.sh data.root=FOLDER [more words" in lora and "make judge" in lora
    assert "# GPU hours: about 9 (Table 8)." in SCRIPTS["scripts/table2/gpt2_large/vblora_all.sh"]
    assert "# GPU hours: the paper prints none." in SCRIPTS["scripts/table4/gemma_7b/full.sh"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_its_row(name: str, tmp_path: Path) -> None:
    """With a stand-in for Python that prints its arguments."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    assert os.access(PROJECT / name, os.X_OK)
    command = [str(PROJECT / name), "force=true", "paths.cache=a b"]
    environment = {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    table, model, row = Path(name).parts[1], Path(name).parent.name, Path(name).stem
    assert words[:3] == ["-m", "experiments.run", "-m"]
    assert words[3:6] == [f"scale={SCALES[table]}", f"model={model}", f"row={row}"]
    assert words[6:8] == RUNS[table]
    assert words[8:] == ["force=true", "paths.cache=a b"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_well_formed(name: str) -> None:
    subprocess.run(["bash", "-n", str(PROJECT / name)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(PROJECT / name)], check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_first_run_of_the_sweep_composes(name: str, tmp_path: Path) -> None:
    from experiments.composing import load

    sweep = re.search(r"experiments\.run -m (.*?) \"\$@\"", SCRIPTS[name].replace("\\\n", " "))
    assert sweep is not None
    words = [word.split(",")[0] for word in shlex.split(sweep[1])]
    cfg = load([*words, *([f"data.root={tmp_path}"] if "data.root=FOLDER" in SCRIPTS[name] else [])])
    assert (cfg.scale.name, cfg.model.name, cfg.variant) == ("paper", Path(name).parent.name, "paper")
    assert [f"task={cfg.task.name}", f"seed={cfg.seed}"] == [
        word.split(",")[0] for word in RUNS[Path(name).parts[1]]
    ]
