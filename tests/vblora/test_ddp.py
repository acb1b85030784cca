"""DistributedDataParallel on two processes."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def both(checkpointing, folder):
    """Output of the two processes."""
    command = [sys.executable, str(HERE / "ddp_check.py")]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": HERE.parents[1]}
    workers = [
        subprocess.Popen([*command, str(rank), checkpointing, str(folder)], **options) for rank in (0, 1)
    ]
    results = [worker.communicate(timeout=300) for worker in workers]
    return [out.strip() or err[-2000:] for out, err in results]


@pytest.mark.parametrize("checkpointing", ["none", "non_reentrant"])
def test_gradients_equal_those_of_one_process(checkpointing, tmp_path):
    assert both(checkpointing, tmp_path) == ["equal", "equal"]


def test_reentrant_checkpointing_raises_and_says_what_to_do(tmp_path):
    for output in both("reentrant", tmp_path):
        assert output.startswith("refused: reentrant gradient checkpointing"), output
        assert "use_reentrant=False" in output
