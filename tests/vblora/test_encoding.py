"""Files in three precisions: how much each changes, how large it is, and what is refused."""

import pytest
import torch
from tiny_models import ROBERTA_ALL, roberta, shake, tokens
from torch import nn

import vblora
from vblora import counting, encoding
from vblora.encoding import PRECISIONS, Mixtures
from vblora.errors import AdapterFileError, VBLoRAError

SETTINGS = {"rank": 2, "num_vectors": 6, "vector_length": 16, "targets": ROBERTA_ALL}
CLOSE = {"exact": 0.0, "compact": 2**-11, "tiny": 1 / 127}  # half a step of float16, a step of int8


def adapted(topk=2):
    model = roberta()
    vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS, topk=topk), also_train=["classifier"])
    shake(model.vblora)
    shake(model.classifier)
    return model.eval()


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


def reloaded(folder):
    model = roberta()
    vblora.load(model, folder)
    return model


@pytest.mark.parametrize("topk", [1, 2, 3, 6])
def test_exact_gives_the_very_bits(topk, tmp_path):
    model = adapted(topk)
    vblora.save(model, tmp_path, "topk", precision="exact")
    assert torch.equal(logits(reloaded(tmp_path)), logits(model))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("topk", [1, 2, 3, 6])
def test_bank_and_weights_are_as_close_as_promised(topk, precision, tmp_path):
    model = adapted(topk)
    adapter = model.vblora["default"]
    vblora.save(model, tmp_path, "topk", precision=precision)
    bank = reloaded(tmp_path).vblora["default"].bank
    vectors = adapter.bank.vectors.detach()
    assert (bank.vectors - vectors).abs().max() <= CLOSE[precision] * vectors.abs().max()
    dense = [torch.zeros(len(bank.indices), 6) for _ in range(2)]
    chosen = adapter.bank.mixtures()
    dense[0].scatter_(1, chosen.columns, chosen.weights())
    dense[1].scatter_(1, bank.indices, bank.weights)
    assert (dense[0] - dense[1]).abs().max() <= {"exact": 0, "compact": 1 / 65535, "tiny": 1 / 255}[precision]
    assert (bank.weights.diff(dim=1) <= 0).all()


# Fails if a coarse file is rounded once more when it is saved again.
@pytest.mark.parametrize("precision", PRECISIONS)
def test_saving_again_changes_nothing(precision, tmp_path):
    vblora.save(adapted(3), tmp_path / "one", "topk", precision=precision)
    again = reloaded(tmp_path / "one")
    vblora.save(again, tmp_path / "two", "topk", precision=precision)
    vblora.save(again, tmp_path / "exact", "topk")
    torch.testing.assert_close(logits(reloaded(tmp_path / "two")), logits(again), atol=1e-6, rtol=1e-6)
    assert torch.equal(logits(reloaded(tmp_path / "exact")), logits(again))


@pytest.mark.parametrize("method", [vblora.TiedLoRAConfig, vblora.LoRAXSConfig])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_other_adapters_come_in_each_precision(method, precision, tmp_path):
    model = roberta()
    shake(vblora.attach(model, method(rank=2, targets=ROBERTA_ALL)))
    vblora.save(model, tmp_path, "topk", precision=precision)
    change = (logits(reloaded(tmp_path)) - logits(model)).abs().max()
    assert change == 0 if precision == "exact" else change < 0.1 * logits(model).abs().max()


def test_values_beyond_half_precision_are_refused(tmp_path):
    model = adapted()
    with torch.no_grad():
        model.classifier.dense.bias[0] = 1e6
    with pytest.raises(VBLoRAError, match="dense.bias holds values beyond 65504"):
        vblora.save(model, tmp_path, "topk", precision="compact")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind, precision", [("trained", "tiny"), ("topk", "small")])
def test_unknown_precisions_are_refused(kind, precision, tmp_path):
    with pytest.raises(VBLoRAError, match=f"precision '{precision}' is"):
        vblora.save(adapted(), tmp_path, kind, precision=precision)


class Large(nn.Module):
    """The sizes of RoBERTa-large's adapted layers, without their weights."""

    def __init__(self):
        super().__init__()
        with torch.device("meta"):
            self.layer = nn.ModuleList(
                nn.ModuleList(nn.Linear(i, o) for i, o in [(1024, 1024)] * 4 + [(1024, 4096), (4096, 1024)])
                for _ in range(24)
            )
        for module in self.layer.modules():
            if isinstance(module, nn.Linear):
                hollow = torch.zeros(1).expand(module.out_features, module.in_features)
                module.weight = nn.Parameter(hollow, requires_grad=False)
                module.bias = None


# The goals of the smallest file; PEFT's smallest takes 222,000 bytes (its 0.21, measured).
@pytest.mark.parametrize("precision, most", [("exact", 135_000), ("compact", 75_000), ("tiny", 45_000)])
def test_bytes_of_a_file_for_all_layers_of_roberta_large(precision, most, tmp_path):
    model = Large()
    vblora.attach(model, vblora.VBLoRAConfig(targets=r"layer\.\d+\.\d+"))
    assert vblora.save(model, tmp_path, "topk", precision=precision).stat().st_size <= most


