"""PEFT is the independent source: what it saved gives its outputs here, what we save gives ours there."""

import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import MODELS, roberta, shake, tokens

import vblora
from vblora import peft_files

B = 16
models = pytest.mark.parametrize("name", MODELS)
topks = pytest.mark.parametrize("topk", [1, 2, 3])
kinds = pytest.mark.parametrize("kind", ["trained", "topk"])


def theirs(name="roberta", kind="topk", topk=2, head=None, **more):
    build, targets = MODELS[name]
    settings = {"r": 3, "num_vectors": 7, "vector_length": B, "topk": topk, "init_vector_bank_bound": 1.0}
    config = peft.VBLoRAConfig(
        target_modules=targets,
        modules_to_save=head,
        save_only_topk_weights=kind == "topk",
        **settings | more,
    )
    return peft.get_peft_model(build(), config).eval()


def ours(name="roberta", topk=2, head=(), **more):
    build, targets = MODELS[name]
    model = build()
    settings = {"rank": 3, "num_vectors": 7, "vector_length": B, "topk": topk, "targets": targets}
    adapter = vblora.attach(model, vblora.VBLoRAConfig(**settings | more), also_train=head)
    shake(adapter)
    return model


def logits(model):
    with torch.no_grad():
        return model.eval()(tokens()).logits


