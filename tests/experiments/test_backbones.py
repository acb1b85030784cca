"""The shipped backbones are what their recipes make, and a tiny run pretrains nothing unless asked."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from experiments import backbones, decoder_pretraining, models, pretraining, tasks
from experiments.composing import load
from experiments.config import Config, ConfigError
from experiments.data.synthetic import worlds
from experiments.data.synthetic.corpus import text_pairs
from experiments.identity import run_hash
from experiments.recipe import DecoderRecipe, Recipe

SCALES = {"glue": "tiny", "e2e": "e2e/tiny", "instruct": "instruct/tiny", "math": "math/tiny"}


def config(family: str, *words: str) -> Config:
    return load([f"scale={SCALES[family]}", "row=vblora_all", *words])


@pytest.mark.parametrize("family", backbones.FAMILIES)
def test_the_shipped_one_is_of_the_recipe_and_its_bytes_are_as_stated(family: str) -> None:
    folder = backbones.folder(family)
    facts = json.loads((folder / backbones.RECIPE_FILE).read_text(encoding="utf-8"))
    assert facts["key"] == backbones.recipe(family).key()
    weights = (folder / "model.safetensors").read_bytes()
    assert facts["weights_sha256"] == hashlib.sha256(weights).hexdigest()


def test_all_of_them_take_less_than_three_megabytes() -> None:
    files = [file for family in backbones.FAMILIES for file in backbones.folder(family).iterdir()]
    assert sum(file.stat().st_size for file in files) < 3e6


@pytest.mark.parametrize("family", backbones.FAMILIES)
def test_a_run_takes_the_shipped_one_and_makes_none(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "made", lambda *_: pytest.fail("pretrained without being asked"))
    cfg = config(family)
    loaded = models.load(cfg.model, tasks.build(cfg), tmp_path)
    assert next(loaded.model.parameters()).dtype == torch.float32
    assert not any(tmp_path.iterdir())
    positions = AutoConfig.from_pretrained(backbones.folder(family)).max_position_embeddings
    offset = pretraining.PAD + 1 if family == "glue" else 0
    assert models.max_tokens(cfg.model, family) == positions - offset


def test_a_backbone_made_here_makes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        backbones, "made", lambda *words: asked.append(words) or backbones.folder(str(words[0]))
    )
    hashes = {}
    for words in ((), ("model.pretrain=true",), ("model.pretrain=true", "model.pretrain_seed=3")):
        cfg = config("math", *words)
        hashes[words] = run_hash(cfg)
        models.load(cfg.model, tasks.build(cfg), tmp_path)
    assert len(set(hashes.values())) == 3
    assert [words[1] for words in asked] == [None, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model=tiny_scratch", "model.pretrain=true"), "model.pretrain: only a model of source tiny"),
        (("model.pretrain_seed=3",), "model.pretrain_seed: only of a backbone that is made here"),
    ],
)
def test_settings_that_nothing_would_read_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(["row=vblora_qv", "optim.adapter_lr=null", *words])


def test_an_unknown_family_names_the_choices() -> None:
    with pytest.raises(KeyError, match="no tiny backbone of family 'chess'; choose from glue, e2e"):
        backbones.folder("chess")


def told(folder: Path, family: str) -> float:
    """Quality on fresh text: share of hidden words that the model tells, or the loss of a next word."""
    generator = torch.Generator().manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    recipe = backbones.recipe(family)
    with torch.no_grad():
        if isinstance(recipe, Recipe):
            encoder = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
            first, second = zip(*text_pairs(1000, "of no recipe"), strict=True)
            batch = tokenizer(list(first), list(second), padding=True, return_tensors="pt")
            seen, chosen = pretraining.hide(batch["input_ids"], recipe, generator)
            logits = encoder(seen, attention_mask=batch["attention_mask"]).logits
            return float((logits.argmax(-1) == batch["input_ids"])[chosen].float().mean())
        assert isinstance(recipe, DecoderRecipe)
        decoder = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        texts = list(worlds.load(recipe.world).texts(400, "of no recipe"))
        rows = [
            torch.tensor([*ids, decoder_pretraining.EOS])[: recipe.max_tokens]
            for ids in tokenizer(texts)["input_ids"]
        ]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, True, decoder_pretraining.PAD)
        return float(decoder_pretraining.next_word_loss(decoder, tokens))


@pytest.mark.slow
@pytest.mark.parametrize("family", backbones.FAMILIES)
def test_one_made_anew_from_another_seed_is_as_good(family: str, tmp_path: Path) -> None:
    shipped = told(backbones.folder(family), family)
    assert told(backbones.made(family, 17, tmp_path), family) == pytest.approx(shipped, rel=0.05)
