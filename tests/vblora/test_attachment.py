import copy

import pytest
import torch
from tiny_models import ROBERTA_ALL, gpt2, roberta, shake, tokens

import vblora
from vblora import AdapterStateError, TargetError, VBLoRAError


def config(**changes):
    settings = {
        "rank": 2,
        "num_vectors": 6,
        "vector_length": 16,
        "init_bank_bound": 1.0,
        "targets": ["query", "value"],
    }
    return vblora.VBLoRAConfig(**(settings | changes))


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


def snapshot(model):
    """All that attach may touch: keys, classes, flags, hooks."""
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    kinds = {name: type(m) for name, m in model.named_modules()}
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    return flags, kinds, hooks


def test_the_model_keeps_its_classes_and_keys():
    model = roberta()
    keys, kinds = set(model.state_dict()), snapshot(model)[1]
    vblora.attach(model, config())
    assert {key for key in model.state_dict() if not key.startswith("vblora.")} == keys
    assert {name: kind for name, kind in snapshot(model)[1].items() if not name.startswith("vblora")} == kinds


def test_shared_tensors_stand_once_in_the_state_dict():
    model = roberta()
    vblora.attach(model, config())
    ours = [key for key in model.state_dict() if key.startswith("vblora.")]
    assert ours == ["vblora.default.bank.vectors", "vblora.default.bank.logits"]


def test_save_pretrained_keeps_every_weight(tmp_path):
    model = roberta()
    vblora.attach(model, config())
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    for key, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


def test_detach_leaves_the_model_as_it_was():
    model = roberta()
    model.roberta.embeddings.requires_grad_(False)
    before, expected = snapshot(model), logits(model)
    vblora.attach(model, config(), also_train=["classifier"])
    shake(model.vblora)
    assert not torch.equal(logits(model), expected)
    vblora.detach(model)
    assert snapshot(model) == before
    assert torch.equal(logits(model), expected)


def test_only_the_adapter_and_the_named_head_train():
    model = roberta()
    vblora.attach(model, config(), also_train=["classifier"])
    training = {name for name, p in model.named_parameters() if p.requires_grad}
    assert training == {
        name for name, _ in model.named_parameters() if name.startswith(("vblora.", "classifier."))
    }


def test_groups_hold_every_trainable_parameter_once_at_its_rate():
    model = roberta()
    adapter = vblora.attach(model, config(selection="noisy_topk"), also_train=["classifier"])
    groups = adapter.param_groups(bank_lr=1e-3, logits_lr=1e-2, head_lr=2e-2, head_weight_decay=0.1)
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in groups}
    assert rates == {"bank": (1e-3, 0), "logits": (1e-2, 0), "head": (2e-2, 0.1), "head_no_decay": (2e-2, 0)}
    assert all(p.dim() >= 2 for p in groups[2]["params"]) and all(p.dim() == 1 for p in groups[3]["params"])


def test_a_head_without_a_rate_raises():
    adapter = vblora.attach(roberta(), config(), also_train=["classifier"])
    with pytest.raises(VBLoRAError, match="head_lr is missing; classifier trains"):
        adapter.param_groups()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rank": 0}, "rank 0 is not a whole number of at least 1"),
        ({"rank": 33}, "query: rank 33 is more than 32, its smaller side; choose 1..32"),
        ({"topk": 7}, "topk 7 is outside 1..6"),
        ({"topk": 0}, "topk 0 is not a whole number of at least 1"),
        ({"num_vectors": 0}, "num_vectors 0 is not"),
        ({"vector_length": 0}, "vector_length 0 is not"),
        ({"dropout": 1.0}, "dropout 1.0 is outside"),
        ({"selection": "best"}, "selection 'best' is unknown; choose one of topk, all, noisy_topk, gumbel"),
        ({"temperature": 0.0}, "temperature 0 is not above 0"),
        ({"init_logits_std": -1.0}, "init_logits_std -1.0 is not a finite number of at least 0"),
        ({"targets": "("}, "targets '\\(' is no regular expression"),
        ({"splits": {"query": []}}, "is not of the form"),
        ({"targets": ["quary"]}, "no module of RobertaForSequenceClassification matches the targets quary"),
        ({"targets": ["LayerNorm"]}, "a LayerNorm cannot be adapted"),
    ],
)
def test_impossible_settings_raise_and_change_nothing(changes, message):
    model = roberta()
    before = snapshot(model)
    with pytest.raises(VBLoRAError, match=message):
        vblora.attach(model, config(**changes))
    assert snapshot(model) == before and not hasattr(model, "vblora")


def test_an_unknown_head_raises_and_changes_nothing():
    model = roberta()
    before = snapshot(model)
    with pytest.raises(TargetError, match="no module is named 'clasifier'"):
        vblora.attach(model, config(), also_train=["clasifier"])
    with pytest.raises(VBLoRAError, match="also_train is the text 'classifier'"):
        vblora.attach(model, config(), also_train="classifier")
    with pytest.raises(TargetError, match="no module is named ''"):
        vblora.attach(model, config(), also_train=[""])
    assert snapshot(model) == before and not hasattr(model, "vblora")


