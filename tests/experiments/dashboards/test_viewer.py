"""Tests of the terminal viewer, in a terminal of the test's own."""

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.dashboards import viewer
from experiments.dashboards.__main__ import main
from experiments.dashboards.errors import DashboardError

PROJECT = Path(__file__).resolve().parents[3]
OPEN = [sys.executable, "-m", "experiments.dashboards", "open"]
PATIENCE = 90.0  # seconds, on a busy machine


def screen(command: list[str], wanted: list[bytes], folder: Path) -> tuple[bytes, int]:
    """Call a command in a terminal and press q once all that is wanted was shown.

    Returns what was shown, and the exit status; -9 where the command did not end.
    """
    ours, terminal = pty.openpty()
    subprocess.run(["stty", "rows", "50", "cols", "160"], stdin=terminal, check=True)
    own = os.environ | {"TERM": "xterm-256color", "WANDB_CONFIG_DIR": str(folder)}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=own)
    os.close(terminal)
    shown, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                shown += os.read(ours, 2**16)
            except OSError:  # the command has ended, and with it the terminal's other side
                break
        elif all(each in shown for each in wanted):
            os.write(ours, b"q")
    if time.monotonic() >= end:
        process.kill()
    os.close(ours)
    return shown, process.wait()


def test_chosen_run_is_shown_in_the_terminal_until_q(cache: Path, tmp_path: Path) -> None:
    wanted = [b"glue/cola/minilm/vblora", b"eval/matthews"]
    shown, status = screen([*OPEN, "--cache", str(cache), "--run", "cola/minilm"], wanted, tmp_path)
    assert [each for each in wanted if each not in shown] == [] and status == 0


def test_make_shows_all_runs(cache: Path, tmp_path: Path) -> None:
    words = [f"VENV={Path(sys.executable).parents[1]}", "dashboard", f"ARGS=paths.cache={cache}"]
    wanted = [b"offline-run-", b"eval/pearson"]
    shown, status = screen(["make", "-s", "-C", str(PROJECT), *words], wanted, tmp_path)
    assert [each for each in wanted if each not in shown] == [] and status == 0


def test_make_takes_the_run_from_the_command_line_alone() -> None:
    command = ["make", "-n", "--no-print-directory", "-C", str(PROJECT), "VENV=here", "dashboard"]
    for words, asked in ([["RUN=cola/tiny"], ["--run", "cola/tiny"]], [[], []]):
        done = subprocess.run(
            [*command, *words],
            env=os.environ | {"RUN": "of the shell"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shlex.split(done.stdout) == ["here/bin/python", "-m", "experiments.dashboards", "open", *asked]


def test_newest_run_with_a_part_of_its_name_is_found(cache: Path) -> None:
    runs = viewer.runs(cache)
    names = [path.name.split("-", 3)[3].rpartition(".")[0] for path in runs]
    assert names == [f"glue.{task}.minilm.vblora-qv-small.seed0" for task in ("sst2", "cola", "stsb")]
    assert viewer.find(cache, "") == cache / "wandb"
    assert viewer.find(cache, "glue/cola/minilm") == runs[1]
    assert viewer.find(cache, "vblora") == runs[2], "the newest"


def test_unknown_run_is_answered_with_those_that_are_there(cache: Path) -> None:
    with pytest.raises(DashboardError, match=r"(?s)no run 'glue/rte'.*the newest are\n.*stsb"):
        viewer.find(cache, "glue/rte")


def test_without_runs_the_command_says_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["open", "--cache", str(tmp_path)]) == 1
    assert viewer.MAKES_ONE in capsys.readouterr().err


def test_without_a_terminal_the_command_says_how_to_read_a_run_as_text(cache: Path) -> None:
    command = [*OPEN, "--cache", str(cache), "--run", "cola"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "needs a terminal" in done.stderr
    advice = done.stderr.strip().rpartition(": ")[2]
    text = subprocess.run(shlex.split(advice), capture_output=True, text=True, check=True)
    assert "best/matthews" in text.stdout, "the advice works"


def test_without_wandb_the_command_says_what_to_install(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DashboardError, match="pip install wandb"):
        viewer.show(cache)
