"""Sweeps of the small model in processes of their own: started at once, watched, killed."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from small_world import overrides

from benchmarks import processes
from benchmarks.processes import Group
from experiments import records

PROJECT = Path(__file__).resolve().parents[2]
TWO = ["launcher=joblib", "hydra.launcher.n_jobs=2"]
EACH_ITS_OWN = ["launcher=submitit_local"]
PATIENCE = 240  # seconds that anything here may take on a busy machine
LINE = re.compile(r"^(success|busy|skipped|failed) +(\S+)", re.MULTILINE)


def words(world: Path, out: Path, *more: str) -> list[str]:
    """A sweep of the small LoRA; its task and seeds are to be added."""
    plain = overrides(world, out, "lora", "qv")
    return ["-m", *(word for word in plain if not word.startswith("task=")), *more]


@dataclass(frozen=True)
class Sweep:
    """A sweep that was started."""

    group: Group
    log: Path

    def ended(self) -> int:
        """Its exit status, when it has one."""
        return self.group.first.wait(PATIENCE)

    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8")

    def told(self, *states: str) -> list[str]:
        """The runs that it named as they ended in one of these states."""
        return [run_id for state, run_id in LINE.findall(self.said()) if state in states]


@contextmanager
def started(log: Path, *command: str, variables: Mapping[str, str] | None = None) -> Iterator[Sweep]:
    """Start a sweep; in the end it and every process that it started are gone."""
    path = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path, **(variables or {})}
    with processes.started([sys.executable, "-m", "experiments.run", *command], log, environment) as group:
        yield Sweep(group, log)


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def outcomes(root: Path) -> dict[str, str]:
    """Hash and outcome of every finished run; each file must be a whole record, with no scraps beside it."""
    found = records.find([root], "minilm")
    assert found.problems == []
    assert [path for path in root.rglob(".*") if path.is_file()] == []
    return {
        record.run_id: json.dumps([record.hash, record.outcome], sort_keys=True)
        for record in found.records
        if record.outcome is not None
    }
