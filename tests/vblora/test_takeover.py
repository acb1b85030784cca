"""A PEFT model goes on here as it was there."""

import peft
import pytest
import torch
from test_peft_adapters import logits, same, theirs
from tiny_models import ROBERTA_ALL, roberta, shake

import vblora

models = pytest.mark.parametrize("name", ["roberta", "gpt2", "llama"])


# Fails if the wrappers stay on, or if the logits are not copied.
@models
def test_outputs_stay_and_the_wrappers_go(name):
    model = theirs(name, "trained")
    expected = logits(model)
    base = vblora.take_over(model)
    assert not any("peft" in type(module).__module__ for module in base.modules())
    same(logits(base), expected)
    assert base.vblora["default"].trainable


def test_heads_and_several_adapters_come_along_and_the_active_one_stays_active():
    model = theirs(kind="trained", head=["classifier"])
    model.add_adapter(
        "second", peft.VBLoRAConfig(r=2, num_vectors=5, vector_length=16, target_modules=["key"])
    )
    shake(model)  # both adapters, the head, and the model itself
    with model.disable_adapter():
        plain = logits(model)
    expected = {}
    for name in ("second", "default"):
        model.set_adapter(name)
        expected[name] = logits(model)
    base = vblora.take_over(model)
    assert base.vblora.active == "default"
    for name in ("default", "second"):
        vblora.activate(base, name)
        same(logits(base), expected[name])
    vblora.detach(base)
    same(logits(base), plain)


def test_detaching_leaves_the_models_own_weights():
    model = theirs(kind="trained", head=["classifier"])
    before = logits(roberta())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3)
    base = vblora.take_over(model)
    assert not torch.equal(logits(base), before)
    vblora.detach(base)
    assert torch.equal(logits(base), before)


def test_one_from_a_topk_file_cannot_be_trained_here_either(tmp_path):
    theirs(kind="topk").save_pretrained(tmp_path)
    model = peft.PeftModel.from_pretrained(roberta(), tmp_path)
    expected = logits(model)
    base = vblora.take_over(model)
    same(logits(base), expected)
    assert not base.vblora["default"].trainable


def test_a_module_of_the_users_own_that_looks_like_a_wrapper_stays():
    base = roberta()
    base.extra = torch.nn.Module()
    base.extra.original_module = torch.nn.Linear(2, 2)
    config = peft.VBLoRAConfig(r=2, num_vectors=5, vector_length=16, target_modules=["key"])
    taken = vblora.take_over(peft.get_peft_model(base, config))
    assert taken.extra is base.extra and isinstance(taken.extra.original_module, torch.nn.Linear)


def refused(model, error, message):
    with pytest.raises(error, match=message):
        vblora.take_over(model)


def test_what_cannot_be_taken_over_raises_and_stays():
    refused(roberta(), vblora.VBLoRAError, "no PeftModel")
    lora = peft.get_peft_model(roberta(), peft.LoraConfig(target_modules=ROBERTA_ALL))
    refused(lora, vblora.VBLoRAError, "LORA, not VBLORA")
    model = theirs()
    model.merge_adapter()
    refused(model, vblora.AdapterStateError, "unmerge_adapter")
    model.unmerge_adapter()
    model.base_model.disable_adapter_layers()
    refused(model, vblora.AdapterStateError, "enable_adapter_layers")
    model.base_model.enable_adapter_layers()
    assert vblora.take_over(model) is not None
