import re
from pathlib import Path

import datasets
import httpx2
import huggingface_hub
import pytest

from experiments import data
from experiments.config import DataConfig
from experiments.data import hub
from experiments.data.examples import DataError, Example

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = {
    "cola": "sentence,label\none,1\ntwo,0\n",
    "stsb": "sentence1,sentence2,label\none,two,2.5\nsix,ten,0.0\n",
    "rte": "sentence1,sentence2,label\none,two,1\nsix,ten,0\n",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A local folder that `datasets` reads as it reads the hub's: one configuration a task."""
    configs = []
    for task, rows in ROWS.items():
        files = []
        for split in ("train", "validation"):
            (tmp_path / f"{task}-{split}.csv").write_text(rows, encoding="utf-8")
            files.append(f"    - {{split: {split}, path: {task}-{split}.csv}}")
        configs += [f"- config_name: {task}", "  data_files:", *files]
    (tmp_path / "README.md").write_text("\n".join(["---", "configs:", *configs, "---", ""]), encoding="utf-8")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return str(tmp_path)


def test_examples_come_from_the_tasks_columns(repository: str) -> None:
    splits = hub.glue_splits("stsb", COMMIT, repository)
    assert splits["train"] == [Example("one", "two", 2.5), Example("six", "ten", 0.0)]
    splits = hub.glue_splits("cola", COMMIT, repository)
    assert splits["validation"] == [Example("one", None, 1), Example("two", None, 0)]
    assert isinstance(splits["train"][0].label, int)


def test_a_branch_is_resolved_and_the_commit_recorded(
    repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Info:
        sha = COMMIT

    asked = []
    monkeypatch.setattr(hub, "REPOSITORY", repository)
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "dataset_info",
        lambda self, name, revision: asked.append((name, revision)) or Info(),
    )
    found = data.glue("rte", DataConfig(source="hub", revision="main", max_length=8))
    assert asked == [(repository, "main")]
    assert found.description["commit"] == COMMIT
    assert found.description["repository"] == repository
    assert len(found.splits["train"]) == 2


def test_a_full_commit_is_not_asked_for() -> None:
    assert hub.resolve(COMMIT) == COMMIT


@pytest.mark.parametrize("revision", [None, "main"])
def test_offline_gives_a_message_that_helps(revision: str | None) -> None:
    with pytest.raises(DataError, match=re.escape("use data.source=local data.root=<folder>")) as error:
        hub.resolve(revision)
    assert "nyu-mll/glue" in str(error.value)


def test_offline_without_a_cached_commit_gives_the_same_message() -> None:
    with pytest.raises(DataError, match=f"nyu-mll/glue at revision {COMMIT} cannot be read from the hub"):
        hub.glue_splits("cola", COMMIT)


# What the hub's library raises without a network; it is no OSError.
def test_without_a_network_the_message_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise httpx2.ConnectError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(DataError, match="Name or service not known. Connect, or unset HF_HUB_OFFLINE"):
        hub.resolve("main")


def test_missing_column_and_unknown_task_are_named(repository: str) -> None:
    for split in ("train", "validation"):
        (Path(repository) / f"rte-{split}.csv").write_text(
            "premise,sentence2,label\none,two,1\n", encoding="utf-8"
        )
    with pytest.raises(DataError, match="rte, train: no column sentence1 at 0123"):
        hub.glue_splits("rte", COMMIT, repository)
    with pytest.raises(DataError, match="no columns known for task 'wnli'"):
        hub.glue_splits("wnli", COMMIT, repository)
