"""The paper's models as sizes alone: built on the meta device, so that no weight is made or downloaded.

Only what changes a parameter count is set; sizes are those of the models' published config.json.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from experiments.report import scales
from vblora.sites import Site, find_sites

HALF, SINGLE = 2, 4  # bytes
READINGS = {"q": ["query"]}  # targets that no run has, but that a printed count may have been made with


@dataclass(frozen=True)
class Architecture:
    """A model as its authors published it.

    Attributes:
        model_class: the class that is fine-tuned.
        sizes: of its config.json.
        source: its name on the hub.
        weight_bytes: of each weight in the published file.
    """

    model_class: str
    sizes: dict[str, Any]
    source: str
    weight_bytes: int


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
    return Architecture("RobertaForSequenceClassification", sizes, f"FacebookAI/{name}", SINGLE)


def _gpt2(width: int, layers: int, name: str) -> Architecture:
    sizes = {"n_embd": width, "n_layer": layers, "n_head": width // 64}  # vocabulary 50,257, 1,024 positions
    return Architecture("GPT2LMHeadModel", sizes, f"openai-community/{name}", SINGLE)


def _llama(width: int, inner: int, layers: int, name: str) -> Architecture:
    sizes = {
        "vocab_size": 32000,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 128,
        "num_key_value_heads": width // 128,
    }
    return Architecture("LlamaForCausalLM", sizes, f"meta-llama/{name}", HALF)


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
    "mistral_7b": Architecture("MistralForCausalLM", MISTRAL, "mistralai/Mistral-7B-v0.1", HALF),
    "gemma_7b": Architecture("GemmaForCausalLM", GEMMA, "google/gemma-7b", HALF),
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
def layers(model: str) -> dict[str, Any]:
    """What conf/layers says of a model: its layers by the names of targets, and the parts of fused ones."""
    defaults = scales.read(scales.CONF / "model" / f"{model}.yaml")["defaults"]
    (kind,) = [entry["/layers@_here_"] for entry in defaults]
    return scales.read(scales.CONF / "layers" / f"{kind}.yaml")


@cache
def sites(model: str, targets: str) -> list[Site]:
    """The sites of a model by the names that conf/layers or READINGS gives them.

    GPT-2's query, key and value are slices of c_attn, unless the targets name c_attn itself.
    """
    known = layers(model)
    modules = known["layers"].get(targets) or READINGS[targets]
    splits = {layer: parts for layer, parts in known.get("splits", {}).items() if not {layer} & set(modules)}
    return find_sites(build(model), modules, splits)
