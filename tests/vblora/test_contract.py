"""Every adapter goes through the same cases."""

import pytest
import torch
from tiny_models import MODELS, shake, tokens

import vblora

CONFIGS = {
    "vblora": lambda targets, **s: vblora.VBLoRAConfig(
        rank=2, num_vectors=6, vector_length=16, targets=targets, **s
    ),
    "tied_lora": lambda targets, **s: vblora.TiedLoRAConfig(rank=2, targets=targets, **s),
    "lora_xs": lambda targets, **s: vblora.LoRAXSConfig(rank=2, targets=targets, **s),
}
every = pytest.mark.parametrize("method", CONFIGS)
on_every_model = pytest.mark.parametrize("name", MODELS)


def build(name, method, shaken=True, **settings):
    model, targets = MODELS[name][0](), MODELS[name][1]
    adapter = vblora.attach(model, CONFIGS[method](targets, **settings))
    if shaken:
        shake(adapter)
    return model, adapter


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


@every
@on_every_model
def test_merged_equals_adapted(name, method):
    model, _ = build(name, method)
    adapted = logits(model)
    vblora.merge(model)
    torch.testing.assert_close(logits(model), adapted, atol=2e-5, rtol=1e-4)
    with vblora_hooks_off(model):
        torch.testing.assert_close(logits(model), adapted, atol=2e-5, rtol=1e-4)


def vblora_hooks_off(model):
    """The merged weights alone must give the answer."""
    from contextlib import contextmanager

    @contextmanager
    def off():
        model.vblora.enabled = False
        yield
        model.vblora.enabled = True

    return off()


@every
@on_every_model
def test_each_layer_adds_b_a_x(name, method):
    """Against the definition, layer by layer: the change of the output is x (B A)ᵀ."""
    model, adapter = build(name, method)
    for site in adapter.sites:
        layer, x = model.get_submodule(site.layer), torch.randn(2, 3, site.in_features)
        with torch.no_grad(), vblora.disabled(model):
            base = layer(x)
        A, B = adapter.factors(site)
        torch.testing.assert_close(layer(x) - base, x @ (B @ A).T, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method, distance", [("tied_lora", 0.0), ("lora_xs", 1e-4), ("vblora", 1e-2)])
@on_every_model
def test_the_start_is_the_base_model_or_near(name, method, distance):
    """Tied-LoRA starts at it, LoRA-XS at R ~ N(0, 1e-5), VB-LoRA at a small product that is not zero."""
    model, _ = build(name, method, shaken=False)
    with vblora.disabled(model):
        base = logits(model)
    change = (logits(model) - base).abs().max()
    assert change <= distance
    assert method == "tied_lora" or change > 0


@every
@pytest.mark.parametrize("kind", ["trained", "topk"])
@on_every_model
def test_save_load_gives_the_same_output(name, method, kind, tmp_path):
    model, adapter = build(name, method)
    vblora.save(model, tmp_path, kind)
    again = MODELS[name][0]()
    loaded = vblora.load(again, tmp_path)
    assert loaded.config == adapter.config
    torch.testing.assert_close(logits(again), logits(model), atol=5e-6, rtol=1e-5)


@every
def test_a_trained_file_is_bit_identical_and_trains_on(method, tmp_path):
    model, adapter = build("roberta", method)
    vblora.save(model, tmp_path)
    again = MODELS["roberta"][0]()
    loaded = vblora.load(again, tmp_path)
    assert torch.equal(logits(again), logits(model))
    for first, second in zip(adapter.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(first, second) and second.requires_grad
    again(tokens()).logits.sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


@every
def test_stored_tensors_are_what_the_file_holds(method, tmp_path):
    from safetensors.torch import load_file

    model, adapter = build("roberta", method)
    path = vblora.save(model, tmp_path, "topk")
    file = {key: value for key, value in load_file(path).items() if key.startswith("adapter.")}
    stored = adapter.stored()
    assert {f"adapter.{key}" for key in stored} == set(file)
    assert sum(t.nbytes for t in stored.values()) >= sum(
        t.nbytes for t in file.values()
    )  # indices are packed


@every
@on_every_model
def test_only_its_own_parameters_train(name, method):
    model, adapter = build(name, method)
    training = {id(p) for p in model.parameters() if p.requires_grad}
    assert training == {id(p) for p in adapter.parameters()}
    model(tokens()).logits.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in adapter.parameters())


@every
def test_same_seed_same_weights(method):
    first, second = (build("roberta", method, shaken=False)[1] for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@every
def test_parameters_stay_float32_in_a_half_model(method):
    model, adapter = build("roberta", method)
    model.to(torch.bfloat16)
    assert all(p.dtype == torch.float32 for p in adapter.parameters())
    loss = model(tokens()).logits.float().sum()
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in adapter.parameters())


@every
def test_generate_with_cache_and_beams_equals_the_merged_model(method):
    model, _ = build("gpt2", method)
    prompt = tokens(2, 5)
    settings = {"max_new_tokens": 8, "num_beams": 3, "do_sample": False, "pad_token_id": 0}
    adapted = model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)
    vblora.merge(model)
    vblora.detach(model)
    assert torch.equal(adapted, model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings))


@every
def test_groups_hold_all_parameters_once(method):
    _, adapter = build("roberta", method)
    rates = {} if method == "vblora" else {"adapter_lr": 1e-3}
    listed = [id(p) for group in adapter.param_groups(**rates) for p in group["params"]]
    assert sorted(listed) == sorted(map(id, adapter.parameters()))


@every
def test_impossible_rank_raises(method):
    model, targets = MODELS["llama"][0](), MODELS["llama"][1]
    config = CONFIGS[method](targets)
    config.rank = 17
    with pytest.raises(vblora.VBLoRAError, match="k_proj: rank 17 is more than 16"):
        vblora.attach(model, config)
