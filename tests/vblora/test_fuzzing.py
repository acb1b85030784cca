"""Hostile and damaged files: refused with AdapterFileError or loaded, in bounded memory, never half-way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(cases, seed, folder):
    command = [sys.executable, str(HERE / "fuzzing.py"), str(cases), str(seed), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


# Mutation that this finds: `encoding.decoded` multiplying by scales of any shape.
def test_some_hundred_mutations(tmp_path):
    found = run(300, 0, tmp_path)
    assert sum(found.values()) == 300
    assert sum(n for name, n in found.items() if name.endswith("refused")) > 150
    assert {name.split()[0] for name in found if name.endswith("loaded")} >= {"store", "peft-topk", "exact"}


@pytest.mark.slow
def test_ten_thousand_mutations(tmp_path):
    assert sum(run(10_000, 1, tmp_path).values()) == 10_000
