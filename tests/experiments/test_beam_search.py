import itertools
import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from experiments.beam_search import beam_search

VOCABULARY = 12
PROMPTS = [[3], [1, 4, 1, 5, 9, 2], [6, 5, 3], [5, 8, 9, 7, 9], [3, 2, 3, 8, 4, 6, 2, 6]]
PLAIN = {"num_beams": 3, "length_penalty": 0.8, "no_repeat_ngram_size": 4, "max_new_tokens": 10}


def gpt2(seed: int = 0) -> GPT2LMHeadModel:
    """Random, with weights so large that its choices are clear."""
    torch.manual_seed(seed)
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, initializer_range=0.5, **sizes)).eval()


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, initializer_range=0.5, **sizes)).eval()


def search(model, prompts: list[list[int]], ends: list[int], **settings) -> list[list[int]]:
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return beam_search(model, ids, mask, eos_token_ids=ends, **{**PLAIN, **settings})


def reference(
    model: PreTrainedModel,
    prompt: list[int],
    ends: list[int],
    num_beams: int,
    length_penalty: float,
    no_repeat_ngram_size: int,
    max_new_tokens: int,
) -> list[int]:
    """The same rules, slowly: one prompt, lists of numbers, no cache, no early end."""
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    best_value, best = -math.inf, []
    for _ in range(max_new_tokens):
        candidates = []
        for score, tokens in beams:
            with torch.no_grad():
                logits = model(torch.tensor([prompt + tokens])).logits[0, -1].double().tolist()
            allowed = set(range(VOCABULARY)) - repeating(tokens, no_repeat_ngram_size)
            total = math.log(sum(math.exp(logits[token]) for token in allowed))
            candidates += [(score + logits[token] - total, [*tokens, token]) for token in allowed]
        beams = []
        for score, tokens in sorted(candidates, reverse=True)[:num_beams]:
            value = score / len(tokens) ** length_penalty
            if tokens[-1] not in ends:
                beams.append((score, tokens))
            elif value > best_value:
                best_value, best = value, tokens[:-1]
    for score, tokens in beams:
        if score / max_new_tokens**length_penalty > best_value:
            best_value, best = score / max_new_tokens**length_penalty, tokens
    return best


def repeating(tokens: list[int], size: int) -> set[int]:
    """Tokens that would complete an n-gram for the second time."""
    if size == 0 or len(tokens) < size:
        return set()
    latest = tokens[len(tokens) - size + 1 :]
    starts = range(len(tokens) - size + 1)
    return {tokens[i + size - 1] for i in starts if tokens[i : i + size - 1] == latest}


GRID = list(itertools.product([1, 2, 5], [-1.0, 0.0, 0.8, 2.0], [0, 1, 2, 4], [1, 9]))


@pytest.mark.parametrize("ends", [[7], [7, 2], []])
def test_every_setting_gives_what_the_rules_say(ends: list[int]) -> None:
    """Parity with the slow search; mutations that failed: a score divided by the whole length; a hypothesis
    that ended kept open; forbidden tokens taken out after the softmax; the prompt's n-grams counted; the last
    open ones left out; rows of the cache not reordered; the search ended with the first that ends.
    """
    models = [gpt2(seed) for seed in range(3)]
    for number, (num_beams, length_penalty, size, most) in enumerate(GRID):
        model, prompt = models[number % 3], PROMPTS[number % len(PROMPTS)]
        settings = {"num_beams": num_beams, "length_penalty": length_penalty}
        settings |= {"no_repeat_ngram_size": size, "max_new_tokens": most}
        assert search(model, [prompt], ends, **settings) == [reference(model, prompt, ends, **settings)], (
            settings
        )


@pytest.mark.parametrize("make", [gpt2, llama])
def test_prompts_padded_on_the_left_answer_as_they_do_alone(make) -> None:
    """Mutations that failed: positions counted from the padding; padding that is seen."""
    model = make()
    for ends in ([7], [2, 9]):
        together = search(model, PROMPTS, ends)
        assert together == [search(model, [prompt], ends)[0] for prompt in PROMPTS]
        assert len({tuple(tokens) for tokens in together}) > 1


@pytest.mark.parametrize(("num_beams", "end"), [(1, 7), (1, None), (4, None)])
def test_transformers_finds_the_same_where_its_rules_are_the_same(num_beams: int, end: int | None) -> None:
    """Greedy, or with beams of which none ends, and without the rule on n-grams."""
    model = gpt2(1)
    for prompt in PROMPTS:
        theirs = model.generate(
            torch.tensor([prompt]), num_beams=num_beams, do_sample=False, eos_token_id=end, pad_token_id=0,
            max_new_tokens=10, **({"length_penalty": 0.8} if num_beams > 1 else {}),
        )[0, len(prompt) :].tolist()  # fmt: skip
        theirs = theirs[: theirs.index(end)] if end in theirs else theirs
        ours = search(
            model, [prompt], [] if end is None else [end], num_beams=num_beams, no_repeat_ngram_size=0
        )
        assert ours == [theirs]


