"""What the families of text share: which tokens are learned, the loss, the likelihood."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import LlamaConfig, LlamaForCausalLM

from experiments.batches import IGNORED, encode_text
from experiments.config import DataConfig
from experiments.data.examples import Prompted
from experiments.tasks.base import Scale
from experiments.tasks.text import TextTask


def task(smoothing: float = 0.0) -> TextTask:
    return TextTask("any", DataConfig(source="synthetic", max_length=64), smoothing)


def test_only_answers_are_learned_and_padding_is_not() -> None:
    encoded = encode_text([[1, 2, 3], [4]], [[5, 6], [7]], pad=0, max_length=10)
    batch = encoded.batch([0, 1])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 5, 6], [4, 7, 0, 0, 0]]
    no = IGNORED
    assert batch["labels"].tolist() == [[no, no, no, 5, 6], [no, 7, no, no, no]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


def test_text_without_a_prompt_does_not_learn_its_first_token() -> None:
    encoded = encode_text([[]], [[5, 6]], pad=0, max_length=10)
    assert encoded.batch([0])["labels"].tolist() == [[IGNORED, 6]]


def test_long_texts_are_cut_at_the_end_and_a_prompt_alone_teaches_nothing() -> None:
    encoded = encode_text([[1, 2, 3, 4], [1]], [[5], [6, 7, 8, 9]], pad=0, max_length=3)
    assert encoded.lengths.tolist() == [3, 3]
    assert encoded.labels.tolist() == [[IGNORED] * 3, [IGNORED, 6, 7]]


def test_batch_is_as_wide_as_its_longest_text() -> None:
    encoded = encode_text([[1], [1]], [[2] * 9, [2]], pad=0, max_length=20)
    assert encoded.batch([1])["labels"].shape == (1, 2)
    padded = encode_text([[1]], [[2]], pad=0, max_length=20, padding="max_length")
    assert padded.batch([0])["input_ids"].shape == (1, 20)


def sample() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    targets = torch.randint(0, 11, (3, 6))
    targets[0, :3] = IGNORED
    targets[2, 4:] = IGNORED
    return torch.randn(3, 6, 11), targets


def at_learned(logits: Tensor, targets: Tensor) -> Tensor:
    """The logits before each learned token, found place by place."""
    rows, places = (targets[:, 1:] != IGNORED).nonzero(as_tuple=True)
    return torch.stack([logits[row, place] for row, place in zip(rows, places, strict=True)])


def test_loss_is_the_models_own_without_smoothing() -> None:
    """transformers computes the mean over tokens; the sum over all is divided by `count` here."""
    _, targets = sample()
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=11, **sizes))
    out = model(targets.clamp(min=0), labels=targets)
    count = int((targets[:, 1:] != IGNORED).sum())
    torch.testing.assert_close(task().loss(at_learned(out.logits, targets), targets, count), out.loss)


def test_smoothed_loss_is_the_formula() -> None:
    logits, targets = sample()
    total = 0.0
    for row in range(3):
        for place in range(1, 6):
            if targets[row, place] != IGNORED:
                logs = log_softmax(logits[row, place - 1], dim=-1)
                total += float(0.9 * -logs[targets[row, place]] + 0.1 * -logs.mean())
    loss = task(0.1).loss(at_learned(logits, targets), targets, 4)
    assert float(loss) == pytest.approx(total / 4, rel=1e-5)


def test_likelihood_is_kept_by_example_and_scored_by_token() -> None:
    logits, targets = sample()
    kept = task().keep(at_learned(logits, targets), targets)
    logs = log_softmax(logits, dim=-1)
    by_hand = sum(float(logs[0, place - 1, targets[0, place]]) for place in range(3, 6))
    assert kept.shape == (3, 2)
    assert kept[0].tolist() == [pytest.approx(by_hand, rel=1e-5), 3.0]
    examples = [Prompted("?")] * 3
    rows = task().answers(kept.numpy(), examples, Scale())
    score = task().score([row["prediction"] for row in rows], [row["label"] for row in rows])
    assert score == {"log_likelihood": pytest.approx(float(kept[:, 0].sum() / kept[:, 1].sum()))}


def test_certain_model_has_likelihood_zero() -> None:
    targets = torch.tensor([[IGNORED, 2, 3]])
    logits = torch.full((1, 3, 5), -100.0)
    logits[0, 0, 2] = logits[0, 1, 3] = 100.0
    kept = task().keep(at_learned(logits, targets), targets).numpy()
    assert math.isclose(float(np.abs(kept[0, 0])), 0.0) and kept[0, 1] == 2
