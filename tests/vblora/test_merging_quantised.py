"""Merging into 4- and 8-bit layers, and taking it out again."""

import copy

import bitsandbytes
import pytest
import torch
from quantised_models import KINDS, TARGETS, adapted, config, distance, logits, quantised, stored_bytes
from tiny_models import LLAMA_ALL, dense_product, shake
from torch import nn

import vblora
from vblora import VBLoRAError
from vblora.sites import dense_weight

every_kind = pytest.mark.parametrize("kind", KINDS)
every_model = pytest.mark.parametrize("name", TARGETS)
SPLITS = {"c_attn": ["query", "key", "value"]}


# Fails if the change is added to the weight after that was rounded to bfloat16.
@every_kind
@every_model
def test_a_merged_layer_is_the_dequantised_weight_plus_b_a_rounded_once(name, kind, tmp_path):
    """Against bitsandbytes' own dequantisation, on a copy that says it was float32 before."""
    model, adapter = adapted(tmp_path, name, kind)
    expected = {}
    for layer in adapter.places:
        base = reference(model.get_submodule(layer))
        expected[layer] = (base + dense_product(adapter, layer, base.shape)).to(torch.bfloat16)
    vblora.merge(model)
    for layer, weight in expected.items():
        merged = model.get_submodule(layer).weight
        torch.testing.assert_close(merged.T if name == "gpt2" else merged, weight, atol=0, rtol=0)


def reference(layer):
    layer = copy.deepcopy(layer)
    if isinstance(layer, bitsandbytes.nn.Linear8bitLt):
        return bitsandbytes.functional.int8_vectorwise_dequant(layer.weight.data, layer.weight.SCB)
    layer.weight.quant_state.dtype = torch.float32
    return bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)


@every_kind
@every_model
def test_the_merged_model_answers_like_the_adapted_one(name, kind, tmp_path):
    """Within bfloat16, and for 8-bit layers within the rounding of their inputs to 8 bits too."""
    model, _ = adapted(tmp_path, name, kind)
    adapted_logits = logits(model)
    with vblora.disabled(model):
        assert distance(logits(model), adapted_logits) > 0.2
    kept = vblora.merge(model)
    assert distance(logits(model), adapted_logits) < 0.03
    assert all(abs(share - 1) < 0.01 for share in kept.values()), kept
    assert not any(isinstance(m, bitsandbytes.nn.Linear4bit) for m in model.modules())


