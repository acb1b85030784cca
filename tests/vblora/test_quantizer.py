"""What transformers is told about a quantised model while adapters are attached, merged, saved."""

import copy
import pickle

import pytest
import torch
from quantised_models import KINDS, quantised, reloaded, stored_bytes
from tiny_models import GPT2_ALL, LLAMA_ALL, shake, tokens
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import validate_quantization_for_training

import vblora
from vblora import VBLoRAError

every_kind = pytest.mark.parametrize("kind", ["nf4", "int8"])


def attach(model, targets=("q_proj",), name="default"):
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=list(targets))
    adapter = vblora.attach(model, config, name)
    shake(adapter, 0.1)
    return adapter


def logits(model):
    """In training mode, in which 4-bit layers never pack themselves; these models have no dropout."""
    with torch.no_grad():
        return model.train()(tokens()).logits


# Fails if the quantizer is not marked.
@every_kind
def test_trainer_takes_a_quantised_model_just_while_an_adapter_is_attached(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    quantizer, kind_before = model.hf_quantizer, type(model.hf_quantizer)
    args = TrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, report_to="none")
    with pytest.raises(ValueError, match="purely quantized"):
        Trainer(model, args)
    attach(model)
    attach(model, name="second")
    Trainer(model, args)
    vblora.detach(model, "default")
    validate_quantization_for_training(model)
    vblora.detach(model)
    assert model.hf_quantizer is quantizer and type(quantizer) is kind_before
    with pytest.raises(ValueError, match="purely quantized"):
        Trainer(model, args)


def test_attach_and_detach_leave_no_trace(tmp_path):
    model = quantised(tmp_path)
    before = stored_bytes(model)
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}
    quantizer = dict(vars(model.hf_quantizer))
    attach(model, LLAMA_ALL)
    vblora.detach(model)
    assert stored_bytes(model) == before and vars(model.hf_quantizer) == quantizer
    for name, module in model.named_modules():
        assert vars(module).keys() == attributes[name].keys(), name
        for key, value in attributes[name].items():
            assert vars(module)[key] is value or vars(module)[key] == value, f"{name}.{key}"


def test_a_marked_quantizer_can_be_copied_and_pickled(tmp_path):
    model = quantised(tmp_path)
    kind = type(model.hf_quantizer)
    attach(model)
    for again in (copy.deepcopy(model.hf_quantizer), pickle.loads(pickle.dumps(model.hf_quantizer))):
        assert again.is_qat_trainable and isinstance(again, kind)
        assert again.quantization_config.to_dict() == model.config.quantization_config.to_dict()
    copied = copy.deepcopy(model)
    vblora.detach(copied)
    assert type(copied.hf_quantizer) is kind and model.hf_quantizer.is_qat_trainable


@every_kind
def test_a_saved_model_with_an_adapter_is_loaded_as_the_base(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    attach(model, LLAMA_ALL)
    with vblora.disabled(model):
        base = logits(model)
    again = reloaded(model, tmp_path / "saved")
    assert torch.equal(logits(again), base)


# Fails if the configuration still says that merged layers are quantised: loading raises.
@pytest.mark.parametrize(
    "name, targets", [("llama", LLAMA_ALL), ("llama", ["q_proj"]), ("gpt2", GPT2_ALL), ("gpt2", ["c_fc"])]
)
@pytest.mark.parametrize("detached", [False, True], ids=["merged", "detached"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_merged_model_is_loaded_by_plain_transformers(kind, detached, name, targets, tmp_path):
    model = quantised(tmp_path, name, kind)
    attach(model, targets)
    vblora.merge(model)
    if detached:
        vblora.detach(model)
        assert not hasattr(model, "vblora")
    expected = logits(model)
    again = reloaded(model, tmp_path / "saved")
    assert torch.equal(logits(again), expected)
    whole = len(targets) > 1
    assert whole != hasattr(again.config, "quantization_config")
    assert any(map(vblora.quantized.bits, again.modules())) != whole


@every_kind
def test_a_requantised_model_is_loaded_by_plain_transformers(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    attach(model, LLAMA_ALL)
    vblora.merge(model, requantize=True)
    expected = logits(model)
    again = reloaded(model, tmp_path / "saved")
    assert torch.equal(logits(again), expected)
    assert all(map(vblora.quantized.bits, (layer.self_attn.q_proj for layer in again.model.layers)))


@every_kind
def test_a_wholly_merged_model_is_an_ordinary_one(kind, tmp_path):
    model = quantised(tmp_path, kind=kind)
    attach(model, LLAMA_ALL)
    vblora.merge(model)
    vblora.detach(model)
    assert not getattr(model, "is_quantized", False)
    model.float()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    attach(model, LLAMA_ALL)
    logits(model)


def test_layers_merged_one_after_another_are_all_listed(tmp_path):
    model = quantised(tmp_path)
    for targets in (["q_proj"], ["v_proj"]):
        attach(model, targets)
        vblora.merge(model)
        vblora.detach(model)
    expected = logits(model)
    skipped = model.config.quantization_config.llm_int8_skip_modules
    assert "lm_head" in skipped and len(skipped) == 5
    assert torch.equal(logits(reloaded(model, tmp_path / "saved")), expected)


def test_a_quantised_model_inside_another_is_told_too(tmp_path):
    class Wrapper(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            return self.body(x)

    model = Wrapper(quantised(tmp_path))
    attach(model)
    validate_quantization_for_training(model.body)
    vblora.merge(model)
    expected = logits(model)
    assert torch.equal(logits(reloaded(model.body, tmp_path / "saved")), expected)
    vblora.unmerge(model)
    assert model.body.config.quantization_config.llm_int8_skip_modules is None


def test_merging_a_part_of_a_quantised_model_raises_and_changes_nothing(tmp_path):
    model = quantised(tmp_path)
    attach(model.model)
    before = stored_bytes(model.model)
    with pytest.raises(VBLoRAError, match="LlamaModel is part of a quantised model"):
        vblora.merge(model.model)
    assert stored_bytes(model.model) == before and model.model.vblora.merged is None
    vblora.merge(model.model, requantize=True)


@every_kind
@pytest.mark.parametrize("file", ["trained", "topk"])
def test_an_adapter_of_a_quantised_model_is_saved_and_loaded(kind, file, tmp_path):
    model = quantised(tmp_path, kind=kind)
    attach(model, LLAMA_ALL)
    vblora.save(model, tmp_path / "adapter", file)
    again = quantised(tmp_path, kind=kind)
    vblora.load(again, tmp_path / "adapter")
    torch.testing.assert_close(logits(again), logits(model), atol=0.02, rtol=0.01)
    validate_quantization_for_training(again)


def test_a_head_with_4_bit_weights_raises_and_changes_nothing(tmp_path):
    model = quantised(tmp_path)
    for head in ("mlp", "down_proj"):
        with pytest.raises(vblora.TargetError, match="holds 4- or 8-bit weights, which cannot train in full"):
            vblora.attach(model, vblora.VBLoRAConfig(vector_length=16, targets=["q_proj"]), also_train=[head])
    assert not hasattr(model, "vblora")
    vblora.attach(model, vblora.VBLoRAConfig(vector_length=16, targets=["q_proj"]), also_train=["lm_head"])
    assert model.lm_head.weight.requires_grad
    vblora.save(model, tmp_path / "adapter")
    other = quantised(tmp_path, llm_int8_skip_modules=["q_proj"])
    with pytest.raises(vblora.AdapterFileError, match="also_train: lm_head holds 4- or 8-bit"):
        vblora.load(other, tmp_path / "adapter")
    assert not hasattr(other, "vblora")
