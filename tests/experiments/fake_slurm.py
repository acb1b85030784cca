"""A SLURM of one machine: the commands that submitit calls, under which it runs what was submitted.

A cluster is a folder. It holds <number>.sh, the script that was submitted; <job>.state, what became of each
job of its array, named 1_0, 1_1, …; and for a moment <job>.again, where a job is to be run once more.
"""

import argparse
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WHERE = "FAKE_SLURM"


def install(folder: Path) -> dict[str, str]:
    """Make a cluster; returns the variables of those that use it."""
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        path = folder / "bin" / name
        path.write_text(
            f'#!/bin/sh\nexec {shlex.join([sys.executable, __file__, name])} "$@"\n', encoding="utf-8"
        )
        path.chmod(0o755)
    return {"PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]), WHERE: str(folder)}


def sbatch(file: str) -> None:
    """Submit a script: a process of its own runs its jobs."""
    number = 1 + len(list(cluster().glob("*.sh")))
    shutil.copy(file, cluster() / f"{number}.sh")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, __file__, "node", str(number)], **quiet)
    print(f"Submitted batch job {number}")


def node(number: str) -> None:
    """Run the jobs of a script, as many at a time as its array allows."""
    script = (cluster() / f"{number}.sh").read_text(encoding="utf-8")
    array = re.search(r"^#SBATCH --array=0-(\d+)%(\d+)$", script, re.MULTILINE)
    jobs = [f"{number}_{task}" for task in range(int(array[1]) + 1)] if array else [number]
    with ThreadPoolExecutor(int(array[2]) if array else 1) as pool:
        list(pool.map(run, jobs))


def run(job: str) -> None:
    """Run a job, and again as long as it asks for it."""
    number, _, task = job.partition("_")
    names = ("PROCID", "LOCALID", "NODEID")
    about = {"SLURM_JOB_ID": number, "SLURM_NTASKS": "1", **{f"SLURM_{name}": "0" for name in names}}
    about |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task} if task else {}
    again = True
    while again:
        note(job, "RUNNING")
        command = ["bash", str(cluster() / f"{number}.sh")]
        status = subprocess.run(command, env={**os.environ, **about}, check=False).returncode
        again = (cluster() / f"{job}.again").exists()
        (cluster() / f"{job}.again").unlink(missing_ok=True)
    note(job, "FAILED" if status else "COMPLETED")


def note(job: str, state: str) -> None:
    (cluster() / f"{job}.state").write_text(state, encoding="utf-8")


def srun(*words: str) -> None:
    """Run a command and put what it says into the files that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--unbuffered", action="store_true")
    parser.add_argument("--output", type=place)
    parser.add_argument("--error", type=place)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(words)
    with asked.output.open("ab") as out, asked.error.open("ab") as errors:
        sys.exit(subprocess.run(asked.command, stdout=out, stderr=errors, check=False).returncode)


def place(pattern: str) -> Path:
    """A file by the names that SLURM puts in: job, task of the array, process."""
    number, task = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID", "")
    named = {"%j": number, "%A": number, "%a": task, "%t": "0"}
    path = Path(re.sub("%[jAat]", lambda found: named[found[0]], pattern))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sacct(*_: str) -> None:
    """What became of every job."""
    print("JobID|State|NodeList")
    for path in sorted(cluster().glob("*.state")):
        print(f"{path.stem}|{path.read_text(encoding='utf-8')}|{socket.gethostname()}")


def scontrol(word: str, job: str) -> None:
    """Put a job into the queue again."""
    assert word == "requeue"
    (cluster() / f"{job}.again").touch()


def cluster() -> Path:
    return Path(os.environ[WHERE])


COMMANDS: dict[str, Callable[..., None]] = {
    "sbatch": sbatch,
    "srun": srun,
    "sacct": sacct,
    "scontrol": scontrol,
}

if __name__ == "__main__":
    {**COMMANDS, "node": node}[sys.argv[1]](*sys.argv[2:])