class Chain(torch.nn.Module):
    """The next token's probabilities by the last token alone; it has no positions and nothing to cache."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.table, self.calls = torch.tensor(rows).log(), 0

    def forward(self, input_ids, attention_mask, past_key_values=None, use_cache=False):
        assert attention_mask.shape[0] == input_ids.shape[0]
        self.calls += 1
        return type("Output", (), {"logits": self.table[input_ids], "past_key_values": self})()

    def reorder_cache(self, rows) -> None:
        pass


END = 2


@pytest.mark.parametrize(("length_penalty", "found"), [(0.0, []), (1.0, [0])])
def test_the_score_is_divided_by_the_generated_length(length_penalty: float, found: list[int]) -> None:
    """By hand: log 0.45 = -0.80 for the end alone, log(0.55 · 0.6) = -1.11 for two tokens, -0.55 each."""
    model = Chain([[0.2, 0.2, 0.6], [0.55, 0.0, 0.45], [1 / 3, 1 / 3, 1 / 3]])
    assert search(model, [[1]], [END], num_beams=2, length_penalty=length_penalty, max_new_tokens=2) == [
        found
    ]


def test_a_hypothesis_that_is_open_at_the_end_can_win() -> None:
    model = Chain([[0.5, 0.0, 0.5], [0.7, 0.0, 0.3], [1.0, 0.0, 0.0]])
    assert search(model, [[1]], [END], num_beams=2, max_new_tokens=1) == [[0]]


def test_repeats_of_the_prompt_are_allowed_and_of_the_generated_text_not() -> None:
    circle = [
        [0.01, 0.97, 0.01, 0.01],
        [0.01, 0.01, 0.97, 0.01],
        [0.01, 0.01, 0.01, 0.97],
        [0.97, 0.01, 0.01, 0.01],
    ]
    found = search(
        Chain(circle), [[0, 1, 2, 3, 0]], [], num_beams=1, no_repeat_ngram_size=2, max_new_tokens=6
    )[0]
    assert found[:5] == [1, 2, 3, 0, 1]  # 1 2 stands in the prompt, and comes once
    assert found[5] != 2  # the second 1 2


def test_any_of_several_tokens_ends_a_hypothesis() -> None:
    model = Chain([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    assert search(model, [[0]], [2], num_beams=1) == [[1]]
    assert search(model, [[0]], [2, 1], num_beams=1) == [[]]


def test_the_search_stops_when_nothing_can_become_better() -> None:
    model = Chain([[0.005, 0.005, 0.99]] * 3)
    assert search(model, [[1]], [END], num_beams=2, max_new_tokens=50) == [[]]
    assert model.calls < 10


def test_the_search_goes_on_while_a_long_one_can_become_better() -> None:
    """By hand: the end alone has log 0.82 = -0.20; 30 tokens have (log 0.1 + 29 log 0.999) / 30 = -0.08."""
    model = Chain([[0.999, 0.0005, 0.0005], [0.1, 0.08, 0.82], [1.0, 0.0, 0.0]])
    assert search(model, [[1]], [END], num_beams=2, length_penalty=1, no_repeat_ngram_size=0,
                  max_new_tokens=30) == [[0] * 30]  # fmt: skip


def test_the_search_goes_on_where_a_penalty_below_zero_favours_short_ones() -> None:
    """By hand: the end alone has 1 · log 0.3 = -1.20; two tokens have 2 · log(0.7 · 0.98) = -0.75."""
    model = Chain([[0.01, 0.01, 0.98], [0.7, 0.0, 0.3], [1.0, 0.0, 0.0]])
    assert search(model, [[1]], [END], num_beams=2, length_penalty=-1, max_new_tokens=30) == [[0]]


def test_dropout_is_off_and_the_models_mode_is_kept() -> None:
    model = gpt2()
    expected = search(model, PROMPTS[:2], [7])
    assert not model.training
    model.train()
    assert search(model, PROMPTS[:2], [7]) == expected
    assert model.training


def test_no_gradient_is_recorded() -> None:
    model = gpt2()
    search(model, [[1]], [7])
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 0}, "num_beams is 0; choose 1 or more"),
        ({"num_beams": 13}, "num_beams is 13; the vocabulary has 12 tokens, choose fewer"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0; choose 1 or more"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is -1; choose 0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(gpt2(), [[1]], [7], **settings)


def test_padding_on_the_right_and_other_shapes_are_refused() -> None:
    ids = torch.tensor([[1, 2, 0], [1, 2, 3]])
    for mask in (torch.tensor([[1, 1, 0], [1, 1, 1]]), torch.tensor([[1, 0, 1], [1, 1, 1]])):
        with pytest.raises(ValueError, match="padding is not on the left"):
            beam_search(gpt2(), ids, mask, eos_token_ids=[7], **PLAIN)
    with pytest.raises(ValueError, match=r"input_ids \(2, 3\) and attention_mask \(1, 3\) are no batch"):
        beam_search(gpt2(), ids, torch.ones(1, 3), eos_token_ids=[7], **PLAIN)


def test_weights_that_are_no_numbers_are_an_error_and_no_answer() -> None:
    model = gpt2()
    with torch.no_grad():
        model.transformer.ln_f.weight[0] = math.nan
    with pytest.raises(ValueError, match="prompt 0: the model's scores are not finite"):
        search(model, [[1]], [7])
