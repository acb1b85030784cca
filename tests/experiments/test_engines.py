"""Engines: batches change no answer, stops end it, and vLLM is asked for what it can do."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from experiments import engines
from experiments.config import GenerationConfig
from experiments.engines import EngineError

WORDS = ["<s>", "<pad>", "</s>", "Stop", "here:", *(f"w{i}" for i in range(25))]
PROMPTS = [[0, 5, 6], [0, 7], [0, 8, 9, 10, 11], [0, 12, 13]]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", pad_token="<pad>", eos_token="</s>"
    )


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    config = LlamaConfig(vocab_size=len(WORDS), initializer_range=0.5, **sizes, **special)
    return LlamaForCausalLM(config).eval()


def answers(model: Any, tokenizer: Any, prompts: list[list[int]], **settings: Any) -> list[list[int]]:
    stops = settings.pop("stops", ())
    return engines.build(model, tokenizer, GenerationConfig(**settings), stops)(prompts, 8)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 3, "length_penalty": 0.8, "no_repeat_ngram_size": 3},
        {"num_beams": 3, "length_penalty": 0.8, "no_repeat_ngram_size": 3, "beam_search": "hu2021"},
    ],
    ids=["greedy", "beams", "hu2021"],
)
def test_batch_of_padded_prompts_is_answered_as_one_by_one(
    model: Any, tokenizer: Any, settings: dict[str, Any]
) -> None:
    together = answers(model, tokenizer, PROMPTS, **settings)
    assert together == [answers(model, tokenizer, [prompt], **settings)[0] for prompt in PROMPTS]
    assert all(together) and len({tuple(row) for row in together}) > 1


def test_greedy_answer_is_the_likeliest_next_token_each_time(model: Any, tokenizer: Any) -> None:
    """Without a cache, one forward a token."""
    tokens = list(PROMPTS[2])
    with torch.no_grad():
        for _ in range(8):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    expected = tokens[len(PROMPTS[2]) :]
    expected = expected[: expected.index(2)] if 2 in expected else expected
    assert answers(model, tokenizer, [PROMPTS[2]]) == [expected]


def test_settings_of_the_model_itself_do_not_make_it_sample(model: Any, tokenizer: Any) -> None:
    before = answers(model, tokenizer, PROMPTS)
    model.generation_config.do_sample, model.generation_config.temperature = True, 5.0
    try:
        assert answers(model, tokenizer, PROMPTS) == before
    finally:
        model.generation_config.do_sample, model.generation_config.temperature = False, 1.0


def test_stop_of_two_words_ends_an_answer_and_not_its_neighbours(model: Any, tokenizer: Any) -> None:
    whole = answers(model, tokenizer, PROMPTS[:2])
    stop = " ".join(WORDS[token] for token in whole[0][2:4])
    cut = answers(model, tokenizer, PROMPTS[:2], stops=(stop,))
    assert cut[0][:4] == whole[0][:4] and set(cut[0][4:]) <= {1}
    text = " ".join(WORDS[token] for token in whole[1])
    assert stop in text or cut[1] == whole[1]


def test_stop_in_the_prompt_ends_nothing(model: Any, tokenizer: Any) -> None:
    prompt = [0, 3, 4]
    assert answers(model, tokenizer, [prompt], stops=("Stop here:",)) == answers(model, tokenizer, [prompt])


def test_vllm_that_is_not_installed_is_named(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EngineError, match="pip install vllm, or choose engine=transformers"):
        answers(model, tokenizer, PROMPTS, engine="vllm")


def test_vllm_gets_a_saved_model_and_greedy_settings(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for vLLM, which needs a GPU, loads the folder and answers by our engine."""
    asked: dict[str, Any] = {}

    class LLM:
        def __init__(self, model: str, dtype: str) -> None:
            asked["dtype"] = dtype
            self.model = LlamaForCausalLM.from_pretrained(model).eval()

        def generate(self, prompts: Any, settings: Any, use_tqdm: bool) -> Any:
            asked.update(vars(settings))
            ids = [prompt["prompt_token_ids"] for prompt in prompts]
            rows = answers(self.model, tokenizer, ids)
            return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=(*row, 2, 9))]) for row in rows]

    module = SimpleNamespace(LLM=LLM, SamplingParams=lambda **settings: SimpleNamespace(**settings))
    monkeypatch.setitem(sys.modules, "vllm", module)
    found = answers(model, tokenizer, PROMPTS, engine="vllm", stops=("Stop",))
    assert found == answers(model, tokenizer, PROMPTS)
    assert (asked["temperature"], asked["max_tokens"], asked["stop"], asked["dtype"]) == (
        0.0,
        8,
        ["Stop"],
        "float32",
    )
