import pytest
import torch
from tiny_models import GPT2_ALL, ROBERTA_ALL, gpt2, roberta, shake, tokens

import vblora
from vblora import AdapterStateError, VBLoRAError


def attached(model, targets=ROBERTA_ALL, **settings):
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=targets, **settings)
    adapter = vblora.attach(model, config)
    shake(adapter)
    return adapter


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items() if not key.startswith("vblora.")}


def test_merged_weight_is_w_plus_b_a_also_for_conv1d_and_slices():
    model = gpt2()
    splits = {"c_attn": ["query", "key", "value"]}
    adapter = attached(model, ["c_attn.value", "c_fc"], splits=splits)
    before = weights(model)
    vblora.merge(model)
    A, B = adapter.factors("transformer.h.0.mlp.c_fc")
    layer = model.transformer.h[0].mlp.c_fc
    torch.testing.assert_close(layer.weight, before["transformer.h.0.mlp.c_fc.weight"] + (B @ A).T)
    A, B = adapter.factors("transformer.h.0.attn.c_attn.value")
    change = model.transformer.h[0].attn.c_attn.weight - before["transformer.h.0.attn.c_attn.weight"]
    torch.testing.assert_close(change[:, 64:], (B @ A).T, atol=1e-6, rtol=1e-4)
    assert (change[:, :64] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unmerge_restores_every_bit(dtype):
    model = gpt2().to(dtype)
    attached(model, GPT2_ALL)
    before = weights(model)
    vblora.merge(model)
    assert any(not torch.equal(value, before[key]) for key, value in weights(model).items())
    vblora.unmerge(model)
    assert all(torch.equal(value, before[key]) for key, value in weights(model).items())


def test_merge_then_detach_leaves_a_plain_adapted_model():
    model = roberta()
    attached(model)
    with torch.no_grad():
        adapted = model(tokens()).logits
        vblora.merge(model)
        vblora.detach(model)
        torch.testing.assert_close(model(tokens()).logits, adapted, atol=1e-5, rtol=1e-5)
    assert not hasattr(model, "vblora")


def test_calls_that_do_not_fit_a_merged_model_raise():
    model = roberta()
    adapter = attached(model)
    vblora.merge(model)
    for call in (
        lambda: vblora.merge(model),
        lambda: vblora.attach(model, adapter.config, "second"),
        lambda: vblora.activate(model, "default"),
        lambda: vblora.disabled(model).__enter__(),
    ):
        with pytest.raises(AdapterStateError, match="unmerge it first"):
            call()
    vblora.unmerge(model)
    with pytest.raises(AdapterStateError, match="nothing to unmerge"):
        vblora.unmerge(model)


def test_a_product_that_is_not_finite_raises_and_leaves_all_weights():
    model = roberta()
    adapter = attached(model)
    before = weights(model)
    with torch.no_grad():
        adapter.site_logits(adapter.sites[-1])[0].fill_(float("nan"))
    with pytest.raises(VBLoRAError, match="output.dense: the merged weight is not finite"):
        vblora.merge(model)
    assert all(torch.equal(value, before[key]) for key, value in weights(model).items())
    assert model.vblora.merged is None


def test_two_sites_on_one_weight_raise():
    model = roberta()
    layers = model.roberta.encoder.layer
    layers[1].attention.self.query.weight = layers[0].attention.self.query.weight
    attached(model, ["query"])
    with pytest.raises(VBLoRAError, match="are one weight"):
        vblora.merge(model)


# Fails if only the adapter's own layers are compared.
def test_a_weight_tied_to_an_embedding_raises():
    model = gpt2()
    attached(model, ["lm_head"])
    before = model.lm_head.weight.clone()
    with pytest.raises(VBLoRAError, match="transformer.wte.weight and lm_head.weight are one weight"):
        vblora.merge(model)
    assert torch.equal(model.lm_head.weight, before)


@pytest.mark.parametrize("selection", ["noisy_topk", "gumbel"])
def test_merging_in_training_mode_takes_the_rule_of_inference(selection):
    model = roberta()
    attached(model, ["query"], selection=selection)
    expected = logits(model)
    model.train()
    vblora.merge(model)
    assert model.vblora["default"].training
    torch.testing.assert_close(logits(model.eval()), expected, atol=1e-5, rtol=1e-5)


def test_a_named_merge_that_fails_leaves_the_active_adapter():
    model = roberta()
    settings = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
    for name in ("first", "second"):
        vblora.attach(model, settings, name, ["classifier"])
    with torch.no_grad():
        model.vblora["first"].bank.vectors[0] = float("nan")
    expected = logits(model)
    with pytest.raises(VBLoRAError, match="is not finite"):
        vblora.merge(model, "first")
    assert model.vblora.active == "second" and torch.equal(logits(model), expected)
