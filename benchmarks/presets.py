"""The models that adapters are compared on, and the sides of each comparison.

Sides of a case share the frozen weights of one model: `PEFT LoRA` at the same rank, the base of all ratios;
`PEFT VB-LoRA`; `vblora`, this project's; and `head only`, which adapts nothing. All train the same head too
(for the language models, their last norm), all with fused AdamW.

Weights are random: what is measured depends on shapes alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import peft
import torch
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

import vblora
from vblora.sites import find_sites

VOCABULARY = 1000  # words: embeddings are looked up, so their number costs nothing
ROBERTA = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
GPT2 = ["c_attn", "c_proj", "c_fc"]
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK = 4
TOPK = 2
SIDES = ("PEFT LoRA", "PEFT VB-LoRA", "vblora", "head only")


@dataclass(frozen=True)
class Case:
    """One model, its adapted layers, and a batch.

    Attributes:
        build: makes the model.
        targets: endings of the adapted layers.
        head: the module that trains in full on every side.
        num_vectors, vector_length: h and b.
        batch: texts, and tokens of each.
        autocast: type that products are made in; None: the weights' own.
        checkpointing: activations are computed again in the backward pass.
    """

    build: Callable[[], PreTrainedModel]
    targets: Sequence[str]
    head: str = "classifier"
    num_vectors: int = 90
    vector_length: int = 256
    batch: tuple[int, int] = (4, 32)
    autocast: torch.dtype | None = None
    checkpointing: bool = False


def roberta(layers: int, width: int, heads: int) -> Callable[[], PreTrainedModel]:
    """An encoder with a head of two classes, without dropout, as all models here."""

    def build() -> PreTrainedModel:
        sizes: dict[str, Any] = {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_attention_heads": heads,
        }
        dropout: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        config = RobertaConfig(vocab_size=VOCABULARY, num_hidden_layers=layers, **sizes, **dropout)
        return RobertaForSequenceClassification(config)

    return build


def gpt2(layers: int, width: int, heads: int) -> Callable[[], PreTrainedModel]:
    """A decoder with fused query, key and value."""

    def build() -> PreTrainedModel:
        dropout: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        sizes: dict[str, Any] = {
            "n_embd": width,
            "n_layer": layers,
            "n_head": heads,
            "vocab_size": VOCABULARY,
        }
        return GPT2LMHeadModel(GPT2Config(**sizes, **dropout, bos_token_id=0, eos_token_id=0))

    return build


def llama(
    layers: int, width: int, heads: int, between: int, quantised: bool
) -> Callable[[], PreTrainedModel]:
    """Blocks of a Llama in bfloat16, or with linear layers in NF4 that compute in it."""

    def build() -> PreTrainedModel:
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            num_hidden_layers=layers,
            hidden_size=width,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            intermediate_size=between,
        )
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
        return _in_4_bit(model) if quantised else model

    return build


def _in_4_bit(model: PreTrainedModel) -> PreTrainedModel:
    import bitsandbytes

    kinds: Any = bitsandbytes.nn

    blocks = model.get_submodule("model.layers")
    for name, layer in list(blocks.named_modules()):
        if isinstance(layer, nn.Linear):
            packed = kinds.Linear4bit(
                layer.in_features, layer.out_features, False, torch.bfloat16, quant_type="nf4", device="meta"
            )
            packed.weight = kinds.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
            packed.weight.module = packed
            blocks.set_submodule(name, packed.to(device()))
    return model


def device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _seven_billion(layers: int, quantised: bool) -> Callable[[], PreTrainedModel]:
    return llama(layers, 4096, 32, 11008, quantised)


BF16 = torch.bfloat16
BASE, LARGE = roberta(12, 768, 12), roberta(24, 1024, 16)
MEDIUM = gpt2(24, 1024, 16)
LM: dict[str, Any] = {"autocast": BF16, "num_vectors": 2048}
# By preset and title. `tiny` only shows that it runs, `small` is for two CPU cores, `full` for a GPU.
CASES: dict[str, dict[str, Case]] = {
    "tiny": {"RoBERTa, 2 layers, all": Case(roberta(2, 64, 4), ROBERTA, vector_length=32)},
    "small": {
        "RoBERTa-base qv": Case(BASE, ROBERTA[:3:2]),
        "RoBERTa-base all": Case(BASE, ROBERTA),
        "RoBERTa-base all, h 2048, 4 x 16 tokens": Case(BASE, ROBERTA, num_vectors=2048, batch=(4, 16)),
        "RoBERTa-large all": Case(LARGE, ROBERTA),
        "GPT-2 medium all": Case(MEDIUM, GPT2, "transformer.ln_f", 256),
        "Llama 2 7B, 4 blocks, bf16": Case(
            _seven_billion(4, False), LLAMA, "model.norm", batch=(1, 128), **LM
        ),
        "Llama 2 7B, 4 blocks, NF4": Case(_seven_billion(4, True), LLAMA, "model.norm", batch=(1, 128), **LM),
        "Llama 2 7B, 4 blocks, NF4, checkpointing": Case(
            _seven_billion(4, True), LLAMA, "model.norm", batch=(1, 128), checkpointing=True, **LM
        ),
    },
    "full": {
        "RoBERTa-base qv": Case(BASE, ROBERTA[:3:2], batch=(32, 128)),
        "RoBERTa-base all": Case(BASE, ROBERTA, batch=(32, 128)),
        "RoBERTa-large all": Case(LARGE, ROBERTA, batch=(32, 128)),
        "GPT-2 medium all": Case(MEDIUM, GPT2, "transformer.ln_f", 256, batch=(8, 512)),
        "Llama 2 7B, bf16": Case(
            _seven_billion(32, False), LLAMA, "model.norm", batch=(4, 512), checkpointing=True, **LM
        ),
        "Llama 2 7B, NF4": Case(
            _seven_billion(32, True), LLAMA, "model.norm", batch=(4, 512), checkpointing=True, **LM
        ),
    },
}


def built(case: Case) -> PreTrainedModel:
    """The case's model, the same each time."""
    torch.manual_seed(0)
    model: Any = case.build()
    return cast(PreTrainedModel, model.to(device()))


