"""torch.compile traces the whole model, hooks and composition included, without a graph break."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "case, backend",
    [
        ("topk", "aot_eager"),
        *(
            pytest.param(case, "aot_eager", marks=pytest.mark.slow)
            for case in ("all", "gpt2", "tied_lora", "lora_xs")
        ),
        pytest.param("topk", "inductor", marks=pytest.mark.slow),
    ],
)
def test_a_compiled_model_equals_the_plain_one(case, backend):
    command = [sys.executable, str(HERE / "compile_check.py"), case, backend]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1], timeout=300)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
