"""A fused layer as three: the same numbers, parts that PEFT can adapt, and one layer again after merging."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from experiments import splitting
from experiments.splitting import Split, SplitError

SPLITS = {"c_attn": ["query", "key", "value"]}


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 20}
    return GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.2)).eval()


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.arange(12).reshape(2, 6)).logits
    return found


def test_split_model_gives_the_same_numbers() -> None:
    model = gpt2()
    before = logits(model)
    splitting.split(model, SPLITS)
    assert isinstance(model.transformer.h[1].attn.c_attn, Split)
    torch.testing.assert_close(logits(model), before)


def test_parts_are_the_columns_of_the_fused_layer_in_order() -> None:
    model = gpt2()
    fused = model.transformer.h[0].attn.c_attn.weight.detach().clone()
    splitting.split(model, SPLITS)
    layer = model.transformer.h[0].attn.c_attn
    assert torch.equal(layer.value.weight, fused[:, 64:].mT)
    assert torch.equal(layer.key.weight, fused[:, 32:64].mT)


def test_joined_model_has_its_old_keys_and_weights() -> None:
    model, plain = gpt2(), gpt2().state_dict()
    splitting.split(model, SPLITS)
    splitting.join(model)
    assert model.state_dict().keys() == plain.keys()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in model.state_dict().items())


def test_lora_of_query_and_value_changes_them_alone_and_merges_into_one_layer() -> None:
    model, plain = gpt2(), gpt2()
    splitting.split(model, SPLITS)
    config = LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    wrapper = get_peft_model(model, config)
    tuned = logits(model)
    wrapper.merge_and_unload()
    splitting.join(model)
    torch.testing.assert_close(logits(model), tuned)
    change = model.transformer.h[0].attn.c_attn.weight - plain.transformer.h[0].attn.c_attn.weight
    assert change[:, :32].abs().max() > 0 and change[:, 64:].abs().max() > 0
    assert torch.equal(change[:, 32:64], torch.zeros(32, 32))


def test_linear_layers_are_split_too_and_keep_their_kind() -> None:
    model = nn.Sequential(nn.Linear(4, 6, bias=False))
    before = model[0].weight.detach().clone()
    splitting.split(model, {"0": ["a", "b"]})
    splitting.join(model)
    assert isinstance(model[0], nn.Linear) and model[0].bias is None
    assert torch.equal(model[0].weight, before)


def test_outputs_that_do_not_divide_are_refused() -> None:
    with pytest.raises(SplitError, match="7 outputs do not divide into 2 parts"):
        splitting.split(nn.Sequential(nn.Linear(3, 7)), {"0": ["a", "b"]})
