"""The tiny decoders: the same bits each time, whole words as tokens, and something learned."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments import decoder_pretraining
from experiments.data.synthetic import worlds
from experiments.decoder_pretraining import BOS, EOS, SPECIAL_TOKENS, build_tokenizer, tiny_decoder
from experiments.recipe import DECODERS, DecoderRecipe

WORLDS = sorted(DECODERS)


def small(world: str) -> DecoderRecipe:
    return replace(
        DECODERS[world], num_steps=3, num_texts=40, batch_size=8, width=64, num_layers=1, num_heads=2
    )


@pytest.mark.parametrize("world", WORLDS)
def test_two_builds_give_the_same_bits_and_another_seed_others(world: str, tmp_path: Path) -> None:
    def bits(folder: Path) -> str:
        return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()

    first = tiny_decoder(tmp_path / "one", small(world))
    torch.manual_seed(7)
    second = tiny_decoder(tmp_path / "two", small(world))
    other = tiny_decoder(tmp_path / "two", replace(small(world), seed=1))
    assert first.name == second.name != other.name
    assert bits(first) == bits(second) != bits(other)


@pytest.mark.parametrize("world", WORLDS)
def test_saved_folder_is_loaded_by_transformers_and_knows_every_word(world: str, tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path, small(world))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    words = worlds.load(world).vocabulary()
    assert model.config.vocab_size == len(tokenizer) == len(SPECIAL_TOKENS) + len(words)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (BOS, EOS)
    ids = tokenizer(" ".join(words))["input_ids"]
    assert ids == [BOS, *range(len(SPECIAL_TOKENS), len(tokenizer))]
    assert tokenizer.decode(ids, skip_special_tokens=True) == " ".join(words)


def test_the_marker_is_cut_off_the_answer_that_follows_it_at_once() -> None:
    tokenizer = build_tokenizer(DECODERS["math"])
    apart, together = (tokenizer(f"### Response:{gap}Let's")["input_ids"] for gap in (" ", ""))
    assert apart == together and len(together) == 3


def test_a_number_of_steps_that_is_no_multiple_of_eight_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the last step the rate would be negative."""
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(decoder_pretraining, "fit", lambda model, batches, *_: seen.extend(batches))
    decoder_pretraining.pretrain(replace(small("math"), num_steps=11))
    assert len(seen) == 11


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    recipe = replace(small("math"), num_steps=48, num_texts=400)
    batches = list(decoder_pretraining._batches(recipe))
    assert len(batches) == 48
    start, end = decoder_pretraining.build_model(recipe), decoder_pretraining.pretrain(recipe)
    with torch.no_grad():
        losses = [float(decoder_pretraining.next_word_loss(model, batches[-1])) for model in (start, end)]
    assert losses[1] < 0.8 * losses[0]
