import os
import subprocess
import sys

import pytest

from experiments import circumstances
from experiments.circumstances import LaunchError


def test_one_process_of_several_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    circumstances.require_one_process()
    monkeypatch.setenv("WORLD_SIZE", "1")
    circumstances.require_one_process()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError, match="several devices is not in this version.*without torchrun"):
        circumstances.require_one_process()


@pytest.mark.parametrize("asked", ["0", "1"])
def test_tf32_by_the_environment_variable_is_noted(asked: str) -> None:
    code = "from experiments import circumstances; print(circumstances.here()['tf32'])"
    environment = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": asked}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(asked == "1")
