"""The Trainer on text: logits at learned places give the gradients and likelihoods of the whole logits."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import training_world as world
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from experiments import trainer
from experiments.config import DataConfig
from experiments.data.examples import Prompted
from experiments.learned_places import learned_places
from experiments.models import Backbone, fingerprint
from experiments.tasks.text import Pieces, TextTask
from experiments.trainer import GroupTrainer
from experiments.training import TrainResult, train


class Letters(TextTask):
    """A word's letters, some of which are learned; every fifth text teaches nothing."""

    family = "e2e"

    def pieces(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> Pieces:
        """Numbers are tokens."""
        return [int(n) for n in example.source.split()], [int(n) for n in example.target.split()]


class Whole(Letters):
    """The same from logits of every place."""

    def loss(self, logits: Tensor, targets: Tensor, count: Tensor | int) -> Tensor:
        """Choose, then as ever."""
        return super().loss(logits[learned_places(targets)], targets, count)

    def keep(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Choose, then as ever."""
        return super().keep(logits[learned_places(targets)], targets)


def texts(number: int, seed: int) -> list[Prompted]:
    generator = torch.Generator().manual_seed(seed)

    def some(most: int) -> str:
        length = int(torch.randint(1, most, (), generator=generator))
        return " ".join(map(str, torch.randint(5, 20, (length,), generator=generator).tolist()))

    return [Prompted(some(12), some(6) if i % 5 else "") for i in range(number)]


def run(
    folder: Path, task: TextTask, norms: list[float], monkeypatch: pytest.MonkeyPatch, **optim: Any
) -> TrainResult:
    def recording(self: GroupTrainer, model: nn.Module) -> Tensor:
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        norms.append(float(norm))
        return norm

    monkeypatch.setattr(GroupTrainer, "_clip_grad_norm", recording)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(world.WORDS), pad_token_id=1, **sizes))
    backbone = Backbone(model, world.tokenizer(), None, fingerprint(model))
    groups = [{"name": "all", "lr": 1e-2, "weight_decay": 0.0, "params": list(model.parameters())}]
    splits = {"train": texts(20, 1), "validation": texts(10, 2)}
    config = replace(world.optim_config(), epochs=2, **optim)
    return train(backbone, task, splits, groups, config, task.config, seed=0, checkpoint_dir=folder)


def likelihoods(result: TrainResult) -> list[float]:
    return [entry["scores"]["log_likelihood"] for entry in result.history]


@pytest.mark.parametrize("optim", [{}, {"micro_batch_size": 2}, {"gradient_checkpointing": True}], ids=str)
def test_gradients_and_likelihoods_are_those_of_whole_logits(
    optim: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DataConfig(source="synthetic", max_length=32)
    ours: list[float] = []
    found = run(tmp_path / "ours", Letters("any", config, 0.1), ours, monkeypatch, **optim)
    monkeypatch.setattr(trainer, "logits_of_learned", lambda *_: nullcontext())
    whole: list[float] = []
    expected = run(tmp_path / "whole", Whole("any", config, 0.1), whole, monkeypatch, **optim)
    assert ours == pytest.approx(whole, rel=1e-4) and len(ours) > 4
    assert likelihoods(found) == pytest.approx(likelihoods(expected), rel=1e-5)
