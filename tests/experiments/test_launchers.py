"""Sweeps whose runs are jobs: on this machine, and on a SLURM that is faked (`fake_slurm`).

basic and joblib run as real processes in test_two_sweeps.py. Without `max_num_timeout` in
conf/launcher/slurm.yaml a job at its time limit ended with a record of status failed, which fails here.
"""

import os
import re
import signal
import sys
import time
from pathlib import Path

import fake_slurm
import joblib
import pytest
import yaml
from small_world import make
from submitit.core.utils import UncompletedJobError
from sweeping import PROJECT, Sweep, outcomes, started, wait_for, words

from experiments import claims, launching, locks, pipeline, records
from experiments.composing import load

SETTINGS = yaml.safe_load((PROJECT / "conf/launcher/slurm.yaml").read_text(encoding="utf-8"))["hydra"][
    "launcher"
]
# What sbatch calls the settings that it has another name for, and what it gets of them.
SBATCH = {"tasks_per_node": "ntasks-per-node", "timeout_min": "time", "mem_gb": "mem", "name": "job-name"}
TOLD_APART = {"signal_delay_s", "max_num_timeout", "additional_parameters", "array_parallelism"}
ELSEWHERE = {"submitit_folder", "setup"}
SEED5 = "glue/stsb/minilm/lora-qv-small/seed5"
LONG = ("task=stsb", "seed=5", "optim.epochs=60", "paths.save_seconds=0")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("world"))


def alone(world: Path, out: Path, *more: str) -> dict[str, str]:
    """What a run gives by itself, in this process."""
    pipeline.run(load([word for word in words(world, out, *more) if word != "-m"]))
    return outcomes(out / "runs")


@pytest.mark.parametrize("launcher", [pytest.param("submitit_local", marks=pytest.mark.slow), "slurm"])
def test_every_run_is_a_job_and_one_that_fails_stops_no_other(
    launcher: str, world: Path, tmp_path: Path
) -> None:
    cluster = fake_slurm.install(tmp_path / "slurm")
    plain = words(world, tmp_path, "task=sst2,cola", f"launcher={launcher}")
    with started(tmp_path / "log", *plain, variables=cluster) as sweep:
        assert sweep.ended() == 1, "SST-2 has no files here"
    assert len(sweep.told("failed")) == len(sweep.told("success")) == 1, sweep.said()
    assert "2 runs: 1 success, 1 failed" in sweep.said() and "Traceback" not in sweep.said()
    assert outcomes(tmp_path / "runs") == alone(world, tmp_path / "alone", "task=cola")
    jobs = {path.stem for path in (tmp_path / "slurm").glob("*.state")}
    assert jobs == ({"1_0", "1_1"} if launcher == "slurm" else set())
    if launcher == "slurm":
        holds_the_settings((tmp_path / "slurm/1.sh").read_text(encoding="utf-8"), tmp_path / "cache")


def holds_the_settings(script: str, cache: Path) -> None:
    """Every line of conf/launcher/slurm.yaml has come to sbatch, and nothing that was left to the cluster."""
    given = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE))
    for name, value in SETTINGS.items():
        if name not in TOLD_APART | ELSEWHERE:
            key = SBATCH.get(name, name.replace("_", "-"))
            assert given.get(key, "None") == (f"{value}GB" if name == "mem_gb" else str(value)), name
    assert given["signal"] == f"USR2@{SETTINGS['signal_delay_s']}" and given["requeue"] == ""
    assert given["array"] == "0-1%2", "no more at a time than there are"
    assert Path(given["output"]).is_relative_to(cache / "sweeps"), "where all nodes see it"


def test_settings_of_a_user_and_the_lines_before_a_job_come_to_sbatch(world: Path, tmp_path: Path) -> None:
    cluster = fake_slurm.install(tmp_path / "slurm")
    asked = ["partition=gpu", "account=me", "qos=low", "array_parallelism=1", "setup=['export MINE=1']"]
    plain = words(world, tmp_path, "task=cola", "seed=0,1", "check=true", "launcher=slurm")
    command = [*plain, *(f"hydra.launcher.{word}" for word in asked)]
    with started(tmp_path / "log", *command, variables=cluster) as sweep:
        assert sweep.ended() == 0, sweep.said()
    lines = (tmp_path / "slurm/1.sh").read_text(encoding="utf-8").splitlines()
    expected = ["--partition=gpu", "--account=me", "--qos=low", "--array=0-1%1", "--gpus-per-node=1"]
    assert {f"#SBATCH {line}" for line in expected} <= set(lines)
    assert lines.index("export MINE=1") < lines.index("export SUBMITIT_EXECUTOR=slurm")


