import json
from pathlib import Path

import datasets
import pytest

from experiments.data import hub, math_hub
from experiments.data.examples import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
COMMITS = dict.fromkeys(math_hub.REPOSITORIES, COMMIT)
ROWS = {
    "metamath": [{"type": "GSM_SV", "query": f"{i}?", "response": f"The answer is: {i}"} for i in range(5)],
    "gsm8k": [{"question": "q", "answer": "a\n#### 7"}],
    "math": [{"problem": "p", "solution": "\\boxed{x}", "level": "Level 1", "type": "Algebra"}],
}


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Local folders that `datasets` reads as it reads the hub's, with the configurations of the real ones."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name, rows in ROWS.items():
        (tmp_path / name).mkdir()
        card = ["---", "configs:"]
        for configuration in math_hub.CONFIGURATIONS[name]:
            card += [f"- config_name: {configuration or 'default'}", "  data_files:"]
            for split in ("train", "test"):
                file = tmp_path / name / f"{configuration}-{split}.jsonl"
                named = {"problem": f"{configuration} {split}"} if name == "math" else {}
                file.write_text("".join(json.dumps(row | named) + "\n" for row in rows), encoding="utf-8")
                card.append(f"    - {{split: {split}, path: {file.name}}}")
        (tmp_path / name / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    return {name: str(tmp_path / name) for name in ROWS}


def test_the_hubs_sets_become_the_same_examples_as_local_files(repositories: dict[str, str]) -> None:
    splits = math_hub.hub_splits(COMMITS, num_train=3, held_out=1, repositories=repositories)
    assert len(splits["train"]) == 2 and len(splits["validation"]) == 1
    sources = [example.source for example in splits["train"] + splits["validation"]]
    assert sorted(sources) == ["0?", "1?", "2?"]
    assert splits["test"][0].references == ("7",)
    subjects = [f"{name} test" for name in math_hub.SUBJECTS]
    assert [example.source for example in splits["test"][1:]] == subjects


def test_math_is_learned_over_all_its_subjects(repositories: dict[str, str]) -> None:
    splits = math_hub.hub_splits(COMMITS, "math", num_train=4, repositories=repositories)
    subjects = [f"{name} train" for name in math_hub.SUBJECTS[:4]]
    assert [example.source for example in splits["train"]] == subjects


def test_a_bad_row_is_named_by_repository_and_row(repositories: dict[str, str]) -> None:
    path = Path(repositories["gsm8k"]) / "main-test.jsonl"
    path.write_text(json.dumps({"question": "q", "answer": "none"}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="gsm8k, main, test, row 0: the answer ends in 'none'"):
        math_hub.hub_splits(COMMITS, "gsm8k", repositories=repositories)


def test_every_set_in_use_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, str]] = []
    monkeypatch.setattr(hub, "resolve", lambda revision, name: asked.append((revision, name)) or COMMIT)
    assert math_hub.resolve({"gsm8k": "main"}, "gsm8k") == {"gsm8k": COMMIT, "math": COMMIT}
    assert asked == [("main", "openai/gsm8k"), (None, "EleutherAI/hendrycks_math")]
    assert list(math_hub.resolve({})) == ["metamath", "gsm8k", "math"]


def test_offline_says_what_to_do() -> None:
    with pytest.raises(DataError, match="meta-math/MetaMathQA at .* use data.source=local data.root="):
        math_hub.hub_splits(COMMITS)
    with pytest.raises(DataError, match="no training set 'alpaca'"):
        math_hub.resolve({}, "alpaca")
