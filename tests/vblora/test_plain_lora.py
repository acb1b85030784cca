"""PEFT loads the export as a LoRA and gives our outputs; names and numbers are those that servers read."""

import json

import peft
import pytest
import torch
from safetensors.torch import load_file
from test_peft_adapters import logits, ours, same
from tiny_models import MODELS, ROBERTA_ALL, gpt2, roberta, shake

import vblora

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def loaded(build, folder):
    return peft.PeftModel.from_pretrained(build(), folder)


# Fails if lora_alpha is not r, or if B is written with its axes exchanged.
@pytest.mark.parametrize("name", MODELS)
def test_peft_gives_our_outputs(name, tmp_path):
    model = ours(name)
    vblora.save_lora(model, tmp_path)
    build, _ = MODELS[name]
    assert (logits(model) - logits(build())).abs().max() > 1e-2
    same(logits(loaded(build, tmp_path)), logits(model))


@pytest.mark.parametrize(
    "config",
    [
        vblora.TiedLoRAConfig(rank=3, targets=["query", "value"]),
        vblora.LoRAXSConfig(rank=3, targets=["query", "value"]),
        vblora.VBLoRAConfig(rank=3, num_vectors=7, vector_length=12, targets=ROBERTA_ALL),
        vblora.VBLoRAConfig(rank=3, num_vectors=7, vector_length=16, selection="all", targets=ROBERTA_ALL),
    ],
    ids=["tied_lora", "lora_xs", "b does not divide", "all vectors"],
)
def test_every_method_and_size_becomes_a_lora(config, tmp_path):
    model = roberta()
    shake(vblora.attach(model, config))
    vblora.save_lora(model, tmp_path)
    same(logits(loaded(roberta, tmp_path)), logits(model))


def test_slices_of_a_layer_become_one_lora_and_all_have_one_rank(tmp_path):
    model = gpt2()
    config = vblora.VBLoRAConfig(
        rank=2,
        num_vectors=7,
        vector_length=16,
        targets=["c_attn.query", "c_attn.value", "c_fc"],
        splits={"c_attn": ["query", "key", "value"]},
    )
    shake(vblora.attach(model, config))
    vblora.save_lora(model, tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    assert {value.shape[0] for key, value in tensors.items() if "lora_A" in key} == {4}
    attention = tensors["base_model.model.transformer.h.0.attn.c_attn.lora_B.weight"]
    assert attention.shape == (96, 4) and not attention[32:64].any()  # key's rows
    same(logits(loaded(gpt2, tmp_path)), logits(model))


def test_layout_is_the_one_that_servers_read(tmp_path):
    """As vLLM's peft_helper.py and llama.cpp's convert_lora_to_gguf.py require."""
    model = ours("llama")
    vblora.save_lora(model, tmp_path, dtype=torch.bfloat16)
    settings = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    assert type(settings["r"]) is type(settings["lora_alpha"]) is int
    assert settings["lora_alpha"] / settings["r"] == 1 and settings["peft_type"] == "LORA"
    assert not settings["modules_to_save"] and not settings["use_dora"] and settings["bias"] == "none"
    tensors = load_file(tmp_path / WEIGHTS)
    layers = dict(MODELS["llama"][0]().named_modules())
    expected = {
        f"base_model.model.{name}.lora_{side}.weight" for name in settings["target_modules"] for side in "AB"
    }
    assert set(tensors) == expected and set(settings["target_modules"]) < set(layers)
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}


def test_a_head_is_a_module_to_save(tmp_path):
    model = ours(head=["classifier"])
    shake(model.classifier)
    vblora.save_lora(model, tmp_path)
    same(logits(loaded(roberta, tmp_path)), logits(model))


def test_what_cannot_be_written_is_refused(tmp_path):
    model = ours()
    with pytest.raises(vblora.VBLoRAError, match="no floating type"):
        vblora.save_lora(model, tmp_path, dtype=torch.int8)
    with torch.no_grad():
        model.vblora["default"].bank.vectors[:] = 1e6
    with pytest.raises(vblora.VBLoRAError, match="NaN or infinity"):
        vblora.save_lora(model, tmp_path, dtype=torch.float16)
    assert not list(tmp_path.iterdir())
