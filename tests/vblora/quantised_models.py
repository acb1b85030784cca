"""Tiny models that transformers loads in 4 or 8 bits on the CPU, from random weights in a folder."""

import torch
from tiny_models import GPT2_ALL, LLAMA_ALL, shake, tokens
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

import vblora

NF4 = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": torch.bfloat16,
}
PLAIN_NF4 = NF4 | {"bnb_4bit_use_double_quant": False}
FP4_IN_BF16 = NF4 | {"bnb_4bit_quant_type": "fp4", "bnb_4bit_quant_storage": torch.bfloat16}
INT8 = {"load_in_8bit": True}
KINDS = {"nf4": NF4, "plain_nf4": PLAIN_NF4, "fp4_in_bf16": FP4_IN_BF16, "int8": INT8}


def llama() -> nn.Module:
    """Grouped-query attention; blocks of 64 values lie within a row, and down_proj has two of them."""
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=64, max_position_embeddings=40, initializer_range=0.1, **sizes, **heads)
    )


def gpt2() -> nn.Module:
    sizes = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 40, "initializer_range": 0.1}
    dropout = dict.fromkeys(["resid_pdrop", "embd_pdrop", "attn_pdrop"], 0.0)
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, bos_token_id=0, eos_token_id=0, **sizes, **dropout))


BUILDERS = {"llama": llama, "gpt2": gpt2}
TARGETS = {"llama": LLAMA_ALL, "gpt2": GPT2_ALL}


def quantised(folder, name="llama", kind="nf4", dtype=torch.bfloat16, device="cpu", **changes) -> nn.Module:
    """The model of this name, in evaluation mode, its linear layers quantised but the head."""
    path = folder / f"plain_{name}"
    if not path.exists():
        BUILDERS[name]().save_pretrained(path)
    settings = BitsAndBytesConfig(**KINDS[kind] | changes)
    where = {"": device}  # by default transformers takes a GPU if there is one
    return AutoModelForCausalLM.from_pretrained(
        path, quantization_config=settings, dtype=dtype, device_map=where
    ).eval()


def reloaded(model, folder) -> nn.Module:
    """What plain transformers makes of the saved model."""
    model.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder, device_map={"": model.device}).eval()


def stored_bytes(model) -> dict[str, bytes]:
    """Every tensor that a saved model would hold, adapters left out, as bytes."""
    return {
        key: value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for key, value in model.state_dict().items()
        if not key.startswith("vblora.")
    }


def config(targets, **settings) -> vblora.VBLoRAConfig:
    return vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=targets, **settings)


def adapted(folder, name="llama", kind="nf4", targets=None, scale=0.1, **settings):
    """A quantised model and its adapter, away from its start."""
    model = quantised(folder, name, kind)
    adapter = vblora.attach(model, config(targets or TARGETS[name], init_bank_bound=0.2, **settings))
    shake(adapter, scale)
    return model, adapter


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits.float()


def distance(ours, expected) -> float:
    return float((ours - expected).norm() / expected.norm())
