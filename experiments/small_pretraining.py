"""A small GPT-2 or Llama made from real text on a CPU: the backbones of scales e2e-small and math-small.

    python -m experiments.small_pretraining e2e --data DATA --vocabulary VOCABULARY --out FOLDER
    python -m experiments.small_pretraining math --data DATA --vocabulary VOCABULARY --out FOLDER

`e2e` reads the references of E2E's training set alone, never a meaning representation; `math` reads GSM8K's
and MATH's training sets. VOCABULARY is a folder with GPT-2's vocab.json and merges.txt. Texts are joined with
the end-of-text token between them and cut into blocks, so that no padding is computed. The folder gets a
model and a tokenizer as `from_pretrained` reads them, and recipe.json, which says how they were made.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    GPT2Tokenizer,
    PreTrainedModel,
)

from experiments import processor
from experiments.config import DataConfig
from experiments.data import texts
from experiments.decoder_pretraining import random_decoder
from experiments.pretraining import fit, one_thread
from experiments.recipe import Sizes


@dataclass(frozen=True)
class SmallRecipe(Sizes):
    """What is made.

    Attributes:
        block: tokens of one training text.
        epochs: passes over all blocks; `num_steps` follows from them.
    """

    init_std: float = 0.02
    num_layers: int = 4
    width: int = 192
    num_heads: int = 6
    max_tokens: int = 512
    block: int = 128
    epochs: int = 2


RECIPES = {
    "e2e": SmallRecipe(architecture="gpt2"),
    "math": SmallRecipe(architecture="llama", block=256, max_tokens=1024),
}


def tokenizer_of(vocabulary: Path, positions: int) -> GPT2Tokenizer:
    """GPT-2's own tokenizer from its two files.

    Raises:
        SystemExit: a file is missing.
    """
    names = [vocabulary / "vocab.json", vocabulary / "merges.txt"]
    missing = [str(path) for path in names if not path.is_file()]
    if missing:
        raise SystemExit(f"no {' and no '.join(missing)}; give the folder of GPT-2's vocabulary")
    return GPT2Tokenizer(vocab=str(names[0]), merges=str(names[1]), model_max_length=positions)


def read_texts(kind: str, data: Path) -> list[str]:
    """What is read: each distinct reference once, or each training problem with its solution."""
    if kind == "e2e":
        splits, _ = texts.read("e2e", DataConfig(source="local", root=str(data), text_form="plain"))
        return list(dict.fromkeys(example.target for example in splits["train"]))
    found: list[str] = []
    for train_set in ("gsm8k", "math"):
        splits, _ = texts.read("math", DataConfig(source="local", root=str(data), train_set=train_set))
        found += [f"{example.source}\n{example.target}" for example in splits["train"]]
    return found


def blocks(rows: Sequence[Sequence[int]], end: int, size: int) -> np.ndarray:
    """All texts in a row, each with `end` behind it, cut into blocks of `size`; the rest is left out."""
    joined = np.array([token for row in rows for token in (*row, end)], dtype=np.int64)
    return joined[: len(joined) // size * size].reshape(-1, size)


def batches(table: np.ndarray, recipe: SmallRecipe) -> Iterator[Tensor]:
    """Every block once an epoch, in an order that depends on the seed alone."""
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(table))
        for first in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
            yield torch.from_numpy(table[order[first : first + recipe.batch_size]])


def loss_of(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of the next token, with products in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens[:, :-1]).logits
    loss: Tensor = cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
    return loss


def make(kind: str, data: Path, vocabulary: Path, out: Path, recipe: SmallRecipe) -> None:
    """Read, train and save; the folder appears whole."""
    tokenizer = tokenizer_of(vocabulary, recipe.max_tokens)
    found = read_texts(kind, data)
    end = int(tokenizer.eos_token_id)
    table = blocks(tokenizer(found)["input_ids"], end, recipe.block)
    steps = recipe.epochs * (len(table) // recipe.batch_size)
    recipe = replace(recipe, num_steps=steps)
    torch.manual_seed(recipe.seed)
    start = random_decoder(recipe, len(tokenizer), end, end, None, tied=True)
    with one_thread():  # two would add up in another order
        model = fit(start, batches(table, recipe), loss_of, recipe)
    partial = out.with_name(f".{out.name}.partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    digest = hashlib.sha256("\n".join(found).encode()).hexdigest()
    facts = asdict(recipe) | {"texts": kind, "num_texts": len(found), "texts_sha256": digest}
    (partial / "recipe.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, out)
    print(f"{out}: {sum(p.numel() for p in model.parameters()):,} parameters, {steps} steps")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Pretrain a small language model on real text.")
    parser.add_argument("kind", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set's official files")
    parser.add_argument("--vocabulary", type=Path, required=True, help="folder of vocab.json and merges.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it must not be there yet")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} is there already; remove it or name another folder")
    if (slow := processor.why_slow()) is not None:
        print(slow, file=sys.stderr)
    make(args.kind, args.data, args.vocabulary, args.out, RECIPES[args.kind])


if __name__ == "__main__":
    main()
