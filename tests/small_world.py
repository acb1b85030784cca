"""A model folder and GLUE files small enough that a run takes a second: real sources, tiny content."""

import random
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer

LETTERS = "abcdefghijklmnop"
# Sizes that fit a width of 16, and a few steps.
SHORT = ["optim.epochs=2", "optim.batch_size=8", "data.max_length=16"]
OPTIONS = {
    "vblora": ["method.options.vector_length=8", "method.options.num_vectors=6"],
    "tied_lora": ["method.options.rank=2"],
    "lora_xs": ["method.options.rank=2"],
    "vera": ["method.options.r=8"],
    "unilora": ["method.options.theta_d_length=16"],
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def make(folder: Path) -> Path:
    """Write `model/` (a BERT, as MiniLM is) and `glue/` (CoLA and STS-B) into a folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **SIZES))
    model.save_pretrained(folder / "model")
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder / "model")
    for name in ("CoLA", "STS-B"):
        (folder / "glue" / name).mkdir(parents=True)
        for file, size in (("train.tsv", 40), ("dev.tsv", 16)):
            (folder / "glue" / name / file).write_text("".join(rows(name, size)), encoding="utf-8")
    return folder


def rows(name: str, size: int) -> list[str]:
    """Lines of an official file: many letters of the first half make a sentence acceptable, or two alike."""
    draw = random.Random(f"{name} {size}")
    texts = [draw.choices(LETTERS, k=draw.randint(2, 10)) for _ in range(size)]
    shares = [sum(letter < "i" for letter in text) / len(text) for text in texts]
    if name == "CoLA":
        return [f"x\t{round(share)}\t\t{' '.join(text)}\n" for text, share in zip(texts, shares, strict=True)]
    header = "index\tgenre\tsentence1\tsentence2\tscore\n"
    return [header] + [
        f"{i}\tg\t{' '.join(text)}\ta b\t{5 * shares[i]:.3f}\n" for i, text in enumerate(texts)
    ]


def overrides(world: Path, out: Path, method: str = "vblora", targets: str = "qv", *more: str) -> list[str]:
    """The command line of one small run that reads `world` and writes under `out`."""
    folders = [f"model.path={world}/model", f"data.root={world}/glue", f"paths.results={out}/runs"]
    row = method if targets in ("full", "none") else f"{method}_{targets}"
    chosen = ["scale=minilm", "task=cola", f"row={row}", *folders, f"paths.cache={out}/cache"]
    return [*chosen, *SHORT, *OPTIONS.get(method, []), "variant=small", *more]
