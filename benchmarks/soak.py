"""A sweep whose processes are killed over and over ends as one that was left alone.

The same runs of scale tiny, a few steps each, are swept twice, each time into folders of their own. One sweep
is left alone. Of the other, once work has begun, a worker drawn from those at work is killed after a few
seconds, or now and then all its processes at once, as where a node is lost; the same command then goes on,
until it ends in order. Outcomes, files and tables of both must be the same to the byte.

joblib ends a whole sweep with a worker that dies. So each kill means another start, of about a minute on two
shared cores, in which Hydra composes every run and four workers import torch and transformers.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import processes, results
from benchmarks.processes import Group
from experiments import records
from experiments.records import RunRecord
from experiments.report import running

Seen = TypeVar("Seen")

SCALE, FAMILY = "tiny", "glue"
# Rows and tasks of a sweep; seeds make up its number of runs.
ROWS = ("vblora_qv", "lora_qv", "vblora_all", "head")
TASKS = ("cola", "rte", "mrpc", "sst2", "stsb")
SIZES = ((len(ROWS), len(TASKS)), (2, 2), (1, 1))
# Ten steps, two evaluations and up to ten checkpoints: about a second of one core.
SHORT = ("optim.epochs=2", "data.train_fraction=0.2", "paths.save_seconds=0", "variant=soak", "tracker=none")
WHOLE_SWEEP = 0.2  # the share of kills that take all processes of the sweep
PATIENCE = 600.0  # seconds until work begins, or until a sweep has ended that lost a worker
MOST_ENDS = 5  # starts in a row that may end early although nothing was killed
ADVICE = "the same command goes on from here"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}  # four processes share the cores


class SoakError(RuntimeError):
    """A sweep did something else than to go on; the message has its last words."""


@dataclass(frozen=True)
class Sweep:
    """A sweep that has folders of its own.

    Attributes:
        folder: of its records, cache and log.
        runs, workers: how many.
    """

    folder: Path
    runs: int
    workers: int

    @property
    def records(self) -> Path:
        """Where its records go."""
        return self.folder / "runs"

    @property
    def cache(self) -> Path:
        """Where its backbone, checkpoints and locks lie."""
        return self.folder / "cache"

    @property
    def log(self) -> Path:
        """What its processes say."""
        return self.folder / "log.txt"

    @property
    def settings(self) -> list[str]:
        """The words that all its runs share."""
        return [f"scale={SCALE}", *SHORT, f"paths.results={self.records}", f"paths.cache={self.cache}"]

    @property
    def axes(self) -> dict[str, Sequence[object]]:
        """The values that its runs combine."""
        rows, tasks = next(size for size in SIZES if self.runs % (size[0] * size[1]) == 0)
        return {"row": ROWS[:rows], "task": TASKS[:tasks], "seed": range(self.runs // (rows * tasks))}

    def start(self) -> contextlib.AbstractContextManager[Group]:
        """Start it; afterwards no process of it is left."""
        axes = (f"{axis}={','.join(map(str, values))}" for axis, values in self.axes.items())
        launcher = ("launcher=joblib", f"hydra.launcher.n_jobs={self.workers}")
        command = [sys.executable, "-m", "experiments.run", "-m", *self.settings, *launcher, *axes]
        return processes.started(command, self.log, environment())

    def last_words(self, begin: int) -> str:
        """The log from a place on."""
        return self.log.read_text(encoding="utf-8")[begin:]


@dataclass
class Killer:
    """Kills processes of a sweep, by a random choice that a seed fixes.

    Attributes:
        draw: where choices come from.
        seconds: from the begin of work to a kill, on average.
        counts: of what was done.
    """

    draw: random.Random
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)

    def kill(self, sweep: Sweep, group: Group) -> bool:
        """Wait for work, and a while longer, then kill; False if the sweep ended before."""
        begun, wait = time.time(), self.draw.uniform(0, 2 * self.seconds)
        whole, choice = self.draw.random() < WHOLE_SWEEP, self.draw.random()
        if not _until(lambda: _newer_checkpoint(sweep.cache, begun), group):
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            group.first.wait(wait)
        pids = _until(lambda: _at_work(sweep.cache, group), group)
        if not pids:
            return False
        if whole:
            self.counts["sweeps killed"] += 1
            group.kill()
        else:
            self.counts["workers killed"] += 1
            os.kill(pids[int(choice * len(pids))], signal.SIGKILL)
        return True


def measure(folder: Path | None, runs: int, workers: int, seconds: float, seed: int) -> dict[str, Any]:
    """Both sweeps and what became of them, in a folder that is kept, or in one that goes in the end."""
    if folder is not None:
        return compare(folder.resolve(), runs, workers, seconds, seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        return compare(Path(made), runs, workers, seconds, seed)


def compare(folder: Path, runs: int, workers: int, seconds: float, seed: int) -> dict[str, Any]:
    """Both sweeps in a folder; undisturbed runs that are there already are not repeated."""
    alone, killed = (Sweep(folder / name, runs, workers) for name in ("alone", "killed"))
    shutil.rmtree(killed.folder, ignore_errors=True)  # its kills are counted from the first run on
    facts = {
        "left alone": undisturbed(alone),
        "killed again and again": disturbed(killed, Killer(random.Random(seed), seconds)),
    }
    facts["killed again and again"] |= differences(alone, killed)
    return {f"{runs} runs, {workers} workers": {"facts": facts}}


def undisturbed(sweep: Sweep) -> dict[str, float]:
    """Sweep once.

    Raises:
        SoakError: it did not end in order.
    """
    with sweep.start() as group:
        if group.first.wait():
            raise SoakError(f"a sweep that was left alone failed: {sweep.last_words(-2000)}")
    return {"starts": 1, **found(sweep)}


def disturbed(sweep: Sweep, killer: Killer) -> dict[str, float]:
    """Sweep until it ends in order, and kill all the while.

    Raises:
        SoakError: it ends early though nothing was killed, or does not say what to do.
    """
    starts, ends, torn = 0, 0, 0
    while ends < MOST_ENDS:
        starts, said = starts + 1, sweep.log.stat().st_size if sweep.log.exists() else 0
        with sweep.start() as group:
            hit = killer.kill(sweep, group)
            status = group.first.wait(PATIENCE)
        torn += len(records.find([sweep.records], SCALE).problems)
        if status == 0:
            counts = {name: killer.counts[name] for name in ("workers killed", "sweeps killed")}
            return {"starts": starts, **found(sweep), **counts, "torn": torn}
        if hit and status > 0 and ADVICE not in sweep.last_words(said):
            raise SoakError(f"it lost a worker and does not say what to do: {sweep.last_words(said)}")
        ends = 0 if hit else ends + 1
    raise SoakError(f"it ends early though nothing is killed: {sweep.last_words(-2000)}")


def found(sweep: Sweep) -> dict[str, float]:
    """What log and records say of a sweep's runs.

    Returns:
        Minutes from the first start to the last end; how many are finished, were run twice, and went on from
        a checkpoint; how often they did.
    """
    done = [record for record in records.find([sweep.records], SCALE).records if record.outcome is not None]
    resumes = [record.circumstances["num_resumes"] for record in done]
    told = Counter(re.findall(r"^success +(\S+)", sweep.log.read_text(encoding="utf-8"), re.MULTILINE))
    return {
        "minutes": _minutes(done),
        "finished": len(done),
        "run twice": sum(count > 1 for count in told.values()),
        "continued": sum(map(bool, resumes)),
        "continuations": sum(resumes),
    }


def differences(one: Sweep, other: Sweep) -> dict[str, int]:
    """How many outcomes, files beside records, and tables are not the same in both sweeps."""
    pairs: dict[str, tuple[Mapping[str, object], Mapping[str, object]]] = {
        "outcomes that differ": (outcomes(one), outcomes(other)),
        "files that differ": (files(one.records), files(other.records)),
        "tables that differ": (tables(one), tables(other)),
    }
    return {
        what: sum(first.get(name) != second.get(name) for name in first.keys() | second.keys())
        for what, (first, second) in pairs.items()
    }


def outcomes(sweep: Sweep) -> dict[str, str]:
    """Hash and outcome of every run, as text."""
    return {
        record.run_id: json.dumps([record.status, record.hash, record.outcome], sort_keys=True)
        for record in records.find([sweep.records], SCALE).records
    }


def files(root: Path) -> dict[str, bytes]:
    """Answers, footprints, and scraps, if there are any."""
    return {
        str(path.relative_to(root)): content(path)
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".json"
    }


def content(path: Path) -> bytes:
    """A file's bytes; the entries of a header of safetensors, which writes them in any order, are sorted."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    end = 8 + int.from_bytes(data[:8], "little")
    return json.dumps(json.loads(data[8:end]), sort_keys=True).encode() + data[end:]


