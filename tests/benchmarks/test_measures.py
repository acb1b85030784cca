"""Every measurement runs, on little data, and what it compares is the same work."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import __main__ as command_line
from benchmarks import batching
from experiments import small_pretraining
from experiments.decoder_pretraining import random_decoder


@pytest.fixture
def small_gpt2(tmp_path: Path, shared_data: Path) -> Path:
    """With random weights."""
    recipe = replace(small_pretraining.RECIPES["e2e"], num_steps=1, num_layers=1, width=24)
    tokenizer = small_pretraining.tokenizer_of(shared_data / "gpt2_vocab", recipe.max_tokens)
    end = int(tokenizer.eos_token_id)
    torch.manual_seed(0)
    model = random_decoder(recipe, len(tokenizer), end, end, None, tied=True)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(tmp_path: Path, data: Path, name: str, *words: str) -> dict[str, Any]:
    options = ["--data", str(data), "--rounds", "1", *words]
    command_line.main(["--results", str(tmp_path / "results"), name, *options])
    (path,) = tmp_path.glob("results/*/*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    cases: dict[str, Any] = found["cases"]
    return cases


def test_batching_reads_the_same_tokens_on_every_side(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = batching.works
    assert list(works(shared_data)) == ["E2E", "Alpaca", "GSM8K", "MATH"]
    monkeypatch.setattr(batching, "works", lambda data: {"E2E": works(data)["E2E"]})
    vocabulary = str(shared_data / "gpt2_vocab")
    cases = run(tmp_path, shared_data, "batching", "--vocabulary", vocabulary, "--batches", "1")
    places = {name: facts["places"] for name, facts in cases["E2E"]["facts"].items()}
    assert places["fixed"] == 8 * 512 > places["longest"] >= places["grouped"] >= cases["E2E"]["amount"]


def test_grading_compares_all_that_it_is_given(tmp_path: Path, shared_data: Path) -> None:
    cases = run(tmp_path, shared_data, "grading", "--answers", "20", "--workers", "2")
    assert list(cases["GSM8K and MATH"]["sides"]) == ["1 process", "2 processes"]


def test_answering_gives_the_same_texts_on_every_side(
    tmp_path: Path, shared_data: Path, small_gpt2: Path
) -> None:
    cases = run(tmp_path, shared_data, "answering", "--model", str(small_gpt2), "--prompts", "3")
    assert list(cases["greedy"]["sides"])[0] == "one by one, no cache"
    assert {facts["other texts"] for case in cases.values() for facts in case["facts"].values()} == {0}
