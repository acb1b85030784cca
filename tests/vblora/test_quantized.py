import copy
import subprocess
import sys

import bitsandbytes
import pytest
import torch
from quantised_models import KINDS, quantised
from tiny_models import tokens
from torch import nn

from vblora import TargetError, quantized
from vblora.sites import dense_weight, find_sites

every_kind = pytest.mark.parametrize("kind", KINDS)


def layer_of(model, name="down_proj"):
    return next(module for key, module in model.named_modules() if key.endswith(name))


def reference(layer):
    """bitsandbytes' own dequantisation, in the type that the layer's weight had."""
    if isinstance(layer, bitsandbytes.nn.Linear8bitLt):
        scales = layer.state.SCB if layer.state.SCB is not None else layer.weight.SCB
        return bitsandbytes.functional.int8_vectorwise_dequant(layer.weight.data, scales)
    return bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)


# Fails if the scale of an 8-bit row is divided by 128.
@every_kind
def test_the_dense_weight_is_bitsandbytes_own_before_its_last_rounding(kind, tmp_path):
    layer = layer_of(quantised(tmp_path, kind=kind))
    ours, expected = dense_weight(layer), reference(layer)
    assert ours.dtype == torch.float32 and ours.shape == (64, 128)
    if kind == "int8":
        torch.testing.assert_close(ours, expected)
    else:
        assert torch.equal(ours.to(torch.bfloat16), expected)
        assert not torch.equal(ours, expected.float())


@pytest.mark.parametrize("forwards", [0, 1])
def test_an_8_bit_weight_is_read_before_and_after_its_scales_move(forwards, tmp_path):
    model = quantised(tmp_path, kind="int8")
    expected = dense_weight(layer_of(model))
    with torch.no_grad():
        model(tokens())
    assert layer_of(model).weight.SCB is None
    assert torch.equal(dense_weight(layer_of(model)), expected)


packs = pytest.mark.skipif(
    not bitsandbytes.functional.has_avx512bf16(), reason="this CPU does not make 4-bit layers pack themselves"
)


