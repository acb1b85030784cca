"""The small pretrained encoder of scale tiny.

A RoBERTa of three layers learns the synthetic world's text by masked language modelling (Devlin et al. 2019,
with masks drawn anew at every step as in Liu et al. 2019): some tokens of a pair of sentences are hidden or
replaced, and the model tells the original ones from the rest, which holds the other half of the pair. From
the last layer but one it also tells which words were replaced (Clark et al. 2020, ELECTRA): without that, a
model of this size learns to compare two sentences from some seeds and not from others.
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
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
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
from experiments.data.synthetic.words import kinds, vocabulary
from experiments.recipe import Plan, Recipe

Model = TypeVar("Model", bound=nn.Module)
Batch = TypeVar("Batch")

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""In RoBERTa's order; a token's place is its id."""
BOS, PAD, EOS, _, MASK = range(len(SPECIAL_TOKENS))
NUM_TOKENS = len(SPECIAL_TOKENS) + len(vocabulary())
MAX_TOKENS = 64
"""More than twice the longest pair."""


def tiny_backbone(cache: Path, recipe: Recipe) -> Path:
    """Folder of the small pretrained RoBERTa, made if it is not there yet; see `made_once`.

    Args:
        cache: folder that holds it, under `backbones/`.
        recipe: what to make.

    Returns:
        A folder that `AutoModel` and `AutoTokenizer` load.
    """
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
        model.half().save_pretrained(partial)  # half the bytes in the repository, and no score sees it
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
        recipe: the ratios.
        generator: where the choice comes from.

    Returns:
        What the model reads, and which tokens it is to tell; special tokens are never chosen.
    """
    draw = torch.rand(tokens.shape, generator=generator) / recipe.chosen_ratio
    chosen = (draw < 1) & (tokens >= len(SPECIAL_TOKENS))
    is_replaced = draw < recipe.mask_ratio + recipe.random_ratio
    seen = torch.where(is_replaced, _replacements(tokens, recipe, generator), tokens)
    seen = torch.where(draw < recipe.mask_ratio, MASK, seen)
    return torch.where(chosen, seen, tokens), chosen


def _replacements(tokens: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """A word for each token: mostly one of its kind and number, else any."""
    alike, sizes = _words_alike()
    places = (torch.rand(tokens.shape, generator=generator) * sizes[tokens]).long()
    anything = torch.randint(len(SPECIAL_TOKENS), NUM_TOKENS, tokens.shape, generator=generator)
    is_alike = torch.rand(tokens.shape, generator=generator) < recipe.alike_ratio
    return torch.where(is_alike, alike[tokens, places], anything)


@functools.cache
def _words_alike() -> tuple[Tensor, Tensor]:
    """Ids of the words of each token's kind, a row a token, and how many they are; 1 for special tokens."""
    ids = {word: number for number, word in enumerate(vocabulary(), len(SPECIAL_TOKENS))}
    groups = [[ids[word] for word in kind] for kind in kinds()]
    alike, sizes = torch.zeros(NUM_TOKENS, max(map(len, groups)), dtype=torch.long), torch.ones(NUM_TOKENS)
    for group in groups:
        alike[group, : len(group)] = torch.tensor(group)
        sizes[group] = len(group)
    return alike, sizes


class Pretraining(nn.Module):
    """A model and what pretraining alone needs: one feature that says whether a word was replaced."""

    def __init__(self, model: RobertaForMaskedLM) -> None:
        super().__init__()
        self.model = model
        self.detector = nn.Linear(model.config.hidden_size, 1)

    def losses(self, seen: Tensor, tokens: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy over the chosen tokens, and over the words that are seen, whether replaced.

        The vocabulary's logits are computed for the chosen tokens alone.

        Args:
            seen: ids with some hidden or replaced, (batch, length).
            tokens: the true ids.
            chosen: which to tell.
        """
        mask = (tokens != PAD).long()
        output = self.model.roberta(seen, attention_mask=mask, output_hidden_states=True)
        told = cross_entropy(self.model.lm_head(output.last_hidden_state[chosen]), tokens[chosen])
        are_words = (seen >= len(SPECIAL_TOKENS)) & (tokens >= len(SPECIAL_TOKENS))
        said = self.detector(output.hidden_states[-2][are_words]).squeeze(-1)
        return told, binary_cross_entropy_with_logits(said, (seen != tokens)[are_words].float())


def pretrain(recipe: Recipe) -> RobertaForMaskedLM:
    """Train a model from random weights on text of its own; the caller's random state stays as it was."""

    def loss(pretraining: Pretraining, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        told, detected = pretraining.losses(*batch)
        return told + recipe.detection_weight * detected

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return fit(Pretraining(build_model(recipe)), _batches(recipe), loss, recipe).model


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


def _batches(recipe: Recipe) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    first, second = zip(*text_pairs(recipe.num_pairs, f"{synthetic.VERSION}/{recipe.seed}"), strict=True)
    text = build_tokenizer()(list(first), list(second), padding=True, return_tensors="pt")["input_ids"]
    generator = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.num_steps):
        tokens = text[torch.randint(len(text), (recipe.batch_size,), generator=generator)]
        tokens = tokens[:, : int((tokens != PAD).sum(dim=1).max())]
        seen, chosen = hide(tokens, recipe, generator)
        yield seen, tokens, chosen


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