def tables(sweep: Sweep) -> dict[str, bytes]:
    """The files that `experiments.report tables` writes of a sweep's records alone."""
    folders = {"results": "runs", "reference": "none", "tables": "tables", "cache": "cache"}
    words = [f"{name}={sweep.folder / folder}" for name, folder in folders.items()]
    command = [sys.executable, "-m", "experiments.report", "tables", f"scale={SCALE}", *words]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment()})
    return files(sweep.folder / "tables")


def environment() -> dict[str, str]:
    """The variables of the processes."""
    path = os.pathsep.join(filter(None, [str(results.PROJECT), os.environ.get("PYTHONPATH")]))
    return {**ENVIRONMENT, "PYTHONPATH": path}


def _until(what: Callable[[], Seen], group: Group) -> Seen | None:
    """Wait until something is true, and return it; None if the sweep ends before.

    Raises:
        SoakError: neither comes.
    """
    deadline = time.monotonic() + PATIENCE
    while not (seen := what()):
        if group.first.poll() is not None:
            return None
        if time.monotonic() > deadline:
            raise SoakError("the sweep neither works nor ends")
        time.sleep(0.05)
    return seen


def _newer_checkpoint(cache: Path, begun: float) -> bool:
    """Whether a run has written a checkpoint since: before that, workers only import."""
    with contextlib.suppress(FileNotFoundError):  # a run ends, and its folder goes, while it is looked at
        written = (cache / "checkpoints").rglob("checkpoint-*")
        return any(path.stat().st_mtime >= begun for path in written)
    return False


def _at_work(cache: Path, group: Group) -> list[int]:
    """The sweep's processes that hold a run, by the locks."""
    holders = running.see(cache, SCALE, FAMILY).running.values()
    return sorted({holder.pid for holder in holders if holder is not None} & {*group.members()})


def _minutes(done: Sequence[RunRecord]) -> float:
    starts, ends = (
        [datetime.fromisoformat(record.circumstances[when]) for record in done]
        for when in ("started_at", "finished_at")
    )
    return round((max(ends) - min(starts)).total_seconds() / 60, 1)
