"""How the small pretrained decoders of scale tiny are made; `experiments.backbones` holds those that ship.

A GPT-2 or a Llama of two or three layers learns its world's text by predicting the next word. One token a
word; a text begins with <s> and ends with </s>.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from experiments.data.synthetic import worlds
from experiments.pretraining import fit, made_once, one_thread
from experiments.recipe import DecoderRecipe, Sizes

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
"""A token's place is its id."""
BOS, PAD, EOS, _ = range(len(SPECIAL_TOKENS))


def tiny_decoder(cache: Path, recipe: DecoderRecipe) -> Path:
    """Folder of the small pretrained decoder of a recipe, made if it is not there yet.

    Args:
        cache: folder that holds it, under `backbones/`.
        recipe: what to make.

    Returns:
        A folder that `AutoModelForCausalLM` and `AutoTokenizer` load.
    """
    name = f"tiny-{recipe.world}-{recipe.key()}"
    return made_once(cache, name, lambda: (build_tokenizer(recipe), pretrain(recipe)))


def build_tokenizer(recipe: DecoderRecipe) -> PreTrainedTokenizerFast:
    """One token a word, and one for "### Response:"; a text gets <s> before it, as with Llama."""
    words = (*SPECIAL_TOKENS, *worlds.load(recipe.world).vocabulary())
    ids = {word: number for number, word in enumerate(words)}
    assert len(ids) == len(words), "a word stands twice in the vocabulary"
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    words_or_marker = Regex(r"### Response:|\S+")
    backend.pre_tokenizer = pre_tokenizers.Split(words_or_marker, "removed", invert=True)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BOS)]
    )
    special = {
        f"{name}_token": SPECIAL_TOKENS[place] for place, name in enumerate(("bos", "pad", "eos", "unk"))
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=recipe.max_tokens,
        clean_up_tokenization_spaces=False,
        **special,
    )


def build_model(recipe: DecoderRecipe) -> PreTrainedModel:
    """The decoder of a recipe with random weights."""
    num_tokens = len(SPECIAL_TOKENS) + len(worlds.load(recipe.world).vocabulary())
    return random_decoder(recipe, num_tokens, BOS, EOS, PAD, tied=recipe.architecture == "gpt2")


def random_decoder(
    sizes: Sizes, num_tokens: int, begin: int, end: int, pad: int | None, *, tied: bool
) -> PreTrainedModel:
    """A GPT-2 or a Llama with random weights and without dropout.

    Args:
        sizes: architecture and sizes.
        num_tokens: of the vocabulary.
        begin: token before a text.
        end: token after it.
        pad: token to fill up with, if there is one.
        tied: one matrix for the embedding and the output.
    """
    shared: dict[str, Any] = {
        **{"vocab_size": num_tokens, "initializer_range": sizes.init_std, "tie_word_embeddings": tied},
        **{"bos_token_id": begin, "eos_token_id": end, "pad_token_id": pad},
    }
    if sizes.architecture == "gpt2":
        none = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        shared |= {"n_positions": sizes.max_tokens, "n_embd": sizes.width, **none}
        return GPT2LMHeadModel(GPT2Config(n_layer=sizes.num_layers, n_head=sizes.num_heads, **shared))
    shared |= {"max_position_embeddings": sizes.max_tokens, "hidden_size": sizes.width}
    shared |= {"num_hidden_layers": sizes.num_layers, "num_attention_heads": sizes.num_heads}
    return LlamaForCausalLM(LlamaConfig(intermediate_size=4 * sizes.width, **shared))


def pretrain(recipe: DecoderRecipe) -> PreTrainedModel:
    """Train a model from random weights on its world's text; the caller's random state stays as it was."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        batches = itertools.islice(_batches(recipe), recipe.num_steps)
        return fit(build_model(recipe), batches, next_word_loss, recipe)


def next_word_loss(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of every token but the first, given those before it; padding does not count."""
    logits = model(tokens[:, :-1], attention_mask=(tokens[:, :-1] != PAD).long()).logits
    loss: Tensor = cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)
    return loss


def _batches(recipe: DecoderRecipe) -> Iterator[Tensor]:
    """Batches of texts of similar length, eight at a time: drawn at random, then sorted by length."""
    texts = list(worlds.load(recipe.world).texts(recipe.num_texts, f"{recipe.seed}"))
    rows = [torch.tensor([*ids, EOS]) for ids in build_tokenizer(recipe)(texts)["input_ids"]]
    generator = torch.Generator().manual_seed(recipe.seed)
    for _ in range(0, recipe.num_steps, 8):
        drawn = torch.randint(len(rows), (8 * recipe.batch_size,), generator=generator).tolist()
        drawn.sort(key=lambda row: len(rows[row]))
        for first in torch.randperm(8, generator=generator).tolist():
            chosen = drawn[first * recipe.batch_size : (first + 1) * recipe.batch_size]
            yield torch.nn.utils.rnn.pad_sequence([rows[row] for row in chosen], True, PAD)
