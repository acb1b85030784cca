"""PyTorch's FSDP2 on two processes."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


# Mutation that this finds: the composition kept from one step to the next.
@pytest.mark.parametrize("case", [pytest.param("none", marks=pytest.mark.slow), "non_reentrant", "loaded"])
def test_sharded_training_and_files_equal_those_of_one_process(case, tmp_path):
    command = [sys.executable, "-X", "faulthandler", str(HERE / "fsdp_check.py")]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": HERE.parents[1]}
    workers = [subprocess.Popen([*command, str(rank), case, str(tmp_path)], **options) for rank in (0, 1)]
    results = [worker.communicate(timeout=300) for worker in workers]
    assert [out.strip() or err[-2000:] for out, err in results] == ["equal", "equal"]
