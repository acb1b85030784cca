"""Random models of three architectures, small enough for tests, without dropout unless asked."""

import torch
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

ROBERTA_ALL = [
    "query",
    "key",
    "value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
]
GPT2_ALL = ["c_attn", "c_proj", "c_fc"]
LLAMA_ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def roberta(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return RobertaForSequenceClassification(config).eval()


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    tokens = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50, n_positions=40, **tokens)
    ).eval()


def llama() -> nn.Module:
    """Grouped-query attention: key and value are half as wide as query."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=40,
    )
    return LlamaForCausalLM(config).eval()


MODELS = {"roberta": (roberta, ROBERTA_ALL), "gpt2": (gpt2, GPT2_ALL), "llama": (llama, LLAMA_ALL)}


def tokens(rows: int = 3, length: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(5, 50, (rows, length), generator=generator)


def shake(module: nn.Module, scale: float = 0.3) -> None:
    """Move every trainable parameter away from its start, so that the product is far from zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def dense_product(adapter, layer: str, shape) -> Tensor:
    """ΔW (o, i) of a layer by the definition: B A of each of its sites, in their rows."""
    change = torch.zeros(shape)
    for site in adapter.sites:
        if site.layer == layer:
            A, B = adapter.factors(site)
            change[site.start : site.start + site.out_features] += (B @ A).detach()
    return change
