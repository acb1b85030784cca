import random
from pathlib import Path

import numpy as np
import pytest
import torch
import training_world as world
from transformers import BertConfig, BertModel, RobertaModel

from experiments import backbones, models
from experiments.config import ModelConfig
from experiments.models import ModelError, fingerprint, head_modules
from experiments.tasks.glue import GlueTask

COLA, STSB = (GlueTask(name, world.data_config()) for name in ("cola", "stsb"))


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A saved RoBERTa without a head, with its tokenizer."""
    model = world.backbone(seed=3).model
    RobertaModel(model.config, add_pooling_layer=False).save_pretrained(tmp_path / "encoder")
    world.tokenizer().save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def local(path: Path | None) -> ModelConfig:
    return ModelConfig(name="small", source="local", path=None if path is None else str(path))


def test_a_local_folder_gives_its_encoder_and_a_head_for_the_task(
    encoder: Path, tmp_path: Path, capfd
) -> None:
    for task, outputs in ((COLA, 2), (STSB, 1)):
        backbone = models.load(local(encoder), task, tmp_path)
        assert backbone.model.classifier.out_proj.out_features == outputs
        assert backbone.model.dtype == torch.float32
        assert backbone.commit is None
        saved = RobertaModel.from_pretrained(encoder, add_pooling_layer=False).state_dict()
        loaded = backbone.model.roberta.state_dict()
        assert all(torch.equal(saved[name], loaded[name]) for name in saved)
    assert backbone.tokenizer("a b")["input_ids"][0] == 0
    assert "newly initialized" not in capfd.readouterr().err


def test_the_head_comes_from_the_seed_and_the_fingerprint_does_not(encoder: Path, tmp_path: Path) -> None:
    heads, prints = [], []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        backbone = models.load(local(encoder), COLA, tmp_path)
        heads.append(backbone.model.classifier.dense.weight)
        prints.append(backbone.fingerprint)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert len(set(prints)) == 1


def test_fingerprint_sees_one_changed_weight() -> None:
    model = world.backbone().model
    before = fingerprint(model)
    with torch.no_grad():
        model.classifier.dense.weight.add_(1)
    assert fingerprint(model) == before
    with torch.no_grad():
        model.roberta.encoder.layer[1].output.dense.weight[0, 0] += 1e-3
    assert fingerprint(model) != before


def test_head_of_roberta_and_of_bert(tmp_path: Path) -> None:
    assert head_modules(world.backbone().model) == ["classifier"]
    config = BertConfig(
        vocab_size=21, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    world.tokenizer().save_pretrained(tmp_path / "bert")
    backbone = models.load(local(tmp_path / "bert"), COLA, tmp_path)
    assert head_modules(backbone.model) == ["bert.pooler", "classifier"]
    pooler = BertModel.from_pretrained(tmp_path / "bert").pooler.dense.weight
    assert torch.equal(backbone.model.bert.pooler.dense.weight, pooler)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ModelError, match="has no head"):
        head_modules(torch.nn.Linear(2, 2))


def test_making_a_tiny_one_leaves_the_generators_alone(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(family: str, seed: int | None, cache: Path) -> Path:
        random.random(), np.random.rand(), torch.rand(1)
        return encoder

    monkeypatch.setattr(backbones, "made", made)
    torch.manual_seed(0)
    tiny = models.load(ModelConfig(name="tiny", source="tiny", pretrain=True), COLA, tmp_path)
    torch.manual_seed(0)
    same = models.load(local(encoder), COLA, tmp_path)
    assert tiny.fingerprint == same.fingerprint
    assert torch.equal(tiny.model.classifier.dense.weight, same.model.classifier.dense.weight)


def test_scratch_is_tiny_with_weights_from_the_seed(tmp_path: Path) -> None:
    prints = []
    for source, seed in (("tiny", 0), ("scratch", 0), ("scratch", 0), ("scratch", 1)):
        torch.manual_seed(seed)
        backbone = models.load(ModelConfig(name=source, source=source), COLA, tmp_path)
        prints.append(backbone.fingerprint)
    assert prints[1] == prints[2]
    assert len(set(prints)) == 3


def test_what_cannot_be_loaded_is_explained(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="choose one of hub, local, tiny, scratch"):
        models.load(ModelConfig(name="small", source="disk"), COLA, tmp_path)
    with pytest.raises(ModelError, match=r"needs model\.path"):
        models.load(local(None), COLA, tmp_path)
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        models.load(local(tmp_path / "nowhere"), COLA, tmp_path)
    weights = encoder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="small: cannot be loaded from local"):
        models.load(local(encoder), COLA, tmp_path)


def test_a_hub_model_offline_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="roberta-base: cannot be loaded from hub"):
        models.load(ModelConfig(name="roberta-base", source="hub", path="FacebookAI/none"), COLA, tmp_path)


def test_weights_of_another_architecture_are_refused(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(encoder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layer.1." not in k}, encoder / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"lacks 16 weights of the backbone, such as roberta\.encoder\.layer\.1"
    ):
        models.load(local(encoder), COLA, tmp_path)
