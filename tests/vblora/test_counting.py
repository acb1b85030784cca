"""Tests of vblora/counting.py: by hand, against PEFT, and against this library's own adapters."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import peft
import pytest
import torch
from quantised_models import BUILDERS, quantised
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaModel

import vblora
from vblora import counting
from vblora.admixture import SELECTIONS

BASE, LARGE = (12, 768), (24, 1024)


@dataclass(frozen=True)
class Shape:
    in_features: int
    out_features: int


def qv(size: tuple[int, int]) -> list[Shape]:
    layers, width = size
    return [Shape(width, width)] * 2 * layers


def encoder(size: tuple[int, int]) -> list[Shape]:
    layers, width = size
    return ([Shape(width, width)] * 4 + [Shape(width, 4 * width), Shape(4 * width, width)]) * layers


def gpt2(size: tuple[int, int], *, split: bool) -> list[Shape]:
    layers, d = size
    attention = [Shape(d, d)] * 3 if split else [Shape(d, 3 * d)]
    return [*attention, Shape(d, d), Shape(d, 4 * d), Shape(4 * d, d)] * layers


def decoder(layers: int, d: int, attention: int, key_value: int, inner: int) -> list[Shape]:
    shapes = [Shape(d, attention), Shape(d, key_value), Shape(d, key_value), Shape(attention, d)]
    return [*shapes, Shape(d, inner), Shape(d, inner), Shape(inner, d)] * layers


MEDIUM, GPT2_LARGE = (24, 1024), (36, 1280)
LLAMA_7B = decoder(32, 4096, 4096, 4096, 11008)
LLAMA_13B = decoder(40, 5120, 5120, 5120, 13824)
MISTRAL = decoder(32, 4096, 4096, 1024, 14336)
GEMMA = decoder(28, 3072, 4096, 4096, 24576)


def bank(num_vectors: int, rank: int = 4, topk: int = 2, vector_length: int = 256) -> SimpleNamespace:
    return SimpleNamespace(
        train_bank=True,
        selection="topk",
        rank=rank,
        num_vectors=num_vectors,
        vector_length=vector_length,
        topk=topk,
    )


@pytest.mark.parametrize("selection", list(SELECTIONS))
def test_every_selection_is_counted_as_it_is_stored_and_trained(selection: str) -> None:
    model = nn.Sequential(nn.Linear(32, 16, bias=False), nn.Linear(16, 32, bias=False))
    options = {"rank": 2, "num_vectors": 5, "vector_length": 8, "selection": selection}
    adapter = vblora.attach(model, vblora.VBLoRAConfig(targets=["0", "1"], **options))
    stored = sum(tensor.nbytes for tensor in adapter.stored().values())
    assert stored == counting.vblora_stored_bytes(adapter.sites, adapter.config)
    trained = counting.vblora_trainable_parameters(adapter.sites, adapter.config)
    assert trained == sum(p.numel() for p in adapter.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("sites", "rank", "expected"),
    [
        (qv(BASE), 8, 294_912),
        (qv(LARGE), 8, 786_432),
        (qv(MEDIUM), 4, 393_216),
        (qv(GPT2_LARGE), 4, 737_280),
        (LLAMA_7B, 64, 159_907_840),
        (LLAMA_13B, 64, 250_347_520),
        (MISTRAL, 64, 167_772_160),
        (GEMMA, 64, 200_015_872),
    ],
)
def test_lora(sites: list[Shape], rank: int, expected: int) -> None:
    assert counting.lora_parameters(sites, rank) == expected


@pytest.mark.parametrize(
    ("sites", "rank", "expected"),
    [
        (qv(BASE), 1024, 43_008),
        (qv(LARGE), 256, 61_440),
        (encoder(BASE), 1024, 156_672),
        (encoder(LARGE), 256, 258_048),
        (qv(MEDIUM), 1024, 98_304),
        (qv(GPT2_LARGE), 1024, 165_888),
        (LLAMA_7B, 1024, 1_589_248),
        (LLAMA_13B, 1024, 2_416_640),
    ],
)
def test_vera(sites: list[Shape], rank: int, expected: int) -> None:
    assert counting.vera_parameters(sites, rank) == expected


@pytest.mark.parametrize(
    ("sites", "rank", "expected"),
    [
        (qv(BASE), 16, 43_392),
        (qv(LARGE), 8, 65_920),
        (encoder(BASE), 16, 108_672),
        (encoder(LARGE), 8, 238_720),
    ],
)
def test_tied_lora(sites: list[Shape], rank: int, expected: int) -> None:
    assert counting.tied_lora_parameters(sites, rank) == expected


def test_lora_xs() -> None:
    assert counting.lora_xs_parameters(MISTRAL, 64) == 917_504
    assert counting.lora_xs_parameters(GEMMA, 64) == 802_816


@pytest.mark.parametrize(
    ("sites", "config", "definition", "expected"),
    [
        (encoder(BASE), bank(90), "paper", 26_928),
        (encoder(LARGE), bank(90), "paper", 33_408),
        (qv(BASE), bank(90), "paper", 23_904),
        (qv(LARGE), bank(90), "paper", 25_344),
        (qv(BASE)[::2], bank(90), "paper", 23_472),
        (qv(LARGE)[::2], bank(90), "paper", 24_192),
        (gpt2(MEDIUM, split=False), bank(256), "paper", 74_752),
        (gpt2(MEDIUM, split=False), bank(256), "peft", 77_824),
        (gpt2(MEDIUM, split=True), bank(256), "paper", 75_904),
        (gpt2(GPT2_LARGE, split=False), bank(350), "paper", 112_640),
        (gpt2(GPT2_LARGE, split=True), bank(350), "whole_index", 128_480),
        (LLAMA_7B, bank(2048), "paper", 602_368),
        (LLAMA_7B, bank(2048), "whole_index", 641_408),
        (LLAMA_7B, bank(2048), "eight_byte_index", 758_528),
        (LLAMA_13B, bank(2048, rank=6), "paper", 707_648),
        (LLAMA_13B, bank(2048, rank=6), "whole_index", 799_328),
        (LLAMA_13B, bank(2048, rank=6), "eight_byte_index", 1_074_368),
        (LLAMA_13B, bank(4096), "paper", 1_170_816),
        (LLAMA_13B, bank(4096), "one_byte_index", 1_140_256),
        (MISTRAL, bank(2048), "paper", 606_208),
        (MISTRAL, bank(2048), "whole_index", 647_168),
        (GEMMA, bank(2048), "paper", 621_952),
        (GEMMA, bank(2048), "whole_index", 670_784),
    ],
)
def test_vblora_stored(sites: list[Shape], config: SimpleNamespace, definition: str, expected: int) -> None:
    assert counting.vblora_stored_parameters(sites, config, definition) == expected


def test_closed_form_of_the_paper() -> None:
    layers, modules, rank, d, b, h = 24, 2, 4, 1024, 256, 90
    closed = h * b + 3 * layers * modules * rank * d // b
    assert counting.vblora_stored_parameters(qv(LARGE), bank(h)) == closed


def test_stored_by_hand() -> None:
    sites = [Shape(10, 7)]  # b = 4: three and two tiles, rank 2: ten sub-vectors
    config = bank(5, rank=2, topk=3, vector_length=4)
    assert counting.num_subvectors(sites, 2, 4) == 10
    assert counting.vblora_trainable_parameters(sites, config) == 5 * 4 + 10 * 5
    assert counting.vblora_stored_bytes(sites, config) == 4 * 20 + 10 * (3 * 1 + 2 * 4)
    assert counting.vblora_stored_parameters(sites, config) == 48  # 190 bytes are 47.5 parameters


def test_one_choice_needs_no_weight() -> None:
    assert counting.vblora_stored_bytes([Shape(4, 4)], bank(3, rank=1, topk=1, vector_length=4)) == 48 + 2


@pytest.mark.parametrize(
    ("num_vectors", "paper", "in_peft"), [(255, 1, 1), (256, 1, 2), (257, 2, 2), (70_000, 4, 4)]
)
def test_bytes_of_an_index(num_vectors: int, paper: int, in_peft: int) -> None:
    assert counting.index_bytes(num_vectors) == paper
    assert counting.peft_index_bytes(num_vectors) == in_peft


def test_unknown_definition_raises() -> None:
    with pytest.raises(KeyError):
        counting.vblora_stored_bytes(qv(BASE), bank(90), "guess")


def test_shared_parameters_count_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    assert counting.model_parameters(model) == 15
    assert counting.trainable_parameters(model) == 12


def tiny() -> RobertaModel:
    sizes = {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return RobertaModel(
        RobertaConfig(vocab_size=11, max_position_embeddings=20, **sizes), add_pooling_layer=False
    )


ENDINGS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


@pytest.mark.parametrize("targets", [["query", "value"], ENDINGS])
def test_lora_and_vera_count_as_in_peft(targets: list[str]) -> None:
    sites = vblora.sites.find_sites(tiny(), targets)
    configs = {
        counting.lora_parameters(sites, 3): peft.LoraConfig(r=3, target_modules=targets),
        counting.vera_parameters(sites, 5): peft.VeraConfig(r=5, target_modules=targets),
    }
    for expected, config in configs.items():
        assert counting.trainable_parameters(peft.get_peft_model(tiny(), config)) == expected


def test_vblora_counts_as_in_peft() -> None:
    config = bank(9, rank=2, vector_length=8)
    settings = {"r": 2, "num_vectors": 9, "vector_length": 8, "topk": 2, "target_modules": ENDINGS}
    adapted = peft.get_peft_model(tiny(), peft.VBLoRAConfig(**settings, save_only_topk_weights=True))
    sites = vblora.sites.find_sites(tiny(), ENDINGS)
    assert counting.trainable_parameters(adapted) == counting.vblora_trainable_parameters(sites, config)
    assert adapted.get_nb_savable_parameters()[0] == counting.vblora_stored_parameters(sites, config, "peft")


def test_own_adapters_train_what_is_counted() -> None:
    sites = vblora.sites.find_sites(tiny(), ENDINGS)
    vb = vblora.VBLoRAConfig(rank=2, num_vectors=9, vector_length=8, topk=2, targets=ENDINGS)
    cases = [
        (vb, counting.vblora_trainable_parameters(sites, vb)),
        (vblora.TiedLoRAConfig(rank=3, targets=ENDINGS), counting.tied_lora_parameters(sites, 3)),
        (vblora.LoRAXSConfig(rank=4, targets=ENDINGS), counting.lora_xs_parameters(sites, 4)),
    ]
    for config, expected in cases:
        model = tiny()
        vblora.attach(model, config)
        assert counting.trainable_parameters(model) == expected


def test_counts_need_no_memory() -> None:
    with torch.device("meta"):
        model = nn.Linear(10**6, 10**6, bias=False)
    assert counting.model_parameters(model) == 10**12


SPLITS = {"c_attn": ["query", "key", "value"]}
GPT2_FUSED = ["c_attn", "c_proj", "c_fc"]
GPT2_SPLIT = ["query", "key", "value", "c_proj", "c_fc"]


# Fails if the sites of a split layer have the layer's sizes.
@pytest.mark.parametrize(
    ("size", "vectors", "targets", "splits", "definition", "expected"),
    [
        (MEDIUM, 256, GPT2_FUSED, {}, "paper", 74_752),
        (MEDIUM, 256, GPT2_SPLIT, SPLITS, "paper", 75_904),
        (GPT2_LARGE, 350, GPT2_FUSED, {}, "paper", 112_640),
        (GPT2_LARGE, 350, GPT2_SPLIT, SPLITS, "whole_index", 128_480),
    ],
)
def test_published_counts_follow_from_the_sites_of_gpt2(
    size: tuple[int, int],
    vectors: int,
    targets: list[str],
    splits: dict[str, list[str]],
    definition: str,
    expected: int,
) -> None:
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_layer=size[0], n_embd=size[1], n_head=16))
    sites = vblora.sites.find_sites(model, targets, splits)
    assert counting.vblora_stored_parameters(sites, bank(vectors), definition) == expected


def test_query_and_value_slices_of_gpt2_give_the_published_baselines() -> None:
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_layer=24, n_embd=1024, n_head=16))
    sites = vblora.sites.find_sites(model, ["query", "value"], SPLITS)
    assert counting.lora_parameters(sites, 4) == 393_216
    assert counting.vera_parameters(sites, 1024) == 98_304


# Fails if the bytes of 4-bit weights are counted, as the released instruction script does.
@pytest.mark.parametrize("kind", ["nf4", "fp4_in_bf16", "int8"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_quantised_model_has_as_many_parameters_as_before(name: str, kind: str, tmp_path: Path) -> None:
    plain, model = BUILDERS[name](), quantised(tmp_path, name, kind)
    assert counting.model_parameters(model) == counting.model_parameters(plain)
    vb = vblora.VBLoRAConfig(rank=2, num_vectors=9, vector_length=8, topk=2, targets=["down_proj", "c_proj"])
    adapters = [vblora.attach(each, vb) for each in (plain, model)]
    assert counting.trainable_parameters(model) == counting.trainable_parameters(plain)
    stored = [sum(t.nbytes for t in adapter.stored().values()) for adapter in adapters]
    assert stored[0] == stored[1] == counting.vblora_stored_bytes(adapters[1].sites, vb)