def holder(world: Path, out: Path) -> int:
    """The process of the long run, when it has written a checkpoint."""
    cfg = load([word for word in words(world, out, *LONG) if word != "-m"])
    wait_for(lambda: list(claims.checkpoint_dir(cfg).glob("checkpoint-*")))
    seen = locks.look(claims.lock_dir(Path(cfg.paths.cache), cfg.scale.name) / f"{SEED5}.lock")
    assert seen.holder is not None
    return seen.holder.pid


def slurm_sweep(world: Path, tmp_path: Path, *more: str) -> tuple[Path, list[str]]:
    """A log and the words of a sweep of the long run."""
    plain = words(world, tmp_path, *LONG, "launcher=slurm", *more)
    return tmp_path / "log", plain


@pytest.mark.parametrize("minutes", [1, 720], ids=["time limit", "preempted"])
@pytest.mark.slow
def test_slurm_job_that_is_stopped_goes_on_from_its_checkpoint(
    minutes: int, world: Path, tmp_path: Path
) -> None:
    """submitit tells the two apart by the time that has gone; SLURM signals both alike."""
    log, plain = slurm_sweep(world, tmp_path, f"hydra.launcher.timeout_min={minutes}")
    cluster = fake_slurm.install(tmp_path / "slurm")
    with started(log, *plain, variables=cluster) as sweep:
        os.kill(holder(world, tmp_path), signal.SIGUSR2)
        assert sweep.ended() == 0, sweep.said()
    assert sweep.told("success") == [SEED5]
    assert resumes(tmp_path) == 1
    assert outcomes(tmp_path / "runs") == alone(world, tmp_path / "alone", *LONG)


def resumes(out: Path) -> int:
    (record,) = records.find([out / "runs"], "minilm").records
    return int(record.circumstances["num_resumes"])


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["lost", "limit too often"])
def test_slurm_job_that_ends_early_is_told_and_the_same_command_goes_on(
    ending: str, world: Path, tmp_path: Path
) -> None:
    more = ["hydra.launcher.timeout_min=1", "hydra.launcher.max_num_timeout=0"]
    log, plain = slurm_sweep(world, tmp_path, *more)
    cluster = fake_slurm.install(tmp_path / "slurm")
    with started(log, *plain, variables=cluster) as sweep:
        os.kill(holder(world, tmp_path), signal.SIGKILL if ending == "lost" else signal.SIGUSR2)
        assert sweep.ended() == 1
        says(sweep, ending)
    with started(tmp_path / "again", *plain, variables=cluster) as sweep:
        assert sweep.ended() == 0, sweep.said()
    assert resumes(tmp_path) == 1
    assert outcomes(tmp_path / "runs") == alone(world, tmp_path / "alone", *LONG)


def test_worker_that_grows_after_its_first_job_is_kept() -> None:
    """Its first job needs nothing, as where a run is skipped, and the next 400 MB, as imports do."""

    def job(number: int) -> int:  # in here, so that a worker need not import this file
        launching.let_worker_grow()
        if number >= 2:
            sys.kept = b"x" * (400 * 2**20)  # type: ignore[attr-defined]
            time.sleep(1.1)  # joblib looks at a worker once a second
        return os.getpid()

    assert len({*joblib.Parallel(n_jobs=2, batch_size=1)(joblib.delayed(job)(n) for n in range(7))}) == 2


def test_error_of_a_lost_job_is_told_with_its_state(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), launching.in_words():
        raise UncompletedJobError(
            "Job 1 with path a\nhas not produced any output (state: NODE_FAIL)\nits log"
        )
    told = capsys.readouterr().err
    assert "Job 1 with path a has not produced any output (state: NODE_FAIL); HYDRA_FULL_ERROR=1" in told


def says(sweep: Sweep, ending: str) -> None:
    if ending == "lost":
        assert "has not produced any output (state: FAILED)" in sweep.said()
        assert "the same command goes on from here" in sweep.said()
    else:
        assert sweep.told("failed") == [SEED5]
        assert "Job not requeued because: timed-out too many times" in sweep.said()
