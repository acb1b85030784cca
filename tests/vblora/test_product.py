"""The product of a layer: its operators, its second derivatives, and inputs that layers share.

What it must equal is written here by the definition, x Aᵀ Bᵀ layer by layer.
"""

import pytest
import torch
from tiny_models import dense_product, llama, roberta, shake, tokens
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import vblora

NAMES = ["query", "key", "value"]


class Attention(nn.Module):
    """Three layers that read one tensor, or each its own."""

    def __init__(self, inputs):
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.inputs = inputs

    def forward(self, x):
        given = self.inputs(x)
        layers = (self.query, self.key, self.value)
        return sum(layer(one) * scale for layer, one, scale in zip(layers, given, (1, 2, 3), strict=True))


def in_place(x):
    """One tensor, changed between its readers."""
    y = x.clone()
    for _ in range(3):
        y.add_(1)
        yield y


INPUTS = {
    "same": lambda x: (x, x, x),
    "other_last": lambda x: (x, x, x + 1),
    "other_first": lambda x: (x + 1, x, x),
    "all_other": lambda x: (x, x + 1, x + 2),
    "equal": lambda x: (x, x.clone(), x.clone()),
}


def adapted(inputs, **settings):
    model = nn.Sequential(Attention(inputs)).train()
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=8, targets=NAMES, **settings)
    adapter = vblora.attach(model, config)
    shake(adapter)
    return model, adapter


def defined(model, adapter, x):
    """The answer by the definition, layer by layer."""
    attention, answer = model[0], 0
    for name, given, scale in zip(NAMES, attention.inputs(x), (1, 2, 3), strict=True):
        layer = getattr(attention, name)
        A, B = adapter.factors(f"0.{name}")
        answer = answer + scale * (given @ layer.weight.T + layer.bias + given @ A.T @ B.T)
    return answer


def gradients(loss, x, adapter):
    return torch.autograd.grad(loss, [x, *adapter.parameters()])


def close(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, atol=float(1e-5 * other.abs().max()), rtol=1e-4)


# Fails if the others are given their part without a look at their input.
@pytest.mark.parametrize("inputs", INPUTS)
def test_layers_may_share_their_input_or_not(inputs):
    model, adapter = adapted(INPUTS[inputs])
    x = torch.randn(2, 5, 16, requires_grad=True)
    answer, expected = model(x), defined(model, adapter, x)
    close([answer], [expected])
    wave = torch.arange(answer.numel()).cos().view_as(answer)
    close(gradients((answer * wave).sum(), x, adapter), gradients((expected * wave).sum(), x, adapter))


# Fails without the version in what tells an input again.
def test_an_input_that_changed_in_place_is_another():
    model, adapter = adapted(in_place)
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        answer = model(x)
        expected = defined(model, adapter, x)
    close([answer], [expected])


# Fails if a set's products are kept for the next forward.
def test_nothing_of_a_forward_is_left_to_the_next():
    model, adapter = adapted(INPUTS["all_other"])
    x = torch.randn(2, 5, 16)
    model.eval()
    with torch.no_grad():
        for _ in range(2):
            close([model(x)], [defined(model, adapter, x)])
            assert not adapter.composed(0).shared
            x += 1


class Operators(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.names.append(operator.overloadpacket.__name__)
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("inputs, products", [("same", 1), ("all_other", 3)])
def test_a_shared_input_is_multiplied_once(inputs, products):
    model, _ = adapted(INPUTS[inputs])
    model.eval()
    x = torch.randn(5, 16)
    with torch.no_grad():
        model(x)
        with Operators() as seen:
            model(x)
    assert seen.names.count("mm") == products


def test_dropout_draws_for_each_layer():
    """As PEFT: each layer zeroes other inputs, so none is shared."""
    model, adapter = adapted(INPUTS["same"], dropout=0.5)
    with Operators() as seen:
        model(torch.randn(5, 16))
    assert seen.names.count("native_dropout") + seen.names.count("bernoulli_") == 3
    assert not adapter.composed(0).shared


# Fails if a region may use what another one made: it saves fewer tensors than when it runs again.
@pytest.mark.parametrize("reentrant", [False, True])
def test_each_layer_may_be_a_checkpointed_region_of_its_own(reentrant):
    model, adapter = adapted(INPUTS["same"])
    attention, wave = model[0], torch.randn(2, 5, 16)
    x = torch.randn(2, 5, 16, requires_grad=True)
    expected = gradients((model(x) * wave).sum(), x, adapter)

    def regions(x):
        layers = zip((attention.query, attention.key, attention.value), (1, 2, 3), strict=True)
        return sum(checkpoint(layer, x, use_reentrant=reentrant) * scale for layer, scale in layers)

    attention.forward = regions
    (model(x) * wave).sum().backward()
    close([x.grad, *(p.grad for p in adapter.parameters())], expected)


# Fails if backward takes the factor's plain view for the gradient of a gradient.
@pytest.mark.parametrize("inputs", ["same", "all_other"])
def test_second_derivatives_by_the_input_are_exact(inputs):
    model, _ = adapted(INPUTS[inputs])
    model.double()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(2, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).sin(), x, eps=1e-6, atol=1e-4)
    assert torch.autograd.gradgradcheck(lambda x: model(x).sin(), x, eps=1e-6, atol=1e-4)


def test_a_penalty_on_the_inputs_gradient_trains_the_adapter():
    model, adapter = adapted(INPUTS["same"])
    x = torch.randn(2, 5, 16, requires_grad=True)

    def penalty(answer):
        (slope,) = torch.autograd.grad(answer.sin().sum(), x, create_graph=True)
        return slope.square().sum()

    def trained(answer):
        return torch.autograd.grad(penalty(answer), list(adapter.parameters()))

    close(trained(model(x)), trained(defined(model, adapter, x)))


def test_vmap_sees_through_the_product():
    model, adapter = adapted(INPUTS["same"])
    x = torch.randn(3, 5, 16)
    expected = defined(model, adapter, x)
    with torch.no_grad():
        close([torch.func.vmap(model[0])(x)], [expected])


@pytest.mark.parametrize("build", [roberta, llama])
def test_query_key_and_value_of_real_models_are_sets(build):
    model = build()
    names = {"roberta": ["query", "key", "value"], "llama": ["gate_proj", "up_proj"]}[build.__name__]
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=names)
    adapter = vblora.attach(model, config)
    assert [group.sets for group in adapter.layout.groups] == [(len(names),) * 2]
    shake(adapter)
    with torch.no_grad():
        model(tokens())
    layer = next(name for name in adapter.places if name.endswith(names[0]))
    linear = model.get_submodule(layer)
    x = torch.randn(4, linear.in_features)
    with torch.no_grad(), vblora.disabled(model):
        base = linear(x)
    with torch.no_grad():
        close([linear(x)], [base + x @ dense_product(adapter, layer, linear.weight.shape).T])