@pytest.mark.parametrize("name", ["keys", "a.b", "", "train", "active", "merged", "hooked", "training"])
def test_a_name_that_a_module_cannot_have_raises(name):
    model = roberta()
    before = snapshot(model)
    with pytest.raises(AdapterStateError, match="cannot name an adapter"):
        vblora.attach(model, config(), name)
    assert snapshot(model) == before and not hasattr(model, "vblora")


def test_a_compiled_root_raises_and_changes_nothing():
    model = roberta()
    before = snapshot(model)
    with pytest.raises(AdapterStateError, match="attach to the model itself, then call torch.compile"):
        vblora.attach(torch.compile(model), config())
    assert snapshot(model) == before and not hasattr(model, "vblora")


def test_layers_whose_weight_another_module_reads_raise():
    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(8, 2)
            self.normed = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8))

    for target in ("out_proj", "normed"):
        with pytest.raises(TargetError, match="an adapter would be passed by"):
            vblora.attach(Reader(), config(targets=[target]))


def test_the_configuration_is_the_adapters_own():
    given = config(targets=("query",))
    adapter = vblora.attach(roberta(), given)
    given.rank = 7
    assert adapter.config.rank != 7 and adapter.config.targets == ["query"]


@pytest.mark.parametrize(
    "name, value", [("dropout", "some"), ("targets", [1]), ("targets", 3), ("rank", True)]
)
def test_settings_of_a_foreign_type_raise(name, value):
    given = config()
    setattr(given, name, value)  # past the type checks that only tests have
    with pytest.raises(VBLoRAError, match=name):
        vblora.attach(roberta(), given)


def test_an_adapter_of_a_submodule_is_not_frozen_from_the_root():
    model = roberta()
    inner = vblora.attach(model.roberta, config())
    vblora.attach(model, config(targets=["out_proj"]))
    assert all(p.requires_grad for p in inner.parameters())


def test_a_single_vector_goes_through_as_in_a_linear_layer():
    model = torch.nn.Sequential(torch.nn.Linear(32, 32))
    vblora.attach(model, config(targets=["0"]))
    x = torch.randn(2, 32)
    torch.testing.assert_close(torch.stack([model(x[0]), model(x[1])]), model(x))


def test_the_same_name_twice_raises_and_the_first_stays():
    model = roberta()
    vblora.attach(model, config())
    before, expected = snapshot(model), logits(model)
    with pytest.raises(AdapterStateError, match="'default' is attached already"):
        vblora.attach(model, config(rank=3))
    assert snapshot(model) == before and torch.equal(logits(model), expected)


def test_several_adapters_one_active():
    model = roberta()
    base = logits(model)
    vblora.attach(model, config(), "first", also_train=["classifier"])
    shake(model.vblora["first"])
    first = logits(model)
    vblora.attach(model, config(targets=ROBERTA_ALL), "second")
    shake(model.vblora["second"], 0.5)
    second = logits(model)
    assert len({float(out.sum()) for out in (base, first, second)}) == 3
    training = {name.split(".")[1] for name, p in model.named_parameters() if p.requires_grad}
    assert training == {"second"}
    vblora.activate(model, "first")
    assert torch.equal(logits(model), first)
    assert model.classifier.dense.weight.requires_grad
    assert not any(p.requires_grad for p in model.vblora["second"].parameters())
    vblora.detach(model, "second")
    assert torch.equal(logits(model), first)
    vblora.detach(model, "first")
    assert torch.equal(logits(model), base)


def head_of(model):
    return model.classifier.dense.weight.detach().clone()


def test_every_adapter_has_its_own_head(tmp_path):
    model = roberta()
    own, base = head_of(model), logits(model)
    vblora.attach(model, config(), "first", also_train=["classifier"])
    shake(model.classifier)
    first, first_logits = head_of(model), logits(model)
    vblora.attach(model, config(), "second", also_train=["classifier"])
    assert torch.equal(head_of(model), own)
    shake(model.classifier, 0.5)
    second = head_of(model)
    vblora.save(model, tmp_path, name="first")
    vblora.activate(model, "first")
    assert torch.equal(head_of(model), first) and torch.equal(logits(model), first_logits)
    vblora.activate(model, "second")
    assert torch.equal(head_of(model), second)
    vblora.load(model, tmp_path, "third")
    assert torch.equal(head_of(model), first) and torch.equal(logits(model), first_logits)
    vblora.attach(model, config(), "fourth")
    assert torch.equal(head_of(model), own) and not model.classifier.dense.weight.requires_grad
    vblora.detach(model)
    assert torch.equal(head_of(model), own) and torch.equal(logits(model), base)


