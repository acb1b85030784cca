"""What an adapted layer answers, for every type of input, of computing, and under autocast."""

from contextlib import nullcontext

import bitsandbytes
import pytest
import torch
from tiny_models import dense_product, shake
from torch import nn

import vblora

WIDE = {torch.float32: 2e-6, torch.bfloat16: 2**-7, torch.float16: 2**-10}  # rounding of a sum
LAYERS = {
    "linear": lambda compute: nn.Linear(64, 96),
    "4-bit": lambda compute: bitsandbytes.nn.LinearNF4(64, 96, compute_dtype=compute),
    "8-bit": lambda compute: bitsandbytes.nn.Linear8bitLt(64, 96, has_fp16_weights=False),
    "narrowing": lambda compute: Narrowing(64, 96),
}


class Narrowing(nn.Linear):
    """A layer that answers in a narrower type than it is given."""

    def forward(self, x):
        return super().forward(x).to(torch.bfloat16)


def adapted(kind, compute, whole):
    torch.manual_seed(0)
    model = nn.ModuleDict({"c_attn": LAYERS[kind](compute)}).to("cpu").train()
    targets, splits = (
        (["c_attn"], {}) if whole else (["query", "value"], {"c_attn": ["query", "key", "value"]})
    )
    adapter = vblora.attach(
        model,
        vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=targets, splits=splits),
    )
    shake(adapter)
    return model, adapter


def product(adapter, x):
    """x ΔWᵀ in float32."""
    return x.float() @ dense_product(adapter, "c_attn", (96, 64)).T


# Fails if addmm always makes the sum: types that differ raise, and autocast narrows a 4-bit layer's answer.
@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "slices"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_product_is_added_in_the_type_of_the_layers_own_answer(kind, whole, compute, given, autocast):
    model, adapter = adapted(kind, compute, whole)
    if kind in ("linear", "narrowing") and autocast is None:
        model.to(given)  # plain layers take their own type only
    x = torch.randn(2, 3, 64).to(given)
    context = torch.autocast("cpu", autocast) if autocast else nullcontext()
    with context:
        with vblora.disabled(model):
            base = model["c_attn"](x)
        output = model["c_attn"](x)
    assert output.dtype == base.dtype
    expected = base.float() + product(adapter, x)
    coarse = max(WIDE[each] for each in (given, base.dtype, autocast or given))
    size = product(adapter, x).abs().max() + base.float().abs().max()
    assert product(adapter, x).abs().max() > 1
    assert (output.float() - expected).abs().max() <= 3 * coarse * size
