"""Adapters stay float32 though another library casts them, as TRL's trainers do on 4-bit models."""

import copy

import pytest
import torch
from tiny_models import roberta, shake, tokens

import vblora


def attached():
    model = roberta()
    adapter = vblora.attach(
        model, vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
    )
    shake(adapter)
    return model, adapter


def cast(adapter, dtype=torch.bfloat16):
    for parameter in adapter.parameters():
        parameter.data = parameter.data.to(dtype)


def values(adapter):
    return [p.detach().clone() for p in adapter.parameters()]


def saved(model, adapter, folder):
    vblora.save(model, folder)


WAYS_BACK = {
    "train": lambda model, adapter, folder: model.train(),
    "forward": lambda model, adapter, folder: model(tokens()),
    "save": saved,
    "move": lambda model, adapter, folder: model.to("cpu"),
}


@pytest.mark.parametrize("way", WAYS_BACK)
def test_a_cast_adapter_gets_its_exact_values_back(way, tmp_path):
    model, adapter = attached()
    model.train()
    before = values(adapter)
    cast(adapter)
    WAYS_BACK[way](model, adapter, tmp_path)
    for ours, expected in zip(adapter.parameters(), before, strict=True):
        assert ours.dtype == torch.float32 and torch.equal(ours, expected)


def test_steps_after_a_cast_are_taken_in_float32():
    """A step of 1e-4 on a logit of 1 is lost in bfloat16."""
    model, adapter = attached()
    optimizer = torch.optim.SGD(adapter.parameters(), lr=1e-4)
    with torch.no_grad():
        adapter.bank.logits.fill_(1.0)
    cast(adapter)
    model.train()
    adapter.bank.logits.grad = torch.ones_like(adapter.bank.logits)
    optimizer.step()
    assert torch.equal(adapter.bank.logits, torch.full_like(adapter.bank.logits, 1 - 1e-4))


def test_values_changed_after_a_cast_are_kept_as_they_are():
    model, adapter = attached()
    cast(adapter)
    with torch.no_grad():
        adapter.bank.vectors.mul_(2)
    expected = adapter.bank.vectors.float()
    model.train()
    assert adapter.bank.vectors.dtype == torch.float32 and torch.equal(adapter.bank.vectors, expected)


def test_a_copy_has_values_of_its_own():
    model, adapter = attached()
    copied = copy.deepcopy(model)
    shake(copied.vblora)
    before = values(copied.vblora)
    cast(copied.vblora)
    copied(tokens())
    for ours, rounded, original in zip(copied.vblora.parameters(), before, adapter.parameters(), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.detach(), rounded, atol=0, rtol=2**-8)
        assert not torch.equal(ours, original)