# Fails without the correction of the transposed scales, for weights without double quantisation.
@packs
@pytest.mark.parametrize("kind", ["nf4", "plain_nf4", "fp4_in_bf16"])
def test_a_layer_packed_by_inference_is_read_and_unpacked(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    layer = layer_of(model)
    before = dense_weight(layer)
    with torch.no_grad():
        model(tokens())
    assert layer.weight.quant_state.packing_format_for_cpu
    rounding = before.abs().max() * 2**-8  # of scales to bfloat16
    assert (dense_weight(layer) - before).abs().max() <= rounding
    assert layer.weight.quant_state.packing_format_for_cpu, "reading changes nothing"
    quantized.unpack(layer)
    assert not layer.weight.quant_state.packing_format_for_cpu
    assert (reference(layer).float() - before).abs().max() <= 4 * rounding


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@every_kind
def test_a_dense_layer_answers_like_the_quantised_one(kind, dtype, tmp_path):
    layer = layer_of(quantised(tmp_path, kind=kind)).train()
    dense = quantized.dense_layer(layer, dense_weight(layer), dtype)
    assert isinstance(dense, nn.Linear) and dense.weight.dtype == dtype and not dense.weight.requires_grad
    for given in (torch.float32, torch.bfloat16):
        x = torch.randn(2, 3, 128, dtype=given)
        ours, theirs = dense(x), layer(x)
        assert ours.dtype == theirs.dtype == given
        torch.testing.assert_close(ours.float(), theirs.float(), atol=0.05, rtol=0.02)


def test_a_conv1d_stays_one_when_dense(tmp_path):
    model = quantised(tmp_path, "gpt2")
    layer = layer_of(model, "c_fc")
    layer.bias.data.normal_()
    dense = quantized.dense_layer(layer, dense_weight(layer), torch.bfloat16)
    assert dense.weight.shape == (64, 256) and torch.equal(dense_weight(dense), reference(layer).float())
    x = torch.randn(2, 64, dtype=torch.bfloat16)
    torch.testing.assert_close(dense(x), layer.train()(x), atol=0.02, rtol=0.02)


@every_kind
def test_a_requantised_layer_has_the_settings_of_the_old_one(kind, tmp_path):
    layer = layer_of(quantised(tmp_path, kind=kind))
    weight = torch.randn(64, 128)
    again = quantized.requantised(layer, weight)
    assert type(again) is type(layer) and again.weight.dtype == layer.weight.dtype
    assert again.weight.shape == layer.weight.shape
    if kind != "int8":
        old, new = layer.weight.quant_state, again.weight.quant_state
        for name in ("blocksize", "quant_type", "nested", "dtype", "shape"):
            assert getattr(new, name) == getattr(old, name), name
    step = {"int8": 0.02}.get(kind, 0.35)  # of the widest gap between codes, for values up to 4
    assert (dense_weight(again) - weight).abs().max() < step * weight.abs().max()
    assert not torch.equal(dense_weight(again), dense_weight(layer))


def test_a_layer_is_known_without_its_library_and_others_are_not():
    assert quantized.bits(nn.Linear(2, 2)) is None
    assert quantized.bits(bitsandbytes.nn.LinearNF4(2, 2)) == 4

    class Linear4bit(nn.Linear):
        """Of the same name, from elsewhere."""

    assert quantized.bits(Linear4bit(2, 2)) is None


class Odd(nn.Parameter):
    """A weight of a class that is not torch's, as other quantising libraries have."""


def float8():
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(layer.weight.data.to(torch.float8_e4m3fn), requires_grad=False)
    return layer


def odd():
    layer = nn.Linear(4, 4)
    layer.weight = Odd(layer.weight.data)
    return layer


REFUSED = {
    "float8": (float8, r"weight is quantised \(torch.float8_e4m3fn\) in a way that is not supported"),
    "foreign class": (odd, "weight is a Odd, quantised in a way that is not supported"),
    "not yet 4-bit": (lambda: bitsandbytes.nn.Linear4bit(4, 4), "4-bit weight is not quantised yet; move"),
    "16-bit int8": (lambda: bitsandbytes.nn.Linear8bitLt(4, 4), "load it with has_fp16_weights=False"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_quantised_weights_are_refused_with_a_reason(name):
    build, message = REFUSED[name]
    with pytest.raises(TargetError, match=f"query: .*{message}"):
        find_sites(nn.ModuleDict({"query": build()}), ["query"])


@every_kind
def test_sites_have_the_sizes_of_the_layer_and_not_of_its_storage(kind, tmp_path):
    model = quantised(tmp_path, "gpt2", kind)
    splits = {"c_attn": ["query", "key", "value"]}
    sites = find_sites(model, ["c_attn.value", "mlp.c_proj"], splits)
    assert [(s.in_features, s.out_features, s.start) for s in sites[:2]] == [(64, 64, 128), (256, 64, 0)]


def test_a_copy_of_a_layer_is_read_alike(tmp_path):
    for kind in ("nf4", "int8"):
        layer = layer_of(quantised(tmp_path, kind=kind))
        assert torch.equal(dense_weight(copy.deepcopy(layer)), dense_weight(layer))


# Fails if vblora/quantized.py imports bitsandbytes at its top.
def test_the_library_works_without_bitsandbytes_and_transformers():
    program = """
import sys
for name in ("bitsandbytes", "transformers", "accelerate", "peft"):
    sys.modules[name] = None  # importing it raises
import torch, vblora
model = torch.nn.Sequential(torch.nn.Linear(8, 8))
vblora.attach(model, vblora.VBLoRAConfig(rank=2, num_vectors=4, vector_length=8, targets=["0"]))
model(torch.ones(1, 8)).sum().backward()
vblora.merge(model)
vblora.detach(model)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
