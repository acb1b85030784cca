"""The small pretrained encoder of scale tiny, made here, once, in about a minute.

A RoBERTa of two layers learns the synthetic world's text by masked language modelling (Devlin et al. 2019,
with masks drawn anew at every step as in Liu et al. 2019). Some tokens of a pair of sentences are hidden or
replaced, and the model tells the original ones from the rest, which holds the other half of the pair.
"""

import functools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from filelock import FileLock
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)
from transformers.utils import logging

from experiments.data import synthetic
from experiments.data.synthetic.corpus import text_pairs
from experiments.data.synthetic.words import vocabulary
from experiments.recipe import Plan, Recipe

Model = TypeVar("Model", bound=nn.Module)
Batch = TypeVar("Batch")

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""In RoBERTa's order; a token's place is its id."""
BOS, PAD, EOS, _, MASK = range(len(SPECIAL_TOKENS))
NUM_TOKENS = len(SPECIAL_TOKENS) + len(vocabulary())
MAX_TOKENS = 64
"""More than twice the longest pair."""


def tiny_backbone(cache: Path, recipe: Recipe | None = None) -> Path:
    """Folder of the small pretrained RoBERTa, made if it is not there yet; see `made_once`.

    Args:
        cache: folder that holds it, under `backbones/`.
        recipe: what to make; the default is scale tiny's.

    Returns:
        A folder that `AutoModel` and `AutoTokenizer` load.
    """
    recipe = recipe or Recipe()
    return made_once(cache, f"tiny-{recipe.key()}", lambda: (build_tokenizer(), pretrain(recipe)))


def made_once(
    cache: Path, name: str, make: Callable[[], tuple[PreTrainedTokenizerBase, PreTrainedModel]]
) -> Path:
    """The folder `<cache>/backbones/<name>`, made if it is not there yet.

    The folder appears whole or not at all, and only one process makes it while others wait. One recipe gives
    the same bits every time on one machine: it is made on one thread of the CPU.
    """
    folder = cache / "backbones" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            _build(folder, make)
    return folder


def _build(folder: Path, make: Callable[[], tuple[PreTrainedTokenizerBase, PreTrainedModel]]) -> None:
    partial = folder.with_suffix(".partial")  # a killed build leaves one behind; the lock says it is nobody's
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer, model = make()
    with _no_bars():
        model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, folder)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, between RoBERTa's special tokens: <s> a </s></s> b </s>."""
    ids = {word: number for number, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", EOS), ("<s>", BOS), trim_offsets=False, add_prefix_space=False
    )
    names = {
        "bos": "<s>",
        "cls": "<s>",
        "eos": "</s>",
        "sep": "</s>",
        "pad": "<pad>",
        "unk": "<unk>",
        "mask": "<mask>",
    }
    special = {f"{name}_token": token for name, token in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=MAX_TOKENS, **special)


