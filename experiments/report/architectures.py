"""The paper's models as sizes alone: built on the meta device, so that no weight is made or downloaded.

Only what changes a parameter count is set; sizes are those of the models' published config.json.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from vblora.sites import Site, find_sites

QV = ["query", "value"]
ENCODER = [*QV, "key", "attention.output.dense", "intermediate.dense", "output.dense"]
DECODER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SPLIT_C_ATTN = {"c_attn": ["query", "key", "value"]}
SITES: dict[str, dict[str, list[str]]] = {
    "roberta": {"qv": QV, "all": ENCODER, "q": ["query"]},
    "gpt2": {"qv": QV, "all": ["c_attn", "c_proj", "c_fc"], "split": [*QV, "key", "c_proj", "c_fc"]},
    "llama": {"all": DECODER},
    "mistral": {"all": DECODER},
    "gemma": {"all": DECODER},
}


@dataclass(frozen=True)
class Architecture:
    """A model's kind, the class that is fine-tuned, its sizes, and where these are published."""

    kind: str
    model_class: str
    sizes: dict[str, Any]
    source: str


def _roberta(width: int, layers: int, name: str) -> Architecture:
    sizes = {
        "vocab_size": 50265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
    }
    return Architecture("roberta", "RobertaForSequenceClassification", sizes, f"FacebookAI/{name}")


def _gpt2(width: int, layers: int, name: str) -> Architecture:
    sizes = {"n_embd": width, "n_layer": layers, "n_head": width // 64}  # vocabulary 50,257, 1,024 positions
    return Architecture("gpt2", "GPT2LMHeadModel", sizes, f"openai-community/{name}")


def _llama(width: int, inner: int, layers: int, name: str) -> Architecture:
    sizes = {
        "vocab_size": 32000,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 128,
        "num_key_value_heads": width // 128,
    }
    return Architecture("llama", "LlamaForCausalLM", sizes, f"meta-llama/{name}")


MISTRAL = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
GEMMA = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
}
ARCHITECTURES = {
    "roberta_base": _roberta(768, 12, "roberta-base"),
    "roberta_large": _roberta(1024, 24, "roberta-large"),
    "gpt2_medium": _gpt2(1024, 24, "gpt2-medium"),
    "gpt2_large": _gpt2(1280, 36, "gpt2-large"),
    "llama2_7b": _llama(4096, 11008, 32, "Llama-2-7b-hf"),
    "llama2_13b": _llama(5120, 13824, 40, "Llama-2-13b-hf"),
    "mistral_7b": Architecture("mistral", "MistralForCausalLM", MISTRAL, "mistralai/Mistral-7B-v0.1"),
    "gemma_7b": Architecture("gemma", "GemmaForCausalLM", GEMMA, "google/gemma-7b"),
}


@cache
def build(model: str) -> nn.Module:
    """The model on the meta device: names and shapes, no memory."""
    architecture = ARCHITECTURES[model]
    model_class = getattr(transformers, architecture.model_class)
    with torch.device("meta"):
        built: nn.Module = model_class(model_class.config_class(**architecture.sizes))
    return built


@cache
def sites(model: str, targets: str) -> list[Site]:
    """The sites of a model by the names of SITES; GPT-2's query, key and value are slices of c_attn."""
    kind = ARCHITECTURES[model].kind
    splits = SPLIT_C_ATTN if kind == "gpt2" and targets in ("qv", "split") else {}
    return find_sites(build(model), SITES[kind][targets], splits)
