import time
from pathlib import Path

import pytest
import small_world
import text_world
from offline_runs import offline_runs, read

from experiments import pipeline
from experiments.composing import load

RATES = ["optim.head_lr=1e-3", "optim.bank_lr=1e-3", "optim.logits_lr=1e-2"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of tracked runs of VB-LoRA, one for each of GLUE's scores; the newest is STS-B's."""
    folder = tmp_path_factory.mktemp("watched")
    world = small_world.make(folder / "world")
    (world / "glue" / "SST-2").mkdir()
    for file in ("train.tsv", "dev.tsv"):
        text = "sentence\tlabel\n" + "a b c\t1\nd e f\t0\n" * 8
        (world / "glue" / "SST-2" / file).write_text(text, encoding="utf-8")
    for task in ("sst2", "cola", "stsb"):
        time.sleep(1 - time.time() % 1)  # the viewer orders runs by the second in which they began
        words = ["tracker=wandb", "optim.epochs=1", f"task={task}", *RATES]
        record = pipeline.run(load(small_world.overrides(world, folder, "vblora", "qv", *words)))
        assert record.status == "success", record.error
    return folder / "cache"


@pytest.fixture(scope="session")
def text_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of one tracked run of each family of generated text."""
    folder = tmp_path_factory.mktemp("texts")
    for family in ("e2e", "instruct", "math"):
        words = text_world.overrides(family, folder, "row=vblora_all", "tracker=wandb")
        record = pipeline.run(load(words))
        assert record.status == "success", record.error
    return folder / "cache"


def logged(cache: Path, family: str) -> set[str]:
    """Every key that the runs of a family have in their history or their summary."""
    keys: set[str] = set()
    for path in offline_runs(cache):
        run = read(path)
        if run["config"]["family"] == family:
            keys |= set(run["summary"]) | {key for row in run["history"] for key in row}
    return keys
