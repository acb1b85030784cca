"""The stock Trainer and TRL's SFTTrainer on 4- and 8-bit models."""

import datasets
import pytest
import torch
from quantised_models import quantised, stored_bytes
from tiny_models import LLAMA_ALL
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments

import vblora

ROW = [5, 9, 33, 17, 60, 21, 8, 44, 12, 3]
CHECKPOINTING = {"none": None, "non_reentrant": False, "reentrant": True}
every_checkpointing = pytest.mark.parametrize("checkpointing", CHECKPOINTING)


def attached(model, **settings):
    config = vblora.VBLoRAConfig(
        rank=4, num_vectors=16, vector_length=32, init_bank_bound=0.1, targets=LLAMA_ALL, **settings
    )
    return vblora.attach(model, config)


def rows(count=8):
    return datasets.Dataset.from_dict({"input_ids": [ROW] * count, "labels": [ROW] * count})


def arguments(folder, checkpointing, kind=TrainingArguments, **more):
    settings = {
        "output_dir": str(folder / "out"),
        "max_steps": 16,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.02,
        "lr_scheduler_type": "constant",
        "bf16": True,
        "use_cpu": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "gradient_checkpointing": CHECKPOINTING[checkpointing] is not None,
        "gradient_checkpointing_kwargs": {"use_reentrant": CHECKPOINTING[checkpointing]},
    }
    return kind(**settings | more)


def check_learned(trainer, model, adapter, base, start):
    """The loss fell, only the adapter moved, and it is float32."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 16 and losses[-1] < 0.6 * losses[0], losses
    assert stored_bytes(model) == base
    for name, parameter in adapter.named_parameters():
        assert parameter.dtype == torch.float32
        assert not torch.equal(parameter, start[name]), name


def snapshot(model, adapter):
    return stored_bytes(model), {name: p.detach().clone() for name, p in adapter.named_parameters()}


@every_checkpointing
@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_stock_trainer_trains_an_adapter_on_a_quantised_model(kind, checkpointing, tmp_path):
    model = quantised(tmp_path, kind=kind)
    adapter = attached(model)
    base, start = snapshot(model, adapter)
    args = arguments(tmp_path, checkpointing)
    trainer = Trainer(model, args, train_dataset=rows())
    trainer.train()
    check_learned(trainer, model, adapter, base, start)


def tokenizer():
    words = {f"w{index}": index for index in range(62)} | {"<unk>": 62, "<eos>": 63}
    plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<eos>", pad_token="<eos>")


# Fails without `Float32`: the trainer leaves bank and logits as bfloat16.
@every_checkpointing
def test_sft_trainer_trains_a_float32_adapter_on_a_4_bit_model(checkpointing, tmp_path):
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    model = quantised(tmp_path)
    adapter = attached(model)
    base, start = snapshot(model, adapter)
    args = arguments(tmp_path, checkpointing, trl.SFTConfig, max_length=16)
    text = datasets.Dataset.from_dict({"text": [" ".join(f"w{index}" for index in ROW)] * 8})
    trainer = trl.SFTTrainer(model, args, train_dataset=text, processing_class=tokenizer())
    model.train()
    for name, parameter in adapter.named_parameters():
        assert torch.equal(parameter, start[name]), "the start was rounded"
    trainer.train()
    check_learned(trainer, model, adapter, base, start)


# Fails if 4-bit layers may pack themselves: after evaluation the gradient of the first layers is another.
def test_evaluation_between_steps_changes_neither_weights_nor_gradients(tmp_path):
    model = quantised(tmp_path)
    adapter = attached(model)
    base = stored_bytes(model)

    def gradients():
        adapter.zero_grad()
        model.train()
        x = torch.tensor([ROW])
        model(x, labels=x).loss.backward()
        return [p.grad.clone() for p in adapter.parameters()]

    before = gradients()
    with torch.no_grad():
        model.eval()(torch.tensor([ROW]))
    assert stored_bytes(model) == base
    for first, second in zip(before, gradients(), strict=True):
        assert torch.equal(first, second) and first.abs().max() > 0


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_gradients_are_those_of_the_dequantised_model(kind, tmp_path):
    """Against plain float32 layers that hold the weights as transformers itself dequantises them."""
    compute = {"nf4": {"bnb_4bit_compute_dtype": torch.float32}, "int8": {}}[kind]
    model, plain = (quantised(tmp_path, kind=kind, dtype=torch.float32, **compute) for _ in range(2))
    found = []
    for each in (model, plain.dequantize(torch.float32)):
        torch.manual_seed(3)
        adapter = attached(each.train())
        x = torch.tensor([ROW])
        each(x, labels=x).loss.backward()
        found.append([p.grad for p in adapter.parameters()])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=float(2e-4 * expected.abs().max()), rtol=0)