def test_fractions_sum_to_one_and_are_the_nearest():
    weights = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.999, 0.001, 0.0], [0.5, 0.25, 0.25]])
    parts = encoding._parts(weights, 255)
    assert parts.sum(dim=1).tolist() == [255] * 3
    assert (parts / 255 - weights).abs().max() < 1 / 255


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t["weights"].fill_(255), "sum to more than 1"),
        (lambda t: t["indices"].fill_(255), "stands for no choice|end in zeros"),
    ],
)
def test_impossible_mixtures_are_refused(change, message):
    tensors = Mixtures(torch.tensor([[0, 1, 2]] * 5), torch.zeros(5, 3)).encoded(7, "tiny")
    change(tensors)
    with pytest.raises(VBLoRAError, match=message):
        encoding.mixtures(tensors["indices"], tensors["weights"], 7, "tiny")


def test_an_exact_file_that_mixes_a_vector_twice_is_refused():
    tensors = Mixtures(torch.tensor([[1, 1]]), torch.zeros(1, 2)).encoded(7, "exact")
    with pytest.raises(VBLoRAError, match="one vector twice"):
        encoding.mixtures(tensors["indices"], tensors["weights"], 7, "exact")


# A shared bank.


def against(folder, **settings):
    model = roberta()
    config = vblora.VBLoRAConfig(**SETTINGS, bank=folder, train_bank=False, **settings)
    adapter = vblora.attach(model, config)
    return model, adapter


@pytest.fixture
def bank(tmp_path):
    vblora.save(adapted(), tmp_path / "bank")
    return tmp_path / "bank"


def test_only_selections_train_against_a_shared_bank(bank):
    model, adapter = against(bank)
    before = adapter.bank.vectors.clone()
    assert [name for name, p in adapter.named_parameters() if p.requires_grad] == ["bank.logits"]
    groups = adapter.param_groups(logits_lr=0.1)
    assert [group["name"] for group in groups] == ["logits"]
    stored = sum(tensor.nbytes for tensor in adapter.stored().values())
    assert stored == counting.vblora_stored_bytes(adapter.sites, adapter.config)
    trained = counting.vblora_trainable_parameters(adapter.sites, adapter.config)
    assert trained == sum(parameter.numel() for parameter in adapter.parameters())
    optimizer = torch.optim.SGD(groups)
    model(tokens()).logits.pow(2).sum().backward()
    optimizer.step()
    assert adapter.bank.logits.grad.any() and torch.equal(adapter.bank.vectors, before)


@pytest.mark.parametrize("kind", ["trained", "topk"])
def test_a_file_without_its_bank_needs_that_bank(bank, kind, tmp_path):
    model, adapter = against(bank)
    shake(adapter)
    path = vblora.save(model, tmp_path / "own", kind)
    own = vblora.save(adapted(), tmp_path / "with", kind)
    assert path.stat().st_size < own.stat().st_size - 6 * 16 * 4
    with pytest.raises(AdapterFileError, match="give bank=path"):
        vblora.load(roberta(), tmp_path / "own")
    other = roberta()
    shake(vblora.attach(other, vblora.VBLoRAConfig(**SETTINGS)), 0.5)
    vblora.save(other, tmp_path / "other")
    fresh = roberta()
    with pytest.raises(AdapterFileError, match="the bank that was given is"):
        vblora.load(fresh, tmp_path / "own", bank=tmp_path / "other")
    assert not hasattr(fresh, "vblora")
    vblora.load(fresh, tmp_path / "own", bank=bank)
    assert torch.equal(logits(fresh), logits(model))


def test_a_second_adapter_on_the_bank_uses_the_same_memory(bank, tmp_path):
    model, adapter = against(bank)
    shake(adapter)
    vblora.save(model, tmp_path / "one", "topk")
    second = vblora.load(model, tmp_path / "one", "second")
    assert second.bank.vectors.data_ptr() == adapter.bank.vectors.data_ptr()


def test_a_bank_can_be_where_training_starts(bank):
    model = roberta()
    adapter = vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS, bank=str(bank)))
    from vblora.banks import read_bank

    assert torch.equal(adapter.bank.vectors, read_bank(bank)) and adapter.bank.vectors.requires_grad


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"train_bank": False}, "needs a bank"),
        ({"bank": "nowhere"}, "no such file"),
    ],
)
def test_impossible_banks_are_refused(settings, message):
    model = roberta()
    with pytest.raises(VBLoRAError, match=message):
        vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS, **settings))
    assert not hasattr(model, "vblora")


def test_a_bank_of_other_sizes_is_refused(bank):
    with pytest.raises(VBLoRAError, match="holds 6 vectors of length 16"):
        vblora.attach(roberta(), vblora.VBLoRAConfig(**SETTINGS | {"num_vectors": 7}, bank=bank))
