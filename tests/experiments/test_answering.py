"""Answers: in sorted batches, in the examples' order, resumable at the last batch, never another run's."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import answering, engines
from experiments.config import DataConfig, GenerationConfig
from experiments.data.examples import Prompted
from experiments.models import Backbone
from experiments.tasks.text import TextTask

EXAMPLES = [
    Prompted("b " * n, references=(str(n),), group=group) for group in ("x", "y") for n in (3, 1, 5, 2)
]
CONFIG = GenerationConfig(batch_size=3, max_new_tokens=7, max_new_tokens_of={"y": 9})


class Lengths(TextTask):
    """Answers a prompt with its length, and asks again where `turns` says so."""

    family = "math"

    def prompt(self, tokenizer: Any, example: Prompted) -> list[int]:
        return [1] * len(example.source.split())

    def follow_up(self, tokenizer: Any, example: Prompted, answer: str) -> list[int] | None:
        return [1] * (10 + int(answer)) if self.config.num_turns == 2 and answer != "5" else None


class Machine:
    """An engine that counts its batches and can be made to die at one."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.batches: list[tuple[list[int], int]] = []
        self.dies_at = dies_at

    def __call__(self, prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        if len(self.batches) == self.dies_at:
            raise KeyboardInterrupt
        self.batches.append(([len(prompt) for prompt in prompts], most))
        return [[len(prompt)] for prompt in prompts]


def run(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    machine: Machine,
    identity: str = "me",
    turns: int = 1,
    engine: str = "transformers",
) -> list[dict[str, Any]]:
    monkeypatch.setattr(engines, "build", lambda *_: machine)
    model: Any = SimpleNamespace(config=SimpleNamespace(use_cache=False))
    model.eval = lambda: model
    tokenizer: Any = SimpleNamespace(
        batch_decode=lambda rows, skip_special_tokens: [f" {row[0]} " for row in rows]
    )
    task = Lengths("any", DataConfig(source="synthetic", num_turns=turns))
    backbone = Backbone(model, tokenizer, None, "")
    rows = answering.answer(backbone, task, EXAMPLES, replace(CONFIG, engine=engine), folder, identity)
    assert model.config.use_cache is False
    return rows


def test_rows_stand_in_the_order_of_the_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = run(monkeypatch, tmp_path, Machine())
    assert [row["prediction"] for row in rows] == ["3", "1", "5", "2"] * 2
    assert [row["index"] for row in rows] == list(range(8))
    assert rows[4] == {
        "index": 4, "group": "y", "source": "b b b ", "references": ["3"], "prediction": "3",
    }  # fmt: skip


def test_batches_hold_one_group_each_with_its_limit_longest_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine()
    run(monkeypatch, tmp_path, machine)
    assert machine.batches == [([5, 3, 2], 7), ([1], 7), ([5, 3, 2], 9), ([1], 9)]


def test_vllm_which_makes_its_own_batches_gets_many_prompts_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine()
    run(monkeypatch, tmp_path, machine, engine="vllm")
    assert machine.batches == [([5, 3, 2, 1], 7), ([5, 3, 2, 1], 9)]


@pytest.mark.parametrize("dies_at", [0, 1, 3])
def test_interrupted_run_goes_on_at_the_next_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dies_at: int
) -> None:
    whole = run(monkeypatch, tmp_path / "whole", Machine())
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path, Machine(dies_at))
    rest = Machine()
    assert run(monkeypatch, tmp_path, rest) == whole
    assert len(rest.batches) == 4 - dies_at


def test_line_that_was_cut_off_is_answered_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = run(monkeypatch, tmp_path, Machine())
    path = tmp_path / answering.PARTIAL
    path.write_bytes(path.read_bytes()[:-5])
    rest = Machine()
    assert run(monkeypatch, tmp_path, rest) == whole
    assert len(rest.batches) == 1
    assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("damage", [b"no json\n", b"\x00\xff\n", b""])
def test_file_of_answers_that_is_damaged_is_begun_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: bytes
) -> None:
    whole = run(monkeypatch, tmp_path, Machine())
    path = tmp_path / answering.PARTIAL
    path.write_bytes(damage + path.read_bytes()[20:])
    again = Machine()
    assert run(monkeypatch, tmp_path, again) == whole and len(again.batches) == 4


def test_answers_of_another_model_are_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, Machine())
    other = Machine()
    run(monkeypatch, tmp_path, other, identity="another")
    assert len(other.batches) == 4


def test_second_turn_follows_the_first_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine()
    rows = run(monkeypatch, tmp_path, machine, turns=2)
    assert rows[0]["turns"] == ["3", "13"] and rows[0]["prediction"] == "3"
    assert "turns" not in rows[2]  # the one whose answer is 5 has no second turn
    assert machine.batches[:2] == [([5, 3, 2], 7), ([13, 12], 7)]
