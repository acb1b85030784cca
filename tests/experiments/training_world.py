"""A model, a tokenizer and a task small enough to train in a second, for the tests of training."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainerCallback,
)

from experiments.config import DataConfig, OptimConfig
from experiments.data.examples import Example, Splits
from experiments.models import Backbone, fingerprint
from experiments.tasks.glue import GlueTask
from experiments.training import Group, TrainResult, train

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnop"]


def tokenizer() -> PreTrainedTokenizerFast:
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {
        "bos": "<s>",
        "cls": "<s>",
        "pad": "<pad>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "mask": "<mask>",
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        model_max_length=64,
        **{f"{kind}_token": token for kind, token in names.items()},
    )


def splits(task: str = "cola", num_train: int = 50, num_validation: int = 20) -> Splits:
    generator = torch.Generator().manual_seed(7)

    def example() -> Example:
        length = int(torch.randint(2, 12, (), generator=generator))
        letters = [WORDS[int(i)] for i in torch.randint(5, len(WORDS), (length,), generator=generator)]
        count = sum(letter in "abcdefgh" for letter in letters)
        label = 5 * count / length if task == "stsb" else int(2 * count > length)
        return Example(" ".join(letters), "a b" if task in ("stsb", "mrpc") else None, label)

    return {
        "train": [example() for _ in range(num_train)],
        "validation": [example() for _ in range(num_validation)],
    }


def backbone(num_labels: int = 2, seed: int = 0, dropout: float = 0.1) -> Backbone:
    torch.manual_seed(seed)
    config = RobertaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=68,
        type_vocab_size=1,
        num_labels=num_labels,
        initializer_range=0.2,
        pad_token_id=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    model = RobertaForSequenceClassification(config)
    return Backbone(model, tokenizer(), None, fingerprint(model))


def groups(model: torch.nn.Module, lr: float = 3e-3) -> list[Group]:
    """The head and the last layer train; the rest is frozen."""
    parts = {"head": "classifier.", "layer": "roberta.encoder.layer.1."}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(tuple(parts.values()))
    return [
        {
            "name": kind, "lr": lr, "weight_decay": 0.1 if kind == "head" else 0.0,
            "params": [p for name, p in model.named_parameters() if name.startswith(prefix)],
        }
        for kind, prefix in parts.items()
    ]  # fmt: skip


def data_config(**changes: object) -> DataConfig:
    return DataConfig(**{"source": "synthetic", "max_length": 16, **changes})


def optim_config(**changes: object) -> OptimConfig:
    return OptimConfig(**{"epochs": 3, "batch_size": 8, "warmup_ratio": 0.1, "max_grad_norm": 1.0, **changes})


def run(
    folder: Path,
    task: str = "cola",
    *,
    lr: float = 3e-3,
    seed: int = 0,
    save_seconds: float = 30.0,
    data: dict[str, object] | None = None,
    num_train: int = 50,
    dropout: float = 0.1,
    callbacks: Sequence[TrainerCallback] = (),
    **optim: object,
) -> TrainResult:
    """Train the small model on the small task."""
    config = data_config(**(data or {}))
    glue = GlueTask(task, config)
    base = backbone(glue.num_labels, seed, dropout)
    settings = groups(base.model, lr), optim_config(**optim), config
    where = {"checkpoint_dir": folder, "save_seconds": save_seconds, "callbacks": callbacks}
    return train(base, glue, splits(task, num_train), *settings, seed=seed, **where)


def outcome(result: TrainResult) -> tuple[object, ...]:
    """What must be equal in equal runs."""
    return (
        result.history,
        result.best_epoch,
        result.scores,
        result.last_scores,
        result.answers,
        result.num_steps,
    )
