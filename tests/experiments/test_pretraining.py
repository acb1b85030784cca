"""The tiny backbone: the same bits each time, made once, whole or not at all."""

import hashlib
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from experiments import pretraining
from experiments.data.synthetic.words import kinds, vocabulary
from experiments.pretraining import BOS, EOS, MASK, PAD, SPECIAL_TOKENS, Pretraining, Recipe, tiny_backbone

SMALL = Recipe(num_steps=3, batch_size=8, num_pairs=40)


def bits(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("cache"), SMALL)


def test_two_builds_give_the_same_bits_whatever_the_caller_drew(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    torch.rand(3)
    again = tiny_backbone(tmp_path, SMALL)
    assert again.name == folder.name
    assert bits(again) == bits(folder)


def test_another_seed_gives_other_weights_in_another_folder(folder: Path, tmp_path: Path) -> None:
    other = tiny_backbone(tmp_path, replace(SMALL, seed=1))
    assert other.name != folder.name
    assert bits(other) != bits(folder)


def test_caller_keeps_random_state_and_threads(tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    tiny_backbone(tmp_path, replace(SMALL, num_steps=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_cached_folder_is_used_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "pretrain", lambda recipe: pytest.fail("made a second time"))
    assert tiny_backbone(folder.parents[1], SMALL) == folder


def test_interrupted_build_leaves_nothing_half_and_is_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretraining.os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            tiny_backbone(tmp_path, SMALL)
    target = tmp_path / "backbones" / folder.name
    assert not target.exists()
    (target.with_suffix(".partial") / "stray").write_text("of a killed build")
    assert bits(tiny_backbone(tmp_path, SMALL)) == bits(folder)
    assert {path.name for path in target.iterdir()} == {path.name for path in folder.iterdir()}
    assert not target.with_suffix(".partial").exists()


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.starmap(tiny_backbone, [(tmp_path, SMALL)] * 2)
    assert folders[0] == folders[1]
    made = [path for path in (tmp_path / "backbones").iterdir() if path.suffix != ".lock"]
    assert made == [folders[0]]


def test_auto_classes_load_encoder_and_tokenizer(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(["the dogs see"], ["the cap ?"], return_tensors="pt")
    read = tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
    assert read == ["<s>", "the", "dogs", "see", "</s>", "</s>", "the", "cap", "?", "</s>"]
    assert set(batch) == {"input_ids", "attention_mask"}
    assert model(**batch).logits.shape == (1, 3)
    assert tokenizer("zebra")["input_ids"][1] == tokenizer.unk_token_id


def test_saved_weights_are_the_trained_ones(folder: Path) -> None:
    saved = AutoModelForMaskedLM.from_pretrained(folder).state_dict()
    trained = pretraining.pretrain(SMALL).state_dict()
    assert saved.keys() == trained.keys()
    assert all(torch.equal(saved[name], trained[name].half()) for name in saved)


def test_model_has_about_170_000_parameters() -> None:
    number = sum(parameter.numel() for parameter in pretraining.build_model(Recipe()).parameters())
    assert 160_000 < number < 180_000


def test_hidden_tokens_are_words_in_the_stated_shares() -> None:
    recipe, generator = Recipe(), torch.Generator().manual_seed(0)
    tokens = torch.randint(0, pretraining.NUM_TOKENS, (200, 100), generator=generator)
    seen, chosen = pretraining.hide(tokens, recipe, generator)
    assert torch.equal(seen[~chosen], tokens[~chosen])
    assert not chosen[tokens < len(SPECIAL_TOKENS)].any()
    words = (tokens >= len(SPECIAL_TOKENS)).sum()
    assert chosen.sum() / words == pytest.approx(recipe.chosen_ratio, abs=0.02)
    assert (seen == MASK)[chosen].float().mean() == pytest.approx(recipe.mask_ratio, abs=0.02)
    replaced = chosen & (seen != MASK) & (seen != tokens)
    assert replaced.sum() / chosen.sum() == pytest.approx(recipe.random_ratio, abs=0.03)
    assert (seen[replaced] >= len(SPECIAL_TOKENS)).all()


def test_most_replacements_are_of_the_words_own_kind() -> None:
    kind = {word: number for number, words in enumerate(kinds()) for word in words}
    of_token = torch.tensor([-1] * len(SPECIAL_TOKENS) + [kind[word] for word in vocabulary()])
    recipe, generator = replace(Recipe(), mask_ratio=0.0, random_ratio=1.0), torch.Generator().manual_seed(0)
    tokens = torch.randint(len(SPECIAL_TOKENS), pretraining.NUM_TOKENS, (200, 100), generator=generator)
    seen, chosen = pretraining.hide(tokens, recipe, generator)
    alike = (of_token[seen] == of_token[tokens])[chosen & (seen != tokens)].float().mean()
    by_chance = 1 - recipe.alike_ratio
    assert recipe.alike_ratio - 0.05 < alike < recipe.alike_ratio + 0.25 * by_chance


def test_longest_pair_fits() -> None:
    tokenizer = pretraining.build_tokenizer()
    pairs = list(pretraining.text_pairs(500, "length"))
    longest = max(len(tokenizer(*pair)["input_ids"]) for pair in pairs)
    assert longest < pretraining.MAX_TOKENS / 2 + 1


def test_loss_falls_and_padding_does_not_count() -> None:
    recipe = replace(SMALL, num_steps=40, batch_size=16, warmup_ratio=0.1)
    trained = Pretraining(pretraining.pretrain(recipe))
    fresh = Pretraining(pretraining.build_model(recipe)).eval()
    tokens = pretraining.build_tokenizer()(["the dogs see the cap"], return_tensors="pt")["input_ids"]
    seen, chosen = tokens.clone(), tokens >= len(SPECIAL_TOKENS)
    seen[0, 2], seen[0, 3] = MASK, tokens[0, 1]
    with torch.no_grad():
        before, _ = fresh.losses(seen, tokens, chosen)
        after, detected = trained.losses(seen, tokens, chosen)
        longer = trained.losses(
            torch.nn.functional.pad(seen, (0, 4), value=PAD),
            torch.nn.functional.pad(tokens, (0, 4), value=PAD),
            torch.nn.functional.pad(chosen, (0, 4)),
        )
    assert after < before
    assert [float(loss) for loss in longer] == pytest.approx([float(after), float(detected)], abs=1e-4)


def test_hidden_words_count_for_telling_and_not_for_detecting() -> None:
    pretraining_of = Pretraining(pretraining.build_model(SMALL)).eval()
    with torch.no_grad():
        pretraining_of.detector.weight.zero_()
        pretraining_of.detector.bias.fill_(20.0)  # every word is said to be replaced
    tokens = torch.tensor([[BOS, 10, 11, 12, EOS]])
    chosen = torch.tensor([[False, True, True, False, False]])
    for seen, loss in (([[BOS, MASK, 20, 12, EOS]], 10.0), ([[BOS, MASK, 20, 21, EOS]], 0.0)):
        _, detected = pretraining_of.losses(torch.tensor(seen), tokens, chosen)
        assert float(detected) == pytest.approx(loss, abs=1e-3)
