"""Layers whose weights accelerate keeps in main memory or on disk, and brings in for each forward."""

import pytest
import torch
from tiny_models import llama, roberta, shake, tokens

import vblora

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
CONFIG = {"rank": 2, "num_vectors": 6, "vector_length": 16, "targets": ["query", "intermediate.dense"]}


def offloaded(kind, folder):
    model = roberta()
    options = {"offload_dir": str(folder)} if kind == "disk" else {}
    offload = {"cpu": accelerate.cpu_offload, "disk": accelerate.disk_offload}[kind]
    offload(model.roberta.encoder, execution_device=torch.device("cpu"), **options)
    assert model.roberta.encoder.layer[0].attention.self.query.weight.is_meta
    return model


def logits(model):
    with torch.no_grad():
        return model.eval()(tokens()).logits


@pytest.mark.parametrize("kind", ["cpu", "disk"])
def test_an_adapter_on_offloaded_layers_trains_as_on_whole_ones(kind, tmp_path):
    whole, model = roberta(), offloaded(kind, tmp_path)
    for each in (whole, model):
        torch.manual_seed(0)
        adapter = vblora.attach(each, vblora.VBLoRAConfig(**CONFIG), also_train=["classifier"])
        shake(adapter)
        optimizer = torch.optim.AdamW(adapter.param_groups(head_lr=1e-2))
        each(tokens()).logits.square().sum().backward()
        optimizer.step()
    assert {p.device.type for p in model.vblora.parameters()} == {"cpu"}
    assert torch.equal(logits(model), logits(whole))
    vblora.save(model, tmp_path / "saved", "topk")
    again = offloaded(kind, tmp_path / "again")
    vblora.load(again, tmp_path / "saved")
    torch.testing.assert_close(logits(again), logits(whole), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["cpu", "disk"])
def test_what_needs_the_weights_is_refused_and_changes_nothing(kind, tmp_path):
    model = offloaded(kind, tmp_path)
    with pytest.raises(vblora.VBLoRAError, match="accelerate keeps this weight elsewhere"):
        vblora.attach(model, vblora.LoRAXSConfig(rank=2, targets=["query"]))
    assert not hasattr(model, "vblora")
    shake(vblora.attach(model, vblora.VBLoRAConfig(**CONFIG)))
    before = logits(model)
    with pytest.raises(vblora.VBLoRAError, match="accelerate keeps this weight elsewhere"):
        vblora.merge(model)
    assert torch.equal(logits(model), before)


def test_an_offloaded_head_is_refused(tmp_path):
    whole = roberta()
    vblora.attach(whole, vblora.VBLoRAConfig(**CONFIG), also_train=["classifier"])
    vblora.save(whole, tmp_path)
    model = roberta()
    accelerate.cpu_offload(model.classifier, execution_device=torch.device("cpu"))
    with pytest.raises(vblora.TargetError, match="leave it out of offloading"):
        vblora.attach(model, vblora.VBLoRAConfig(**CONFIG), also_train=["classifier"])
    with pytest.raises(vblora.AdapterFileError, match="leave it out of offloading"):
        vblora.load(model, tmp_path)
    assert not hasattr(model, "vblora")


def test_device_map_of_a_loaded_model(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path)
    mapped = type(model).from_pretrained(tmp_path, device_map="auto")
    for each in (model, mapped):
        torch.manual_seed(0)
        shake(vblora.attach(each, vblora.VBLoRAConfig(**CONFIG | {"targets": ["q_proj"]})))
    assert torch.equal(logits(mapped), logits(model))
