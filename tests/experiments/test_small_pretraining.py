"""Small language models from real text: what is read, how it is cut, and a folder that loads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments import small_pretraining
from experiments.small_pretraining import RECIPES, blocks, make, read_texts

REFERENCES = [
    "Zizi is a pub.",
    "Zizi is a pub.",
    "The pub Zizi is cheap.",
    "Aromi serves pizza near the river.",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """E2E's three files; every reference of the training set is there twice over."""
    rows = "".join(f'"name[Zizi], eatType[pub]","{text}"\n' for text in REFERENCES * 2)
    for name in ("trainset", "devset", "testset_w_refs"):
        (tmp_path / f"{name}.csv").write_text(f'"mr","ref"\n{rows}', encoding="utf-8")
    return tmp_path


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """A byte-level vocabulary in GPT-2's form, without merges."""
    letters = sorted(set("".join(REFERENCES).replace(" ", "\u0120")))
    tokens = {token: number for number, token in enumerate([*letters, "<|endoftext|>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return tmp_path


def test_each_reference_is_read_once_and_no_meaning(data: Path) -> None:
    assert read_texts("e2e", data) == list(dict.fromkeys(REFERENCES))


def test_texts_are_joined_by_the_end_of_text_and_cut_into_whole_blocks() -> None:
    assert blocks([[1, 2], [3], [4, 5]], end=0, size=3).tolist() == [[1, 2, 0], [3, 0, 4]]


def test_made_folder_is_loaded_and_has_learned(data: Path, vocabulary: Path, tmp_path: Path) -> None:
    small = replace(RECIPES["e2e"], num_layers=1, width=32, num_heads=2, batch_size=2, block=8, peak_lr=1e-2)
    losses = []
    for epochs in (1, 30):
        out = tmp_path / f"made{epochs}"
        make("e2e", data, vocabulary, out, replace(small, epochs=epochs))
        model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
        ids = torch.tensor([tokenizer(REFERENCES[0])["input_ids"]])
        with torch.no_grad():
            losses.append(float(small_pretraining.loss_of(model, ids)))
    assert losses[1] < 0.7 * losses[0]
    facts = json.loads((out / "recipe.json").read_text(encoding="utf-8"))
    assert (facts["texts"], facts["num_texts"], facts["epochs"]) == ("e2e", 3, 30) and facts["num_steps"] > 30


def test_folder_that_is_there_is_not_written_over(
    data: Path, vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["x", "e2e", "--data", str(data), "--vocabulary", str(vocabulary), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        small_pretraining.main()


def test_vocabulary_that_is_missing_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="vocab.json"):
        make("e2e", data, tmp_path / "nowhere", tmp_path / "out", RECIPES["e2e"])
