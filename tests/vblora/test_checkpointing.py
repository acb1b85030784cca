"""Both kinds of gradient checkpointing give the gradients of a plain backward."""

import pytest
import torch
from tiny_models import GPT2_ALL, LLAMA_ALL, ROBERTA_ALL, gpt2, llama, roberta, shake, tokens

import vblora
from vblora.admixture import SELECTIONS

CASES = {"roberta": (roberta, ROBERTA_ALL), "gpt2": (gpt2, GPT2_ALL), "llama": (llama, LLAMA_ALL)}


def close(ours, expected):
    """Equal up to the order of float32 sums, which the processor decides: of the largest, some 2**-18."""
    scale = expected.abs().max()
    assert scale > 0
    torch.testing.assert_close(ours, expected, atol=float(2e-5 * scale), rtol=0)


def vb_lora(targets, selection="topk"):
    return vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=targets, selection=selection)


def gradients(build, config, reentrant=None, alone=False):
    model = build().train()
    if reentrant is not None:
        model.activation_checkpointing_enable({"use_reentrant": reentrant})
        model.enable_input_require_grads()
    adapter = vblora.attach(model, config)
    shake(adapter)
    torch.manual_seed(7)
    body = model.base_model if alone else model
    for step in range(2):  # the second step must not see the first one's composition
        output = body(tokens())
        wave = torch.arange(output[0].numel()).cos().view_as(output[0])  # a layer norm has constant squares
        (output[0] * wave).sum().backward()
        if step == 0:
            shake(adapter, 0.1)
            first = [p.grad.clone() for p in adapter.parameters()]
            adapter.zero_grad()
    return first + [p.grad for p in adapter.parameters()]


@pytest.mark.parametrize("alone", [False, True], ids=["root", "submodule"])
@pytest.mark.parametrize("reentrant", [False, True], ids=["non_reentrant", "reentrant"])
@pytest.mark.parametrize("name", CASES)
def test_checkpointing_gives_the_plain_gradients(name, reentrant, alone):
    build, targets = CASES[name]
    plain = gradients(build, vb_lora(targets), alone=alone)
    checkpointed = gradients(build, vb_lora(targets), reentrant, alone)
    for ours, expected in zip(checkpointed, plain, strict=True):
        close(ours, expected)


@pytest.mark.parametrize("reentrant", [False, True], ids=["non_reentrant", "reentrant"])
@pytest.mark.parametrize("kind", [vblora.TiedLoRAConfig, vblora.LoRAXSConfig])
def test_checkpointing_gives_the_plain_gradients_of_the_other_adapters(kind, reentrant):
    plain = gradients(gpt2, kind(rank=2, targets=GPT2_ALL))
    checkpointed = gradients(gpt2, kind(rank=2, targets=GPT2_ALL), reentrant)
    for ours, expected in zip(checkpointed, plain, strict=True):
        close(ours, expected)


@pytest.mark.parametrize("reentrant", [False, True], ids=["non_reentrant", "reentrant"])
@pytest.mark.parametrize("selection", [name for name in SELECTIONS if name != "topk"])
def test_random_selections_use_one_draw_in_forward_and_recomputation(selection, reentrant):
    plain = gradients(roberta, vb_lora(ROBERTA_ALL, selection))
    checkpointed = gradients(roberta, vb_lora(ROBERTA_ALL, selection), reentrant)
    for ours, expected in zip(checkpointed, plain, strict=True):
        close(ours, expected)


# Fails without the check: the first forward's blocks run again with the second one's draw.
@pytest.mark.parametrize("between", ["forward", "no_grad", "refresh"])
@pytest.mark.parametrize("reentrant", [False, True], ids=["non_reentrant", "reentrant"])
def test_a_random_selection_refuses_to_guess_whose_draw_a_block_needs(reentrant, between):
    model = roberta().train()
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    adapter = vblora.attach(model, vb_lora(ROBERTA_ALL, "gumbel"))
    loss = model(tokens()).logits.sum()
    if between == "refresh":
        adapter.refresh()
    else:
        with torch.set_grad_enabled(between == "forward"):
            model(tokens())
    with pytest.raises(vblora.AdapterStateError, match="needs the backward of each forward before"):
        loss.backward()
    model(tokens()).logits.sum().backward()


def test_the_composition_saves_nothing_in_a_checkpointed_region():
    """Tensors saved inside a region are counted; composing there must not add to them."""
    model = roberta().train()
    adapter = vblora.attach(
        model, vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
    )
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        adapter.compose()
    assert saved == []