def build_model(recipe: Recipe) -> RobertaForMaskedLM:
    """The encoder with random weights; without dropout, as its steps are too few to learn by heart."""
    config = RobertaConfig(
        vocab_size=NUM_TOKENS,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=MAX_TOKENS + PAD + 1,  # RoBERTa counts positions from the padding id on
        type_vocab_size=1,
        initializer_range=recipe.init_std,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return RobertaForMaskedLM(config)


def hide(tokens: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose tokens to be told, and hide or replace most of them.

    Args:
        tokens: ids, (batch, length).
        recipe: the three ratios.
        generator: where the choice comes from.

    Returns:
        What the model reads, and which tokens it is to tell; special tokens are never chosen.
    """
    draw = torch.rand(tokens.shape, generator=generator) / recipe.chosen_ratio
    words = torch.randint(len(SPECIAL_TOKENS), NUM_TOKENS, tokens.shape, generator=generator)
    table, sizes = _alternatives()
    alike = table[tokens, (torch.rand(tokens.shape, generator=generator) * sizes[tokens]).long()]
    words = torch.where(torch.rand(tokens.shape, generator=generator) < recipe.kind_ratio, alike, words)
    chosen = (draw < 1) & (tokens >= len(SPECIAL_TOKENS))
    seen = torch.where(draw < recipe.mask_ratio + recipe.random_ratio, words, tokens)
    seen = torch.where(draw < recipe.mask_ratio, MASK, seen)
    return torch.where(chosen, seen, tokens), chosen


@functools.cache
def _alternatives():
    from experiments.data.synthetic.words import kinds
    ids = {word: number for number, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}
    groups = [[ids[w] for w in g] for g in kinds()]
    table = torch.zeros(NUM_TOKENS, max(map(len, groups)), dtype=torch.long)
    sizes = torch.ones(NUM_TOKENS)
    for g in groups:
        for i in g:
            table[i, :len(g)] = torch.tensor(g); sizes[i] = len(g)
    return table, sizes


def pretrain(recipe: Recipe) -> RobertaForMaskedLM:
    """Train a model from random weights on text of its own; the caller's random state stays as it was."""

    def loss(model: RobertaForMaskedLM, batch) -> Tensor:
        return loss_of(model, *batch)

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build_model(recipe)
        model.add_module("relation", nn.Linear(recipe.width, 1))
        model.told=(recipe.told_layer,recipe.told_weight)
        fit(model, _batches(recipe), loss, recipe)
        del model.relation, model.told
        return model


def fit(
    model: Model, batches: Iterable[Batch], loss: Callable[[Model, Batch], Tensor], recipe: Plan
) -> Model:
    """AdamW over all weights, with a rate that rises and falls; a step for each batch."""
    optimizer = torch.optim.AdamW(
        model.train().parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = LambdaLR(optimizer, lambda step: _rise_and_fall(step, recipe))
    title = "pretraining the tiny backbone"
    for batch in tqdm(batches, title, recipe.num_steps, leave=False, disable=None):
        loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def loss_of(model: RobertaForMaskedLM, seen: Tensor, tokens: Tensor, chosen: Tensor, related: Tensor) -> Tensor:
    """Mean cross-entropy over the chosen tokens; the vocabulary's logits are computed for these alone.

    Args:
        model: what reads `seen`.
        seen: ids with some hidden, (batch, length).
        tokens: the true ids.
        chosen: which to tell.
    """
    out = model.roberta(seen, attention_mask=(tokens != PAD).long(), output_hidden_states=True)
    hidden = out.last_hidden_state
    layer, weight = model.told
    words = (tokens >= len(SPECIAL_TOKENS)) & (seen != MASK)
    said = model.relation(out.hidden_states[layer])[..., 0]
    told = torch.nn.functional.binary_cross_entropy_with_logits(said[words], (seen != tokens)[words].float())
    loss: Tensor = cross_entropy(model.lm_head(hidden[chosen]), tokens[chosen])
    return loss + weight * told


def _batches(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    pairs = list(text_pairs(recipe.num_pairs, recipe.unrelated_ratio, f"{synthetic.VERSION}/{recipe.seed}"))
    halves = [pair.first for pair in pairs], [pair.second for pair in pairs]
    text = build_tokenizer()(*halves, padding=True, return_tensors="pt")["input_ids"]
    related = torch.tensor([int(pair.related) for pair in pairs])
    generator = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.num_steps):
        rows = torch.randint(len(text), (recipe.batch_size,), generator=generator)
        tokens = text[rows]
        tokens = tokens[:, : int((tokens != PAD).sum(dim=1).max())]
        seen, chosen = hide(tokens, recipe, generator)
        yield seen, tokens, chosen, related[rows]


def _rise_and_fall(step: int, recipe: Plan) -> float:
    warmup = max(1.0, recipe.warmup_ratio * recipe.num_steps)
    return min((step + 1) / warmup, (recipe.num_steps - step) / max(1.0, recipe.num_steps - warmup))


@contextmanager
def one_thread() -> Iterator[None]:
    """Two threads add up in another order, and are far slower than one beside another process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Without transformers' own bar for writing a file."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
