"""What every test gets: no network, one thread, no writing to results/, real data where it is at hand.

And nothing of the user's own: no variables that change what programs do, no random numbers that depend on the
tests before.
"""

import os
import random
import re
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
# Of W&B, judge, scheduler, torchrun, accelerate, Hydra, git's hooks, make (which hands words on), terminal.
FOREIGN = re.compile(
    r"WANDB_.*|SLURM_.*|ACCELERATE_.*|HYDRA_.*|OPENAI_.*|JUDGE_MODEL"
    r"|(LOCAL_)?RANK|(LOCAL_)?WORLD_SIZE|MASTER_(ADDR|PORT)"
    r"|GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)"
    r"|MAKE(FLAGS|LEVEL|OVERRIDES|FILES)|MFLAGS|SCALE|FAMILY|ARGS|ENTITY|PROJECT|RUN|CPU|INSTALLER"
    r"|(CLI)?(FORCE_COLOR|COLOR_FORCE)|TTY_(COMPATIBLE|INTERACTIVE)|MATPLOTLIBRC"
)
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "TOKENIZERS_PARALLELISM": "false",
    # Small models run slower on two threads than on one, and much slower beside another job.
    "OMP_NUM_THREADS": "1",
    # Servers of the tests are on this machine, and no proxy's business.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    # Child processes import this project, wherever the environment's own copy lies.
    "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
}
for name in filter(FOREIGN.fullmatch, list(os.environ)):
    del os.environ[name]
os.environ.update(OFFLINE)  # before torch and transformers are imported, and for child processes

RESULTS = str(PROJECT / "results") + os.sep
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _keep_results_clean(event: str, args: tuple) -> None:
    """Refuse to create, change or move anything under results/ in this process."""
    if event == "open":
        written = args[:1] if args[2] & WRITING else ()
    elif event == "os.mkdir":
        written = args[:1]
    elif event == "os.rename":
        written = args[:2]
    else:
        return
    for path in written:
        if isinstance(path, str) and os.path.abspath(path).startswith(RESULTS):
            raise PermissionError(f"a test writes to {path}; tests write to tmp_path only")


sys.addaudithook(_keep_results_clean)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets in official formats: $VBLORA_DATA, else shared/data beside the project."""
    root = Path(os.environ.get("VBLORA_DATA") or PROJECT.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not there; set VBLORA_DATA to a folder that holds glue/")
    return root


@pytest.fixture(scope="session", autouse=True)
def _folders_of_wandb(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its settings, cache and staged files are not the user's, whose home may not be written."""
    for name in ("CONFIG", "CACHE", "DATA"):
        os.environ[f"WANDB_{name}_DIR"] = str(tmp_path_factory.mktemp(f"wandb-{name.lower()}"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Random numbers are those of the test, in whatever order the tests run."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
