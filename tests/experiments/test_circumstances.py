import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("asked", ["0", "1"])
def test_tf32_by_the_environment_variable_is_noted(asked: str) -> None:
    code = "from experiments import circumstances; print(circumstances.here()['tf32'])"
    environment = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": asked}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(asked == "1")
