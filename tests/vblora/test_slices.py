"""Slices of GPT-2's fused c_attn as sites: query, key and value adapted as three modules."""

import pytest
import torch
from tiny_models import dense_product, gpt2, shake, tokens

import vblora
from vblora.counting import vblora_stored_bytes, vblora_trainable_parameters

SPLITS = {"c_attn": ["query", "key", "value"]}
ALL = ["query", "key", "value", "c_proj", "c_fc"]
METHODS = {
    "vblora": lambda **s: vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, splits=SPLITS, **s),
    "tied_lora": lambda **s: vblora.TiedLoRAConfig(rank=2, splits=SPLITS, **s),
    "lora_xs": lambda **s: vblora.LoRAXSConfig(rank=2, splits=SPLITS, **s),
}
every_method = pytest.mark.parametrize("method", METHODS)
every_choice = pytest.mark.parametrize(
    "targets", [ALL, ["query", "value"], ["c_attn.key"]], ids=["all", "query_value", "key"]
)


def adapted(method="vblora", targets=ALL):
    model = gpt2()
    adapter = vblora.attach(model, METHODS[method](targets=list(targets)))
    shake(adapter)
    return model, adapter


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


@every_choice
@every_method
def test_layers_answer_and_merge_by_the_definition(method, targets):
    model, adapter = adapted(method, targets)
    before = {name: model.get_submodule(name).weight.detach().clone() for name in adapter.places}
    expected = logits(model)
    for name, weight in before.items():
        layer, x = model.get_submodule(name), torch.randn(2, 3, weight.shape[0])
        with vblora.disabled(model):
            base = layer(x)
        change = dense_product(adapter, name, weight.T.shape)
        torch.testing.assert_close(layer(x) - base, x @ change.T, atol=1e-5, rtol=1e-4)
    kept = vblora.merge(model)
    assert kept == pytest.approx(dict.fromkeys(before, 1), abs=1e-4)
    for name, weight in before.items():
        merged = model.get_submodule(name).weight
        assert torch.equal(merged, weight + dense_product(adapter, name, weight.T.shape).T)
    torch.testing.assert_close(logits(model), expected, atol=2e-5, rtol=1e-4)
    vblora.unmerge(model)
    assert all(torch.equal(model.get_submodule(name).weight, weight) for name, weight in before.items())


@every_choice
@pytest.mark.parametrize("kind", ["trained", "topk"])
@every_method
def test_slices_come_back_from_a_file(method, kind, targets, tmp_path):
    model, adapter = adapted(method, targets)
    vblora.save(model, tmp_path, kind)
    again = gpt2()
    loaded = vblora.load(again, tmp_path)
    assert loaded.sites == adapter.sites
    torch.testing.assert_close(logits(again), logits(model), atol=2e-6, rtol=1e-5)


def test_a_file_of_slices_does_not_fit_a_layer_cut_otherwise(tmp_path):
    model, _ = adapted(targets=["query"])
    vblora.save(model, tmp_path)
    other = gpt2()
    other.transformer.h[0].attn.c_attn = type(other.transformer.h[0].attn.c_attn)(48, 32)
    with pytest.raises(
        vblora.AdapterFileError, match=r"here .*c_attn.query', 32, 16\], in the file .* 32, 32\]"
    ):
        vblora.load(other, tmp_path)


@every_choice
def test_counts_are_those_of_the_slices(targets):
    _, adapter = adapted(targets=targets)
    per_block = 6 if "c_proj" in targets else len(targets)  # c_proj is two layers of a block
    assert len(adapter.sites) == 2 * per_block
    assert sum(p.numel() for p in adapter.parameters()) == vblora_trainable_parameters(
        adapter.sites, adapter.config
    )
    assert sum(t.nbytes for t in adapter.stored().values()) == vblora_stored_bytes(
        adapter.sites, adapter.config
    )


def test_gradients_of_slices_are_those_of_the_dense_change():
    """Against autograd through W + ΔW, built by the definition."""
    model, adapter = adapted(targets=["query", "value"])
    layer, x = model.transformer.h[0].attn.c_attn, torch.randn(4, 32)
    wave = torch.arange(4 * 96).cos().view(4, 96)
    (layer(x) * wave).sum().backward()
    ours = [p.grad.clone() for p in adapter.parameters()]
    adapter.zero_grad()
    parts = []
    for place in adapter.places["transformer.h.0.attn.c_attn"]:
        A, B = adapter.factors(adapter.sites[place])
        parts.append(B @ A)
    change = torch.cat([parts[0], torch.zeros(32, 32), parts[1]])
    ((x @ change.T) * wave).sum().backward()
    for first, parameter in zip(ours, adapter.parameters(), strict=True):
        torch.testing.assert_close(first, parameter.grad, atol=1e-4, rtol=1e-4)
