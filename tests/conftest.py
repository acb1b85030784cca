"""What every test gets: no network, one thread, no writing to results/, real data where it is at hand."""

import os
import sys
from pathlib import Path

import pytest

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "TOKENIZERS_PARALLELISM": "false",
    # Small models run slower on two threads than on one, and much slower beside another job.
    "OMP_NUM_THREADS": "1",
}
os.environ.update(OFFLINE)  # before torch and transformers are imported, and for child processes

PROJECT = Path(__file__).resolve().parents[1]
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
