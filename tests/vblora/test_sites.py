import pytest
import torch
from tiny_models import ROBERTA_ALL, gpt2, llama, roberta
from torch import nn

from vblora import TargetError
from vblora.sites import find_sites


def test_endings_match_whole_parts_of_names():
    names = [site.name for site in find_sites(roberta(), ["query", "value"])]
    assert len(names) == 4 and all(name.rsplit(".", 1)[1] in ("query", "value") for name in names)


def test_all_means_six_linear_layers_a_block_and_not_the_head():
    sites = find_sites(roberta(), ROBERTA_ALL)
    assert len(sites) == 2 * 6
    assert not any("classifier" in site.name for site in sites)


def test_a_string_is_a_regular_expression_over_full_names():
    sites = find_sites(roberta(), r".*layer\.1\..*(query|key)")
    assert [site.name.split(".")[3] for site in sites] == ["1", "1"]


def test_shapes_are_in_and_out_for_linear_and_conv1d():
    shapes = {
        s.name.rsplit(".", 2)[-1]: (s.in_features, s.out_features)
        for s in find_sites(gpt2(), ["c_attn", "c_fc"])
    }
    assert shapes == {"c_attn": (32, 96), "c_fc": (32, 128)}
    grouped = find_sites(llama(), ["k_proj"])[0]
    assert (grouped.in_features, grouped.out_features) == (32, 16)


def test_a_split_layer_gives_a_site_for_each_part():
    parts = {"c_attn": ["query", "key", "value"]}
    sites = find_sites(gpt2(), ["c_attn.query", "c_attn.value"], parts)
    assert [(s.name.split(".")[-1], s.start, s.out_features) for s in sites[:2]] == [
        ("query", 0, 32),
        ("value", 64, 32),
    ]
    assert {s.layer for s in sites} == {"transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"}


def test_a_split_that_does_not_divide_raises():
    with pytest.raises(TargetError, match="96 outputs do not divide into 5 equal parts"):
        find_sites(gpt2(), ["a"], {"c_attn": list("abcde")})


def test_no_match_names_the_linear_layers_that_exist():
    with pytest.raises(
        TargetError, match="matches the targets q_proj; its linear layers end in: query, key, value"
    ):
        find_sites(roberta(), ["q_proj"])


def test_no_targets_raises():
    with pytest.raises(TargetError, match="targets is empty"):
        find_sites(roberta(), [])


@pytest.mark.parametrize("target", ["word_embeddings", "LayerNorm", "attention"])
def test_a_target_that_is_not_linear_raises(target):
    with pytest.raises(TargetError, match="cannot be adapted; name linear layers"):
        find_sites(roberta(), [target])


def test_a_quantised_weight_raises():
    model = nn.ModuleDict({"query": nn.Linear(4, 4)})
    model["query"].weight = nn.Parameter(torch.zeros(4, 4, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(TargetError, match="quantised"):
        find_sites(model, ["query"])


def test_sites_are_found_on_the_meta_device():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 6))
    assert find_sites(model, ["0"])[0].out_features == 6
