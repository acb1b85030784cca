"""Language models as backbones: no head, 4 and 8 bits, a token for padding, the care of number formats."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers import models as token_models
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from experiments import methods, models
from experiments.batches import encode_text
from experiments.config import (
    Config,
    DataConfig,
    MethodConfig,
    ModelConfig,
    OptimConfig,
    TargetsConfig,
    TaskConfig,
)
from experiments.learned_places import learned_places
from experiments.models import ModelError
from experiments.tasks import build
from experiments.tasks.text import pad_token

TASKS = {"e2e": "e2e", "instruct": "alpaca", "math": "metamath"}
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 6, "num_attention_heads": 2}
IDS = torch.arange(4, 20).reshape(2, 8)


def task(family: str = "math") -> Any:
    return build(Config(TaskConfig(family, TASKS[family]), DataConfig(source="synthetic", max_length=64)))


def words() -> PreTrainedTokenizerFast:
    ids = {word: number for number, word in enumerate(["<s>", "</s>", "<unk>", *map(str, range(29))])}
    backend = Tokenizer(token_models.WordLevel(ids, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of six layers without a token for padding, as Llama 2 has none."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(LlamaConfig(vocab_size=32, initializer_range=0.1, **SIZES)).save_pretrained(place)
    words().save_pretrained(place)
    return place


def load(folder: Path, **settings: Any) -> models.Backbone:
    config = ModelConfig(name="mine", source="local", path=str(folder), kind="decoder", **settings)
    return models.load(config, task(), folder)


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(IDS).logits
    return found.float()


@pytest.mark.parametrize("family", TASKS)
@pytest.mark.parametrize("source", ["tiny", "scratch"])
def test_tiny_decoder_is_its_familys_and_has_no_head(family: str, source: str, tmp_path: Path) -> None:
    backbone = models.load(ModelConfig(name="tiny", source=source), task(family), tmp_path)
    assert models.task_head(backbone.model) == []
    assert ("gpt2" in backbone.model.config.model_type) == (family == "e2e")
    assert len(backbone.tokenizer) == backbone.model.config.vocab_size


def test_all_weights_count_in_the_fingerprint(folder: Path) -> None:
    backbone = load(folder)
    assert models.fingerprint(backbone.model) == backbone.fingerprint
    with torch.no_grad():
        backbone.model.lm_head.weight[0, 0] += 1
    assert models.fingerprint(backbone.model) != backbone.fingerprint


@pytest.mark.parametrize(("bits", "kind"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_layers_are_stored_in_few_bits_and_the_output_is_not(folder: Path, bits: str, kind: str) -> None:
    model: Any = load(folder, quantization=bits, dtype="bfloat16").model
    layers = [type(m).__name__ for n, m in model.named_modules() if n.endswith("_proj")]
    assert set(layers) == {kind} and len(layers) == 7 * SIZES["num_hidden_layers"]
    assert type(model.lm_head).__name__ == "Linear"
    if bits == "nf4":
        layer = model.model.layers[0].mlp.up_proj
        assert layer.weight.quant_state.nested and layer.weight.quant_type == "nf4"
        assert layer.compute_dtype == torch.bfloat16


def test_float32_norms_bring_a_4_bit_model_nearer_to_its_exact_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why norms are widened: else each sum is rounded to bfloat16. Here the error falls by a seventh."""
    few = {"quantization": "nf4", "dtype": "bfloat16"}
    careful = logits(load(folder, **few).model)
    monkeypatch.setattr(models, "widen", lambda model: None)
    plain: Any = load(folder, **few).model
    assert plain.model.norm.weight.dtype == torch.bfloat16
    rounded = logits(plain)
    exact = logits(load(folder, **few).model.dequantize().float())
    assert 0 < float((careful - exact).norm()) < 0.95 * float((rounded - exact).norm())


def test_output_layer_reads_the_float32_stream(folder: Path) -> None:
    """Why the output layer is widened too: it cannot multiply float32 by bfloat16."""
    model: Any = load(folder, quantization="nf4", dtype="bfloat16").model
    assert logits(model).isfinite().all()
    model.lm_head.to(torch.bfloat16)
    with pytest.raises(RuntimeError, match="dtype|same"):
        logits(model)


def test_added_pad_token_has_the_mean_row_and_old_logits_stay(folder: Path) -> None:
    """Why the mean: a row drawn at random would be an outlier that generation could choose."""
    before, backbone = load(folder), load(folder, add_pad_token=True)
    model: Any = backbone.model
    assert backbone.tokenizer.pad_token == "[PAD]" and backbone.tokenizer.pad_token_id == 32
    weight = model.lm_head.weight
    assert weight.shape[0] == 33 and torch.allclose(weight[32], weight[:32].mean(dim=0))
    torch.testing.assert_close(logits(model)[..., :32], logits(before.model))
    new = logits(model)[..., 32]
    torch.testing.assert_close(new, logits(model)[..., :32].mean(dim=-1))
    assert bool((new < logits(model)[..., :32].max(dim=-1).values).all())


def test_tokenizer_that_has_a_pad_token_keeps_it(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load(folder).model, words()
    tokenizer.pad_token = "<unk>"
    models.add_pad_token(model, tokenizer)
    assert tokenizer.pad_token == "<unk>" and model.get_input_embeddings().weight.shape[0] == 32


def test_pad_token_changes_no_answer_and_no_loss(folder: Path) -> None:
    """Padding is seen by nothing, so the end-of-text token can stand in for it, and still be learned."""
    found = []
    for settings in ({}, {"add_pad_token": True}):
        backbone = load(folder, **settings)

        encoded = encode_text(
            [[3, 4], [5]], [[6, 7, 8, 1], [9, 1]], pad=pad_token(backbone.tokenizer), max_length=9
        )
        batch = encoded.batch([0, 1])
        labels = batch.pop("labels")
        assert int((labels == 1).sum()) == 2  # both ends of text are learned
        with torch.no_grad():
            out = backbone.model(**batch).logits[learned_places(labels)]
        found.append(float(task().loss(out[:, :32], labels, 6)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_folder_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "layers.5." not in k}
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks 9 weights of the backbone, such as model\.layers\.5"):
        load(tmp_path)


def test_saved_merged_model_is_loaded_by_plain_transformers(folder: Path, tmp_path: Path) -> None:

    for library, options in (
        ("vblora", {"rank": 2, "num_vectors": 8, "vector_length": 32, "init_bank_bound": 0.5}),
        ("peft", {"peft_type": "LORA", "r": 2, "init_lora_weights": False}),
    ):
        model: Any = load(folder).model
        name = "vblora" if library == "vblora" else "lora"
        targets = TargetsConfig("all", ["q_proj", "down_proj"])
        method = methods.build(MethodConfig(name, library, options), targets)
        before = logits(model)
        method.attach(model, [])
        assert method.param_groups(OptimConfig(bank_lr=1.0, logits_lr=1.0, adapter_lr=1.0))
        model.eval()
        tuned = logits(model)
        method.merge()
        model.save_pretrained(tmp_path / library)
        again = AutoModelForCausalLM.from_pretrained(tmp_path / library)
        torch.testing.assert_close(logits(again), tuned, rtol=1e-4, atol=1e-4)
        assert float((tuned - before).norm()) > 0.1
    assert AutoTokenizer.from_pretrained(folder).eos_token == "</s>"