class Trained:
    """One side of a case: a model with what is trained on it, and one step of training.

    Args:
        case: what is compared.
        side: one of SIDES.
        base: the case's model, whose weights all sides share.
    """

    def __init__(self, case: Case, side: str, base: PreTrainedModel) -> None:
        self.case, self.side = case, side
        weights = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
        model = copy.deepcopy(base, weights).requires_grad_(False)  # shares the weights
        if case.checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        self.model = adapted(side, case, model)
        model.get_submodule(case.head).requires_grad_(True)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, fused=True)
        self.inputs = batch(case)

    def loss(self) -> Tensor:
        """The loss of the batch."""
        case = self.case
        with torch.autocast(device().type, case.autocast) if case.autocast else nullcontext():
            loss: Tensor = self.model.train()(**self.inputs).loss
            return loss

    def step(self) -> None:
        """Forward, backward, optimizer."""
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        wait()


def wait() -> None:
    """Until the GPU, if there is one, has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def adapted(side: str, case: Case, model: nn.Module) -> nn.Module:
    """The model with one side's adapter."""
    if side == "head only":
        return model
    bank: dict[str, Any] = {
        "num_vectors": case.num_vectors,
        "vector_length": case.vector_length,
        "topk": TOPK,
    }
    if side == "vblora":
        vblora.attach(model, vblora.VBLoRAConfig(rank=RANK, targets=list(case.targets), **bank))
        return model
    names = [
        site.name for site in find_sites(model, case.targets)
    ]  # PEFT takes an ending for more than it is
    config: Any = peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=names)
    if side == "PEFT VB-LoRA":
        config = peft.VBLoRAConfig(r=RANK, target_modules=names, **bank)
    wrapped: nn.Module = peft.get_peft_model(cast(Any, model), config)
    return wrapped


def batch(case: Case) -> dict[str, Tensor]:
    """Random words, each its own label, or a class for each text."""
    rows, length = case.batch
    words = torch.randint(5, VOCABULARY, (rows, length), device=device())
    return {"input_ids": words, "labels": words[:, 0] % 2 if case.head == "classifier" else words}