def same(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


# Fails if B's first two axes are not swapped, or if the last weight is not 1 - Σ of the others.
@kinds
@topks
@models
def test_what_peft_saved_gives_its_outputs(name, topk, kind, tmp_path):
    model = theirs(name, kind, topk)
    model.save_pretrained(tmp_path)
    build, _ = MODELS[name]
    base = build()
    plain = logits(base)
    adapter = vblora.load_peft(base, tmp_path)
    assert (logits(base) - plain).abs().max() > 1e-2
    same(logits(base), logits(model))
    assert adapter.trainable == (kind == "trained") and adapter.config.topk == topk


# Fails if the columns of A and B are exchanged, or if weights are written in the order of their columns.
@kinds
@topks
@models
def test_peft_loads_what_is_written_and_gives_our_outputs(name, topk, kind, tmp_path):
    model = ours(name, topk)
    vblora.save_peft(model, tmp_path, kind)
    build, _ = MODELS[name]
    loaded = peft.PeftModel.from_pretrained(build(), tmp_path)
    same(logits(loaded), logits(model))


def test_a_trained_head_goes_both_ways(tmp_path):
    model = ours(head=["classifier"])
    shake(model.classifier)
    vblora.save_peft(model, tmp_path / "out")
    loaded = peft.PeftModel.from_pretrained(roberta(), tmp_path / "out")
    same(logits(loaded), logits(model))
    loaded.save_pretrained(tmp_path / "back")
    again = roberta()
    adapter = vblora.load_peft(again, tmp_path / "back")
    assert [name for name, _ in adapter.head] == ["classifier"]
    same(logits(again), logits(model))
    assert torch.equal(vblora_state(again), vblora_state(model))


def vblora_state(model):
    return model.vblora["default"].bank.logits


def test_training_goes_on_with_the_same_gradients(tmp_path):
    model = theirs(kind="trained")
    model.save_pretrained(tmp_path)
    base = roberta()
    adapter = vblora.load_peft(base, tmp_path)
    for one in (model, base):
        one(tokens()).logits.square().sum().backward()
    bank = model.base_model.vblora_vector_bank["default"]
    same(adapter.bank.vectors.grad, bank.grad)


def test_a_weight_that_peft_would_make_nan_is_left_positive(tmp_path):
    """PEFT restores the last as 1 - Σ of the others."""
    model = ours(topk=3)
    with torch.no_grad():
        vblora_state(model).mul_(200)  # mixtures of one vector and two of nearly nothing
    vblora.save_peft(model, tmp_path, "topk")
    loaded = peft.PeftModel.from_pretrained(roberta(), tmp_path)
    assert bool(torch.isfinite(logits(loaded)).all())
    same(logits(loaded), logits(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector_length": 24}, "b = 24 divides"),
        ({"selection": "all"}, "has no all"),
        ({"targets": ["query.one"], "splits": {"query": ["one", "two"]}}, "whole layers"),
    ],
)
def test_what_peft_has_no_form_for_is_refused(change, message, tmp_path):
    model = ours(**change)
    with pytest.raises(vblora.VBLoRAError, match=message):
        vblora.save_peft(model, tmp_path)
    assert not list(tmp_path.iterdir())


def edited(folder, tensors=None, config=None):
    """A folder of PEFT's, with changed tensors or configuration."""
    theirs(head=["classifier"]).save_pretrained(folder)
    path = folder / peft_files.WEIGHTS
    found = load_file(path)
    (tensors or (lambda _: None))(found)
    save_file(found, path)
    settings = json.loads((folder / peft_files.CONFIG).read_text(encoding="utf-8"))
    (folder / peft_files.CONFIG).write_text(json.dumps(settings | (config or {})), encoding="utf-8")


LAYER = "base_model.model.roberta.encoder.layer.0.attention.self.query."
INDICES, SHARES = LAYER + "vblora_logits_A_topk_indices", LAYER + "vblora_logits_A_topk_weights"
BROKEN = {
    "an index outside": (lambda t: t[INDICES].fill_(7), {}, "beyond the 7 vectors"),
    "an index twice": (lambda t: t[INDICES].fill_(3), {}, "one vector twice"),
    "a weight below 0": (lambda t: t[SHARES].fill_(-0.5), {}, "below 0 or sum to more"),
    "weights above 1": (lambda t: t[SHARES].fill_(1.5), {}, "below 0 or sum to more"),
    "a rank that would fill the memory": (lambda t: None, {"r": 2**40}, "do not fit"),
    "NaN": (lambda t: t[SHARES].fill_(float("nan")), {}, "NaN"),
    "no weights": (lambda t: t.pop(SHARES), {}, "is missing"),
    "no bank": (lambda t: t.pop(peft_files.BANK), {}, "is missing"),
    "a bank of one axis": (lambda t: t.update({peft_files.BANK: torch.zeros(7)}), {}, "expected"),
    "no B": (
        lambda t: [t.pop(key.replace("_A_", "_B_")) for key in (INDICES, SHARES)],
        {},
        "is missing",
    ),
    "other shapes": (lambda t: t.update({SHARES: torch.zeros(3, 2, 4)}), {}, "do not fit"),
    "another rank": (lambda t: None, {"r": 2}, "do not fit"),
    "an impossible rank": (lambda t: None, {"r": "many"}, "rank 'many'"),
    "a foreign tensor": (lambda t: t.update({LAYER + "lora_A": torch.zeros(1)}), {}, "another model"),
    "a foreign one of VB-LoRA": (
        lambda t: t.update({LAYER + "vblora_x": torch.zeros(1)}),
        {},
        "does not belong",
    ),
    "half a head": (
        lambda t: t.pop("base_model.model.classifier.dense.weight"),
        {},
        "classifier.dense.weight",
    ),
    "biases": (lambda t: None, {"bias": "all"}, "biases"),
    "another method": (lambda t: None, {"peft_type": "LORA"}, "type 'LORA'"),
    "heads that are no list": (lambda t: None, {"modules_to_save": 3}, "no list"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_raises_and_attaches_nothing(name, tmp_path):
    tensors, config, message = BROKEN[name]
    edited(tmp_path, tensors, config)
    model = roberta()
    before = logits(model)
    with pytest.raises(vblora.AdapterFileError, match=message):
        vblora.load_peft(model, tmp_path)
    assert not hasattr(model, "vblora") and torch.equal(logits(model), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_missing_cut_off_and_pickled_files_raise(tmp_path):
    with pytest.raises(vblora.AdapterFileError, match="save_pretrained writes it"):
        vblora.load_peft(roberta(), tmp_path)
    edited(tmp_path)
    path = tmp_path / peft_files.WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(vblora.AdapterFileError, match="cut off"):
        vblora.load_peft(roberta(), tmp_path)
    path.rename(tmp_path / "adapter_model.bin")
    with pytest.raises(vblora.AdapterFileError, match="pickled"):
        vblora.load_peft(roberta(), tmp_path)


def test_another_models_folder_raises(tmp_path):
    theirs().save_pretrained(tmp_path)
    with pytest.raises(vblora.AdapterFileError, match="another model"):
        vblora.load_peft(MODELS["llama"][0](), tmp_path)


def test_indices_of_a_large_bank_have_pefts_type(tmp_path):
    model = ours(num_vectors=300, targets=["query"])
    vblora.save_peft(model, tmp_path, "topk")
    found = load_file(tmp_path / peft_files.WEIGHTS)[INDICES]
    other = theirs(num_vectors=300)
    other.save_pretrained(tmp_path / "theirs")
    assert found.dtype == load_file(tmp_path / "theirs" / peft_files.WEIGHTS)[INDICES].dtype == torch.int16
