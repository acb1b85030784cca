"""What goes on while dense layers stand in the place of quantised ones: hooks, copies, other adapters."""

import copy

import pytest
import torch
from quantised_models import adapted, config, distance, logits
from tiny_models import shake

import vblora


def test_the_users_own_hooks_stay_through_merging(tmp_path):
    model, _ = adapted(tmp_path, targets=["q_proj"])
    layer, seen = model.model.layers[0].self_attn.q_proj, []
    handle = layer.register_forward_hook(lambda module, args, output: seen.append(type(module).__name__))
    logits(model)
    vblora.merge(model)
    logits(model)
    handle.remove()
    logits(model)
    assert seen == ["Linear4bit", "DenseLinear"]


def test_another_adapter_works_on_a_layer_that_one_was_merged_into(tmp_path):
    model, _ = adapted(tmp_path, targets=["q_proj"])
    shake(vblora.attach(model, config(["q_proj", "v_proj"]), "second"), 0.2)
    vblora.merge(model, "default")
    merged = logits(model)
    vblora.detach(model, "default")
    vblora.activate(model, "second")
    second = logits(model)
    assert distance(second, merged) > 0.1
    with vblora.disabled(model):
        assert torch.equal(logits(model), merged)
    layer = model.model.layers[0].self_attn.q_proj
    assert len(layer._forward_hooks) == 1
    model.train()  # else the 4-bit layers left would pack themselves once they are free to
    vblora.detach(model)
    assert torch.equal(logits(model), merged) and not layer._forward_hooks


def test_a_copy_of_a_merged_model_unmerges_by_itself(tmp_path):
    model, _ = adapted(tmp_path)
    expected = logits(model)
    vblora.merge(model)
    copied = copy.deepcopy(model)
    vblora.unmerge(copied)
    assert torch.equal(logits(copied), expected)
    assert model.vblora.merged == "default" and not torch.equal(logits(model), expected)
    vblora.unmerge(model)
    assert torch.equal(logits(model), expected)
    shake(copied.vblora)
    assert torch.equal(logits(model), expected)


def test_the_mode_chosen_while_merged_stays(tmp_path):
    model, _ = adapted(tmp_path)
    vblora.merge(model)
    model.train()
    vblora.unmerge(model)
    assert all(module.training for module in model.modules())


def test_a_layer_that_accelerate_dispatched_stays_so(tmp_path):
    hooks = pytest.importorskip("accelerate.hooks", reason="accelerate is not installed")
    model, adapter = adapted(tmp_path, targets=["q_proj"])
    layer = model.get_submodule(next(iter(adapter.places)))
    hooks.add_hook_to_module(layer, hooks.AlignDevicesHook(execution_device="cpu", io_same_device=True))
    before = logits(model)
    for requantize in (False, True):
        vblora.merge(model, requantize=requantize)
        merged = model.get_submodule(next(iter(adapter.places)))
        assert merged is not layer and isinstance(merged._hf_hook, hooks.AlignDevicesHook)
        assert distance(logits(model), before) < (0.3 if requantize else 0.03)
        vblora.unmerge(model)
        assert torch.equal(logits(model), before)
