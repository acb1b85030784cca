"""Each row of a mixed batch is answered as its adapter alone answers it."""

import pytest
import torch
from tiny_models import MODELS, roberta, shake, tokens

import vblora

NAMES = ["first", "second", None, "first", "third"]
METHODS = {
    "first": vblora.VBLoRAConfig(rank=3, num_vectors=7, vector_length=16),
    "second": vblora.TiedLoRAConfig(rank=2),
    "third": vblora.VBLoRAConfig(rank=2, num_vectors=5, vector_length=8, topk=3),
}


def several(name="roberta", heads=()):
    """A model with three adapters, two of them with a head."""
    build, targets = MODELS[name]
    model = build()
    for number, (adapter, config) in enumerate(METHODS.items()):
        config.targets = targets[number:]
        head = heads if adapter != "third" else ()
        shake(vblora.attach(model, config, adapter, head))
        for module in head:
            shake(model.get_submodule(module), 0.1 * (number + 1))
    return model.eval()


def alone(model, name, batch):
    if name is None:
        with vblora.rows(model, [None]):  # with the model's own head too
            return model(batch).logits
    vblora.activate(model, name)
    return model(batch).logits


# Fails if all rows get the active adapter, or if a row's product is added to its neighbour.
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_each_row_gets_its_own_adapter(name):
    model, batch = several(name), tokens(5)
    with vblora.rows(model, NAMES):
        found = model(batch).logits
    each = [alone(model, own, batch[[row]]) for row, own in enumerate(NAMES)]
    torch.testing.assert_close(found, torch.cat(each), atol=1e-5, rtol=1e-4)
    assert (each[0] - alone(model, "second", batch[[0]])).abs().max() > 1e-2


# Fails if the head stays that of the active adapter.
@torch.no_grad()
def test_each_row_gets_its_own_head():
    model, batch = several(heads=["classifier"]), tokens(5)
    with vblora.rows(model, NAMES):
        found = model(batch).logits
    for row, own in enumerate(NAMES):
        torch.testing.assert_close(found[[row]], alone(model, own, batch[[row]]), atol=1e-5, rtol=1e-4)
    base = roberta()(batch[[2]]).logits
    torch.testing.assert_close(found[[2]], base, atol=1e-5, rtol=1e-4)


# Fails if an adapted layer inside a head counts the head's rows as those of the whole batch.
@torch.no_grad()
def test_an_adapted_layer_inside_anothers_head_gets_its_own_rows():
    model, batch = several(heads=["classifier"]), tokens(5).repeat_interleave(5, 0)
    inside = vblora.VBLoRAConfig(rank=2, num_vectors=5, vector_length=16, targets=["classifier.dense"])
    shake(vblora.attach(model, inside, "inside"))
    model.eval()
    names = ["first", "inside", None, "first", "inside"]
    with vblora.rows(model, names):
        found = model(batch).logits
    for row, own in enumerate(names):
        rows = slice(5 * row, 5 * row + 5)
        torch.testing.assert_close(found[rows], alone(model, own, batch[rows]), atol=1e-5, rtol=1e-4)


def test_the_active_adapter_serves_again_afterwards():
    model, batch = several(), tokens(5)
    vblora.activate(model, "second")
    expected = model(batch).logits
    with vblora.rows(model, NAMES):
        with vblora.disabled(model):
            torch.testing.assert_close(model(batch).logits, roberta()(batch).logits)
        assert not torch.allclose(model(batch).logits, expected)
    assert torch.equal(model(batch).logits, expected)
    hooks = [len(module._forward_hooks) for module in model.modules()]
    with pytest.raises(KeyboardInterrupt), vblora.rows(model, NAMES):
        raise KeyboardInterrupt
    assert model.vblora.rows is None and hooks == [len(module._forward_hooks) for module in model.modules()]


@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_generation_with_cache_and_beams_is_as_alone(beams):
    model, batch = several("llama"), tokens(5)
    settings = {"max_new_tokens": 6, "num_beams": beams, "do_sample": False, "pad_token_id": 0}
    settings |= {"min_new_tokens": 6}
    with vblora.rows(model, NAMES):
        found = model.generate(batch, attention_mask=torch.ones_like(batch), **settings)
    for row, own in enumerate(NAMES):
        with vblora.rows(model, [own]):
            one = batch[[row]]
            expected = model.generate(one, attention_mask=torch.ones_like(one), **settings)
        assert torch.equal(found[[row]], expected)


def test_what_does_not_fit_raises():
    model = several()
    for names, message in (([*NAMES[:3], "nobody"], "no adapter 'nobody'"), ([], "does not fit")):
        with pytest.raises(vblora.AdapterStateError, match=message), vblora.rows(model, names):
            model(tokens(5))
    with pytest.raises(vblora.AdapterStateError, match="a batch of 3 rows does not fit the 5"):
        with vblora.rows(model, NAMES):
            model(tokens(3))
    vblora.merge(model)
    with pytest.raises(vblora.AdapterStateError, match="is merged"), vblora.rows(model, NAMES):
        pass
    vblora.unmerge(model)
    model.train()
    with pytest.raises(vblora.AdapterStateError, match=r"model\.eval"), vblora.rows(model, NAMES):
        pass