@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("method", [vblora.TiedLoRAConfig, vblora.LoRAXSConfig])
def test_other_adapters_merge_alike(method, kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    shake(vblora.attach(model, method(rank=2, targets=LLAMA_ALL)), 0.1)
    expected = logits(model)
    vblora.merge(model)
    assert distance(logits(model), expected) < 0.03


@pytest.mark.parametrize("requantize", [False, True])
@every_kind
@every_model
def test_unmerge_restores_every_byte_every_object_and_every_note(name, kind, requantize, tmp_path):
    model, adapter = adapted(tmp_path, name, kind)
    layers = {layer: model.get_submodule(layer) for layer in adapter.places}
    weights = {layer: module.weight for layer, module in layers.items()}
    before, expected, notes = stored_bytes(model), logits(model), noted(model)
    vblora.merge(model, requantize=requantize)
    assert stored_bytes(model) != before
    vblora.unmerge(model)
    assert stored_bytes(model) == before and torch.equal(logits(model), expected) and noted(model) == notes
    for layer, module in layers.items():
        assert model.get_submodule(layer) is module and module.weight is weights[layer]


def noted(model):
    names = ("hf_quantizer", "is_quantized", "quantization_method", "is_loaded_in_4bit", "is_loaded_in_8bit")
    return {name: getattr(model, name, None) for name in names} | {"config": model.config.to_dict()}


# Fails if the weight is requantised before the change is added.
@pytest.mark.parametrize(
    "kind, least", [("nf4", 0.9), ("plain_nf4", 0.9), ("fp4_in_bf16", 0.7), ("int8", 0.99)]
)
def test_requantised_layers_keep_most_of_a_large_change(kind, least, tmp_path):
    model, adapter = adapted(tmp_path, kind=kind)
    logits(model)  # 8-bit layers move their scales then
    before = {layer: dense_weight(model.get_submodule(layer)) for layer in adapter.places}
    kept = vblora.merge(model, requantize=True)
    for layer, share in kept.items():
        module = model.get_submodule(layer)
        assert vblora.quantized.bits(module), "still quantised"
        change = dense_product(adapter, layer, before[layer].shape)
        got = dense_weight(module) - before[layer]
        assert share == pytest.approx(float((change * got).sum() / change.square().sum()), rel=1e-4)
        assert least < share < 1.1


# Fails if the share is that of the norms, |ΔW'| / |ΔW|.
def test_requantising_loses_a_change_of_one_percent_and_says_so(tmp_path):
    model, adapter = adapted(tmp_path, targets=["down_proj"], scale=0.0)
    for layer in adapter.places:
        weight = dense_weight(model.get_submodule(layer))
        ratio = float(dense_product(adapter, layer, weight.shape).norm() / weight.norm())
    with torch.no_grad():
        adapter.bank.vectors.mul_((0.01 / ratio) ** 0.5)
    kept = vblora.merge(model, requantize=True)
    assert all(share < 0.1 for share in kept.values()), kept
    vblora.unmerge(model)
    kept = vblora.merge(model)
    assert all(0.9 < share < 1.1 for share in kept.values()), kept


def test_a_change_of_nothing_is_kept(tmp_path):
    model = quantised(tmp_path)
    vblora.attach(model, vblora.TiedLoRAConfig(rank=2, targets=["q_proj"]))
    assert set(vblora.merge(model).values()) == {1.0}


def test_plain_layers_report_what_their_type_kept():
    model = nn.Sequential(nn.Linear(32, 32)).to(torch.bfloat16)
    shake(vblora.attach(model, config(["0"])))
    assert vblora.merge(model)["0"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_type_of_merged_layers_can_be_chosen(dtype, tmp_path):
    model, _ = adapted(tmp_path, targets=["q_proj"])
    expected = logits(model)
    vblora.merge(model, dtype=dtype)
    assert model.model.layers[0].self_attn.q_proj.weight.dtype == dtype
    assert distance(logits(model), expected) < 0.03


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_an_impossible_type_raises_and_changes_nothing(dtype, tmp_path):
    model, _ = adapted(tmp_path, targets=["q_proj"])
    before = stored_bytes(model)
    with pytest.raises(VBLoRAError, match="is no type for a merged layer; choose one of torch.float64"):
        vblora.merge(model, dtype=dtype)
    assert stored_bytes(model) == before and model.vblora.merged is None


@pytest.mark.parametrize("requantize", [False, True])
@every_kind
def test_a_failed_merge_leaves_all_as_it_was(kind, requantize, tmp_path):
    model, adapter = adapted(tmp_path, kind=kind)
    before, expected, notes = stored_bytes(model), logits(model), noted(model)
    layers = {layer: model.get_submodule(layer) for layer in adapter.places}
    with torch.no_grad():
        good = adapter.site_logits(adapter.sites[-1])[0].clone()
        adapter.site_logits(adapter.sites[-1])[0].fill_(float("nan"))
    with pytest.raises(VBLoRAError, match="layers.1.mlp.down_proj: the merged weight is not finite"):
        vblora.merge(model, requantize=requantize)
    with torch.no_grad():
        adapter.site_logits(adapter.sites[-1])[0].copy_(good)
    assert stored_bytes(model) == before and torch.equal(logits(model), expected) and noted(model) == notes
    assert all(model.get_submodule(layer) is module for layer, module in layers.items())
    assert model.vblora.merged is None and not model.vblora.backups


@every_kind
def test_slices_of_a_fused_layer_are_merged_alone(kind, tmp_path):
    model, adapter = adapted(tmp_path, "gpt2", kind, ["query", "value"], splits=SPLITS)
    layer = model.transformer.h[0].attn.c_attn
    before, expected = dense_weight(layer), logits(model)
    vblora.merge(model, dtype=torch.float32)
    change = dense_weight(model.transformer.h[0].attn.c_attn) - before
    for part, start in (("query", 0), ("value", 128)):
        A, B = adapter.factors(f"transformer.h.0.attn.c_attn.{part}")
        torch.testing.assert_close(change[start : start + 64], B @ A, atol=1e-5, rtol=1e-4)
    assert (change[64:128] == 0).all()
    assert distance(logits(model), expected) < 0.03
    vblora.unmerge(model)
    assert torch.equal(logits(model), expected)
