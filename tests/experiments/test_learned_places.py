"""Logits at learned places alone are those of the whole model; nothing else changes."""

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

import vblora
from experiments.batches import IGNORED
from experiments.learned_places import LogitsError, learned_places, logits_of_learned

SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
TOKENS = torch.tensor([[1, 2, 3, 4, 8], [5, 6, 10, 0, 0]])
LABELS = torch.tensor([[IGNORED, IGNORED, 3, 4, 8], [IGNORED, 6, IGNORED, IGNORED, IGNORED]])
PLACES = [(0, 1), (0, 2), (0, 3), (1, 0)]


def models() -> dict[str, Any]:
    torch.manual_seed(0)
    gemma = SMALL | {"num_key_value_heads": 1, "head_dim": 8, "final_logit_softcapping": 0.05}
    return {
        "gpt2": hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=11, n_embd=16, n_layer=1, n_head=2)),
        "llama": hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=11, **SMALL)),
        "gemma2": hf.Gemma2ForCausalLM(hf.Gemma2Config(vocab_size=11, **gemma)),
    }


def chosen(model: Any) -> Tensor:
    with logits_of_learned(model, LABELS):
        logits: Tensor = model(TOKENS).logits
    return logits


def test_places_are_those_before_learned_tokens() -> None:
    assert list(map(tuple, learned_places(LABELS).nonzero().tolist())) == PLACES


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_they_are_the_whole_models(name: str) -> None:
    """Gemma 2 bends its logits after the layer, which is done to the chosen ones too."""
    model = models()[name].eval()
    whole = model(TOKENS).logits
    assert chosen(model).shape == (4, 11)
    torch.testing.assert_close(chosen(model), torch.stack([whole[place] for place in PLACES]))
    assert model(TOKENS).logits.shape == whole.shape  # outside nothing is chosen


def test_an_adapter_on_the_layer_of_logits_adds_to_the_chosen() -> None:
    model = models()["llama"].eval()
    vblora.attach(
        model, vblora.VBLoRAConfig(rank=2, num_vectors=4, vector_length=1, targets=["lm_head", "q_proj"])
    )
    whole = model(TOKENS).logits
    torch.testing.assert_close(chosen(model), torch.stack([whole[place] for place in PLACES]))


def test_the_layer_is_as_it_was_after_an_error() -> None:
    model = models()["llama"].eval()
    with pytest.raises(ZeroDivisionError), logits_of_learned(model, LABELS):
        raise ZeroDivisionError
    assert model(TOKENS).logits.shape == (2, 5, 11)


def test_a_layer_called_by_keyword_reads_the_chosen_too() -> None:
    class Named(hf.LlamaForCausalLM):
        def forward(self, input_ids: Tensor) -> Any:
            return self.lm_head(input=self.model(input_ids).last_hidden_state)

    model = Named(hf.LlamaConfig(vocab_size=11, **SMALL)).eval()
    with logits_of_learned(model, LABELS):
        chosen = model(TOKENS)
    torch.testing.assert_close(chosen, torch.stack([model(TOKENS)[place] for place in PLACES]))


def test_a_model_that_computes_logits_of_few_places_itself_is_refused() -> None:
    model = models()["llama"]
    with (
        pytest.raises(LogitsError, match=r"reads \(2, 1, 16\) for a batch of \(2, 5\)"),
        logits_of_learned(model, LABELS),
    ):
        model(TOKENS, logits_to_keep=1)


def test_nothing_learned_gives_no_logits() -> None:
    model = models()["llama"].eval()
    with logits_of_learned(model, torch.full_like(TOKENS, IGNORED)):
        assert model(TOKENS).logits.shape == (0, 11)


def test_a_classifier_is_left_alone() -> None:
    model = hf.RobertaForSequenceClassification(hf.RobertaConfig(vocab_size=11, **SMALL)).eval()
    with logits_of_learned(model, torch.tensor([0, 1])):
        assert model(TOKENS).logits.shape == (2, 2)
