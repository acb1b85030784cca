"""Every measurement runs, on little data, and what it compares is the same work."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command_line
from benchmarks import answering, batching, grading
from experiments import small_pretraining
from experiments.decoder_pretraining import random_decoder
from experiments.grading.math import scoring


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
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    cases: dict[str, Any] = found["cases"]
    return cases


def test_batching_covers_every_text_of_an_epoch_once_whatever_the_side(shared_data: Path) -> None:
    lengths = np.random.default_rng(1).integers(1, 500, 1000)
    for work in batching.works(shared_data).values():
        for side in work.sides:
            forwards = batching.epoch(work, lengths, side)
            assert sorted(np.concatenate(forwards)) == list(range(1000))
            assert max(map(len, forwards)) == (1 if side == "alone" else work.micro_batch_size)


def test_places_a_token_by_hand() -> None:
    lengths, forwards = np.array([2, 4, 3]), [np.array([0, 1]), np.array([2])]
    assert batching.places_a_token(lengths, forwards, "longest") == (2 * 4 + 3) / 9
    assert batching.places_a_token(lengths, forwards, "fixed") == 3 * 512 / 9


@pytest.mark.slow
def test_batching_measures_padding_and_logits(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = batching.works
    assert list(works(shared_data)) == ["E2E", "Alpaca", "GSM8K", "MATH"]
    monkeypatch.setattr(batching, "works", lambda data: {"E2E": works(data)["E2E"]})
    vocabulary = str(shared_data / "gpt2_vocab")
    cases = run(tmp_path, shared_data, "batching", "--vocabulary", vocabulary, "--texts", "8")
    places = [facts["places a token"] for facts in cases["E2E: padding"]["facts"].values()]
    assert places == sorted(places, reverse=True) and places[0] > 5 > 1.2 > places[-1] >= 1
    whole, learned = cases["E2E: logits"]["sides"].values()
    assert whole["amount"] == learned["amount"] > 8 * 20


def test_grading_compares_all_that_it_is_given(tmp_path: Path, shared_data: Path) -> None:
    cases = run(tmp_path, shared_data, "grading", "--answers", "20", "--workers", "2")
    sides = cases["GSM8K and MATH"]["sides"]
    assert list(sides) == ["1 worker", "2 workers"] and {side["amount"] for side in sides.values()} == {21}
    rows = grading.rows(shared_data, 20)
    assert {row["group"] for row in rows} == {"gsm8k", "math"}
    right = [verdict.proper for verdict in scoring.grade(rows).verdicts]
    assert all(right[::2]) and not all(right[1::2])


@pytest.mark.slow
def test_answering_gives_the_same_texts_on_every_side(
    tmp_path: Path, shared_data: Path, small_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, way in answering.WAYS.items():
        monkeypatch.setitem(answering.WAYS, name, replace(way, batch_size=2))
    cases = run(tmp_path, shared_data, "answering", "--model", str(small_gpt2), "--prompts", "5")
    assert list(cases["greedy"]["sides"])[0] == "one by one, no cache"
    assert {facts["other texts"] for case in cases.values() for facts in case["facts"].values()} == {0}