def test_merging_by_name_brings_the_head_and_detach_leaves_it():
    model = roberta()
    vblora.attach(model, config(), "first", also_train=["classifier"])
    shake(model.vblora)
    shake(model.classifier)
    expected = logits(model)
    vblora.attach(model, config(), "second", also_train=["classifier"])
    vblora.merge(model, "first")
    vblora.detach(model)
    torch.testing.assert_close(logits(model), expected, atol=1e-5, rtol=1e-5)


# Fails if the second head's start is copied before the first adapter's weights are out of it.
def test_overlapping_heads_leave_the_models_own_weights():
    model = roberta()
    expected = logits(model)
    vblora.attach(model, config(), "first", also_train=["classifier"])
    shake(model.classifier)
    vblora.attach(model, config(), "second", also_train=["classifier.dense"])
    vblora.detach(model)
    assert torch.equal(logits(model), expected)


def test_a_merged_head_stays_though_another_adapter_is_detached_later():
    model = roberta()
    for name in ("first", "second"):
        shake(vblora.attach(model, config(), name, also_train=["classifier"]))
    shake(model.classifier)
    vblora.activate(model, "first")
    shake(model.classifier, 0.1)
    vblora.merge(model)
    expected = logits(model)
    vblora.detach(model, "first")
    vblora.activate(model, "second")
    vblora.detach(model)
    assert torch.equal(logits(model), expected)


def test_a_head_without_its_adapter_does_not_train():
    model = roberta()
    vblora.attach(model, config(), "first")
    vblora.attach(model, config(), "second", also_train=["classifier"])
    vblora.detach(model, "second")
    vblora.activate(model, "first")
    assert not any(p.requires_grad for p in model.classifier.parameters())


def test_disabled_gives_the_base_model_and_ends_with_the_block():
    model = roberta()
    base = logits(model)
    vblora.attach(model, config())
    shake(model.vblora)
    adapted = logits(model)
    with pytest.raises(KeyError), vblora.disabled(model):
        assert torch.equal(logits(model), base)
        raise KeyError
    assert torch.equal(logits(model), adapted)


@pytest.mark.parametrize("call", [vblora.detach, vblora.merge, vblora.unmerge])
def test_calls_without_an_adapter_raise(call):
    with pytest.raises(
        AdapterStateError, match="no adapter is attached to this RobertaForSequenceClassification"
    ):
        call(roberta())


def test_an_unknown_name_lists_the_attached():
    model = roberta()
    vblora.attach(model, config(), "first")
    for call in (vblora.activate, vblora.detach, vblora.merge):
        with pytest.raises(AdapterStateError, match="no adapter 'second' is attached; attached: first"):
            call(model, "second")


def test_a_model_with_an_attribute_of_the_same_name_raises():
    model = roberta()
    model.vblora = torch.nn.Linear(2, 2)
    with pytest.raises(AdapterStateError, match="attribute 'vblora' of its own"):
        vblora.attach(model, config())


def test_data_parallel_replicas_raise():
    model = roberta()
    vblora.attach(model, config())
    layer = model.get_submodule(model.vblora["default"].sites[0].layer)
    layer._is_replica = True  # what torch.nn.parallel.replicate sets; replicas themselves need several GPUs
    with pytest.raises(AdapterStateError, match="use DistributedDataParallel"):
        model(tokens())


def test_slices_of_a_layer_are_adapted_alone():
    """Adapting query and value inside c_attn moves those columns of its output and no other."""
    model = gpt2()
    layer = model.transformer.h[0].attn.c_attn
    x = torch.randn(2, 5, 32)
    base = layer(x)
    splits = {"c_attn": ["query", "key", "value"]}
    adapter = vblora.attach(model, config(targets=["c_attn.query", "c_attn.value"], splits=splits))
    change = layer(x) - base
    for name, start in (("query", 0), ("value", 64)):
        A, B = adapter.factors(f"transformer.h.0.attn.c_attn.{name}")
        torch.testing.assert_close(change[..., start : start + 32], x @ A.T @ B.T)
    assert (change[..., 32:64] == 0).all()


def test_dropout_is_on_the_input_of_the_product_in_training_only():
    model = roberta()
    vblora.attach(model, config(dropout=0.5))
    shake(model.vblora)
    assert torch.equal(logits(model), logits(model))
    model.train()
    assert not torch.equal(logits(model), logits(model))


def test_factors_of_an_unknown_site_name_the_sites():
    adapter = vblora.attach(roberta(), config())
    with pytest.raises(VBLoRAError, match="nowhere is no site of this adapter; its sites: roberta.encoder"):
        adapter.factors("nowhere")


def test_layers_called_by_keyword_are_adapted():
    model = roberta()
    adapter = vblora.attach(model, config())
    layer = model.get_submodule(adapter.sites[0].layer)
    x = torch.randn(2, 32)
    assert torch.equal(layer(input=x), layer(x))


def test_a_copy_and_its_original_are_independent():
    model = roberta()
    vblora.attach(model, config())
    copied = copy.deepcopy(model)
    shake(copied.vblora)
    assert not torch.equal(logits(copied), logits(model))
