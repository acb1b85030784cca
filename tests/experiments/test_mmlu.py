"""MMLU's letters on small random models: one by one, in batches, and by lm-evaluation-harness."""

import random

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from experiments import mmlu, mmlu_harness
from experiments.mmlu import LETTERS, MmluError

WORDS = ["what", "is", "the", "law", "of", "art", "one", "two", "three", "four", "five", "six", "A.", "B."]


def wordy(spaces: bool) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words: with a space before each as Llama's, or with bytes as GPT-2's."""
    if spaces:  # as Llama's: a space is part of the word, and one is put before a text
        letters = [f"▁{letter}" for letter in LETTERS]
        vocabulary = ["<s>", "</s>", "<unk>", *"▁\n?:.ABCDAnswer", *letters, *(f"▁{w}" for w in WORDS)]
        vocabulary = list(dict.fromkeys(vocabulary))
        tokenizer = Tokenizer(models.Unigram([(word, -float(len(word) < 2)) for word in vocabulary], 2))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Metaspace()
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(["<s>", "</s>", *alphabet])}, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<s>", "</s>"])
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def prompts(number: int) -> list[str]:
    chance = random.Random(0)
    texts = []
    for _ in range(number):
        asked = " ".join(chance.choices(WORDS[:12], k=chance.randint(1, 25)))
        options = "\n".join(f"{letter}. {chance.choice(WORDS[:12])}" for letter in LETTERS)
        texts.append(f"{asked}?\n{options}\nAnswer:")
    return texts


def llama(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(8)  # with which all four letters occur
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=512, initializer_range=0.4,
        )
    )  # fmt: skip


def gpt2(vocabulary: int) -> GPT2LMHeadModel:
    torch.manual_seed(2)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.4}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, **sizes, bos_token_id=0, eos_token_id=1))


MODELS = {"llama": (llama, True), "gpt2": (gpt2, False)}


@pytest.fixture(params=MODELS)
def world(request: pytest.FixtureRequest) -> tuple:
    make, spaces = MODELS[request.param]
    tokenizer = wordy(spaces)
    return make(len(tokenizer)), tokenizer


def one_by_one(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    """The definition, without any of the code under test but the tokens' ids."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        logits = model.eval()(input_ids=ids).logits[0, -1]
    four = [logits[tokenizer(letter, add_special_tokens=False)["input_ids"][0]] for letter in LETTERS]
    return LETTERS[int(torch.stack(four).argmax())]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_give_the_letters_of_one_by_one(world: tuple, side: str, batch_size: int) -> None:
    """Parity; without position_ids GPT-2's failed, with a mask of ones both did."""
    model, tokenizer = world
    tokenizer.padding_side = side
    asked = prompts(60)
    expected = [one_by_one(model, tokenizer, text) for text in asked]
    assert mmlu.letters(model, tokenizer, asked, batch_size) == expected
    assert len(set(expected)) == 4  # a test that sees only one letter would see nothing


def test_padding_changes_logits_by_rounding_alone(world: tuple) -> None:
    model, tokenizer = world
    encoded = [mmlu.encode(tokenizer, text) for text in prompts(9)]
    together = mmlu.last_logits(model, encoded)
    alone = torch.cat([mmlu.last_logits(model, [one]) for one in encoded])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_training_mode_is_left_as_it_was_and_dropout_is_off(world: tuple) -> None:
    model, tokenizer = world
    asked = prompts(5)
    expected = mmlu.letters(model, tokenizer, asked)
    model.train()
    assert mmlu.letters(model, tokenizer, asked) == expected
    assert model.training


def test_letters_follow_the_prompt_as_alone() -> None:
    spaced, bytewise = wordy(True), wordy(False)
    assert [spaced.convert_ids_to_tokens(i) for i in mmlu.letter_tokens(spaced)] == ["▁A", "▁B", "▁C", "▁D"]
    assert [bytewise.convert_ids_to_tokens(i) for i in mmlu.letter_tokens(bytewise)] == ["A", "B", "C", "D"]
    assert (mmlu_harness.delimiter(spaced), mmlu_harness.delimiter(bytewise)) == (" ", "")


def test_a_tokenizer_without_the_letters_is_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    with pytest.raises(MmluError, match=r"A, B, C, D begin with the tokens \(0, 0, 0, 0\)"):
        mmlu.letter_tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>"))


def test_a_long_prompt_keeps_its_question_or_as_published_its_beginning() -> None:
    tokenizer = wordy(False)
    whole = mmlu.encode(tokenizer, "abcdef Answer:")
    assert mmlu.encode(tokenizer, "abcdef Answer:", 4) == [whole[0], *whole[-3:]]
    assert mmlu.encode(tokenizer, "abcdef Answer:", 4, cut="end") == whole[:4]
    assert mmlu.encode(tokenizer, "abcdef Answer:", len(whole)) == whole
    for bad in ({"max_length": 1}, {"cut": "middle"}):
        with pytest.raises(MmluError, match="choose 2 or more, and start or end"):
            mmlu.encode(tokenizer, "Answer:", **bad)


def test_a_long_prompt_loses_exemplars_before_its_question_loses_tokens() -> None:
    tokenizer = wordy(False)
    shown = [f"{word}\nAnswer: B\n\n" for word in ("abc", "def")]
    some, alone = f"Heading\n\n{shown[0]}abc\nAnswer:", "Heading\n\nabc\nAnswer:"
    whole = f"Heading\n\n{shown[0]}{shown[1]}abc\nAnswer:"
    lengths = [len(mmlu.encode(tokenizer, prompt)) for prompt in (whole, some, alone)]
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 3
    for most, left in zip(lengths, (whole, some, alone), strict=True):
        assert mmlu.shortened(tokenizer, whole, most) == left
    assert mmlu.shortened(tokenizer, whole, lengths[-1] - 1) == alone


def test_settings_and_prompts_that_cannot_be_are_refused(world: tuple) -> None:
    model, tokenizer = world
    with pytest.raises(MmluError, match="batch_size is 0"):
        mmlu.letters(model, tokenizer, ["Answer:"], batch_size=0)
    with pytest.raises(MmluError, match="a prompt has no token"):
        mmlu.letters_of_tokens(model, tokenizer, [[1], []])
    assert mmlu.letters(model, tokenizer, []) == []


@pytest.mark.filterwarnings("ignore")
def test_the_harness_finds_the_same_letters(world: tuple) -> None:
    """Parity with lm-evaluation-harness; its usual space before a byte-level letter failed."""
    pytest.importorskip("lm_eval")
    model, tokenizer = world
    asked = prompts(40)
    ours = mmlu.letters(model, tokenizer, asked)
    assert mmlu_harness.letters(model, tokenizer, asked, batch_size=4) == ours
    assert len(set(ours)) == 4


def test_a_missing_harness_is_named(world: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(MmluError, match="pip install lm-eval or use experiments.mmlu"):
        mmlu_harness.letters(*world, ["Answer:"])
