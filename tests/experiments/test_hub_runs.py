"""Scale minilm against a stand-in for the hub: no folder is named, and the record names what was taken."""

import os
import subprocess
import sys
from pathlib import Path

import hub_world
import pytest
import small_world

from experiments import records
from experiments.composing import load
from experiments.config import run_id
from experiments.identity import run_hash
from experiments.records import RunRecord
from experiments.report import grid, sameness

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def hub(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub_world.make(tmp_path_factory.mktemp("hub"), world)


def run(out: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """A sweep over two tasks that names no folder."""
    words = ["scale=minilm", "row=vblora_qv", "task=cola,stsb", f"paths.results={out}/runs"]
    words += [f"paths.cache={out}/cache", *small_world.SHORT, *small_world.OPTIONS["vblora"], "variant=small"]
    command = [sys.executable, "-m", "experiments.run", "-m", *words, *more]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=600)


def found(out: Path) -> list[RunRecord]:
    return records.find([out / "runs"], "minilm").records


# Fails if a label is the hub's 32-bit number: then the data's digest is another than that of the files.
def test_runs_from_the_hub_name_its_commits_and_are_those_from_folders(
    world: Path, hub: Path, tmp_path: Path
) -> None:
    with hub_world.serve(hub, tmp_path / "home") as environment:
        ended = run(tmp_path / "hub", environment, "data.train_fraction=0.5")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folders = [f"model.path={world}/model", f"data.root={world}/glue", "data.train_fraction=0.5"]
    assert run(tmp_path / "files", {**os.environ}, *folders).returncode == 0
    here, there = found(tmp_path / "hub"), found(tmp_path / "files")
    assert [record.run_id for record in here] == [record.run_id for record in there] and len(here) == 2
    for ours, theirs in zip(here, there, strict=True):
        assert ours.outcome is not None and theirs.outcome is not None
        data = ours.outcome["data"]
        assert ours.outcome["model_commit"] == hub_world.COMMITS[hub_world.MODEL]
        assert (data["repository"], data["commit"]) == (hub_world.DATA, hub_world.COMMITS[hub_world.DATA])
        assert data["num_train"] == 20 and theirs.outcome["model_commit"] is None
        assert ours.config["model"]["path"] == hub_world.MODEL and ours.hash != theirs.hash
        assert ours.outcome["scores"] == theirs.outcome["scores"]
        assert sameness.differences(ours, theirs) == []


def test_a_pinned_commit_that_the_hub_lacks_is_named(hub: Path, tmp_path: Path) -> None:
    with hub_world.serve(hub, tmp_path / "home") as environment:
        ended = run(tmp_path, environment, "task=cola", f"model.revision={'c' * 40}")
    assert ended.returncode == 1 and "minilm: cannot be loaded from hub" in ended.stdout
    (record,) = found(tmp_path)
    assert record.error is not None and "c" * 40 in record.error["message"]


def test_a_hub_that_cannot_be_reached_is_told_with_the_folders_that_do_without(tmp_path: Path) -> None:
    """Port 9 of this machine answers nobody."""
    environment = hub_world.environment("http://127.0.0.1:9", tmp_path / "home")
    ended = run(tmp_path, environment, "task=cola")
    assert ended.returncode == 1
    (record,) = found(tmp_path)
    assert record.error is not None
    assert "nyu-mll/glue at revision newest cannot be read from the hub" in record.error["message"]
    assert "data.source=local data.root=<folder>" in record.error["message"]


# Fails if the model, the data, or a commit that is given for them counts as a setting of the user's.
@pytest.mark.parametrize(
    "words",
    [
        ["model.path={}", "data.root={}"],
        ["model.source=local", "model.path={}", "data.source=local", "data.root={}"],
        ["data=local", "data.root={}"],
        ["data=hub", "data.revision=main", "model.revision=main"],
        [],
    ],
)
def test_hub_and_folders_are_one_row(words: list[str], tmp_path: Path) -> None:
    cfg = load(["scale=minilm", "task=mrpc", *(word.format(tmp_path) for word in words)])
    assert cfg.variant == "paper" and cfg.data.train_fraction == 0.5
    local = [word.partition("=")[0] for word in words]
    assert cfg.model.source == ("local" if "model.path" in local else "hub")
    assert cfg.data.source == ("local" if "data.root" in local else "hub")


@pytest.mark.parametrize(
    "words", [["data=synthetic"], ["model.path=other/model", "model.source=hub"], ["data.source=synthetic"]]
)
def test_another_model_or_other_data_are_another_row(words: list[str]) -> None:
    assert load(["scale=minilm", *words]).variant != "paper"


# Fails if the folders' names, the source's new spelling or the scale's group of data came into a hash.
def test_committed_records_are_still_these_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = records.find([PROJECT / "results" / "reference"], "minilm").records
    tried = [record for record in kept if record.identity.variant == "paper" and record.identity.seed == 0]
    assert len(tried) >= 18
    for record in tried:
        identity = record.identity
        row = grid.row_choice(identity.method, identity.targets)
        folders = [f"model.path={tmp_path}", f"data.root={tmp_path}"]
        cfg = load(["scale=minilm", f"row={row}", f"task={identity.task}", *folders])
        monkeypatch.setattr(
            "experiments.identity.versions", lambda _, record=record: record.config["versions"]
        )
        assert (run_id(cfg), run_hash(cfg)) == (record.run_id, record.hash)
