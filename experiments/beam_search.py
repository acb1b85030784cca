r"""The LoRA authors' beam search, by which they and those after them decode E2E.

Its rules, all kept here:

- No n-gram of the stated size twice among the generated tokens; the prompt's do not count.
- What is forbidden is taken out before the softmax, so that log p is over the allowed tokens.
- A step keeps the `num_beams` best hypotheses, ended ones among them. An ended one is not extended: in the
  next step the open ones fill its place.
- Any of several tokens ends a hypothesis; for E2E the end-of-text token, and 628, which is "\n\n".
- Its score is Σ log p / L^length_penalty, where L counts the generated tokens with the one that ended it. The
  best ended one is kept; after the last token that is allowed, the open ones compete with it by that score.

transformers 5.23 differs in the first three: it counts the prompt's n-grams, forbids tokens after the
softmax, and looks at the 2 · num_beams best so that num_beams open ones stay; by default it also stops when
the open ones, at their present length, do not beat the worst that it keeps.

The LoRA authors go on to the last token in any case; here the search stops when nothing can become better,
which gives the same. They pad on the right and compute a prompt once for each beam; here padding is on the
left and a prompt is computed once, which changes rounding alone.

Source: https://github.com/microsoft/LoRA (examples/NLG/src/gpt2_beam.py).
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


@torch.no_grad()
def beam_search(
    model: PreTrainedModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    *,
    num_beams: int,
    length_penalty: float,
    no_repeat_ngram_size: int,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
) -> list[list[int]]:
    """The best continuation of each prompt, without the token that ends it.

    Args:
        model: a causal language model with a key-value cache; it is run in evaluation mode.
        input_ids: prompts, padded on the left, (B, T).
        attention_mask: 1 for tokens, 0 for padding, (B, T).
        num_beams: hypotheses kept for each prompt; 1 is greedy.
        length_penalty: the power of the length that scores are divided by; 0 for none.
        no_repeat_ngram_size: no n-gram of so many generated tokens twice; 0 for no such rule.
        max_new_tokens: of a continuation, the one that ends it included.
        eos_token_ids: tokens that end a continuation; there may be none.

    Raises:
        ValueError: a number is out of range, padding is not on the left, or scores are not finite.
    """
    _check(input_ids, attention_mask, num_beams, no_repeat_ngram_size, max_new_tokens)
    was_training = model.training
    model.eval()
    try:
        forward = _Forward(model, attention_mask)
        best = _Best(len(input_ids), length_penalty, max_new_tokens)
        _search(forward, input_ids, best, num_beams, no_repeat_ngram_size, eos_token_ids)
        return best.sequences()
    finally:
        model.train(was_training)


def _search(
    forward: "_Forward",
    input_ids: Tensor,
    best: "_Best",
    num_beams: int,
    no_repeat_ngram_size: int,
    eos_token_ids: Sequence[int],
) -> None:
    """Extend hypotheses token by token and offer the ended ones to `best`.

    Shapes: B prompts, K beams; before the first step there is one hypothesis for each prompt.
    """
    ends = torch.tensor(list(eos_token_ids), dtype=torch.long, device=input_ids.device)
    logits = forward(input_ids)  # (B, vocabulary), later (B·K, vocabulary)
    batch, vocabulary = logits.shape
    if vocabulary < num_beams:
        raise ValueError(f"num_beams is {num_beams}; the vocabulary has {vocabulary} tokens, choose fewer")
    scores = logits.new_zeros(batch, 1)
    history = input_ids.new_empty(batch, 0)
    for length in range(1, best.max_length + 1):
        log_p = _without_repeats(logits, history, no_repeat_ngram_size).log_softmax(dim=-1)
        candidates = (scores[:, :, None] + log_p.view(batch, -1, vocabulary)).flatten(1)
        first = torch.arange(batch, device=logits.device)[:, None] * scores.shape[1]
        scores, chosen = candidates.topk(num_beams, dim=1)
        rows, tokens = (first + chosen // vocabulary).flatten(), (chosen % vocabulary).flatten()
        history = torch.cat([history[rows], tokens[:, None]], dim=1)
        ended = torch.isin(tokens, ends).view(batch, num_beams)
        best.offer(scores.masked_fill(~ended, -torch.inf), history, ended=True)
        scores = scores.masked_fill(ended, -torch.inf)
        if best.is_settled(scores, length):
            return
        if length < best.max_length:
            logits = forward(tokens[:, None], rows)
    best.offer(scores, history, ended=False)


class _Forward:
    """The model, its cache, and the mask of all that it has seen.

    Args:
        model: a causal language model.
        mask: of the prompts, (B, T).
    """

    def __init__(self, model: PreTrainedModel, mask: Tensor) -> None:
        self.model, self.mask = model, mask.long()
        self.cache: Any = None
        # Models without learned or rotary positions take none; they read the mask.
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters

    def __call__(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Logits after the last token, (R, vocabulary), in float32.

        Args:
            tokens: what follows, (R, T) prompts or (R, 1).
            rows: for each of R, the row of the last call that it continues; None at first.
        """
        if rows is not None:
            self.cache.reorder_cache(rows)
            self.mask = torch.cat([self.mask[rows], torch.ones_like(tokens)], dim=1)
        options = {}
        if self.takes_positions:
            options["position_ids"] = (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        out = self.model(
            input_ids=tokens, attention_mask=self.mask, past_key_values=self.cache, use_cache=True, **options
        )
        self.cache = out.past_key_values
        logits: Tensor = out.logits[:, -1].float()
        return logits


class _Best:
    """The best hypothesis so far of each prompt.

    Args:
        batch: the number of prompts.
        length_penalty: the power of the length that scores are divided by.
        max_length: tokens of the longest hypothesis that is allowed.
    """

    def __init__(self, batch: int, length_penalty: float, max_length: int) -> None:
        self.length_penalty, self.max_length = length_penalty, max_length
        self.values = [-torch.inf] * batch
        self.found: list[list[int] | None] = [None] * batch

    def offer(self, scores: Tensor, history: Tensor, ended: bool) -> None:
        """Take the better ones.

        Args:
            scores: Σ log p of each hypothesis, (B, K); -inf for what is no candidate.
            history: its tokens, (B·K, L).
            ended: whether the last token is the one that ended it.
        """
        values, places = self._value(scores, history.shape[1]).max(dim=1)
        for i, (value, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
            if value > self.values[i]:
                tokens = history[i * scores.shape[1] + place].tolist()
                self.values[i], self.found[i] = value, tokens[:-1] if ended else tokens

    def is_settled(self, scores: Tensor, length: int) -> bool:
        """Whether no open hypothesis can become better than what is found.

        Log-probabilities only lower a score. Divided by L^α it is at most its present value over the largest
        L^α if α > 0, over the next L^α if α < 0.

        Args:
            scores: of the open hypotheses, (B, K); -inf for the others.
            length: theirs so far.
        """
        highest = scores.max(dim=1).values
        bounds = torch.maximum(self._value(highest, length + 1), self._value(highest, self.max_length))
        return all(value >= bound for value, bound in zip(self.values, bounds.tolist(), strict=True))

    def sequences(self) -> list[list[int]]:
        """The best of each prompt.

        Raises:
            ValueError: one has none, because the model's scores are no numbers.
        """
        missing = [i for i, tokens in enumerate(self.found) if tokens is None]
        if missing:
            raise ValueError(
                f"prompt {missing[0]}: the model's scores are not finite; look for NaN in its weights"
            )
        return [tokens for tokens in self.found if tokens is not None]

    def _value(self, scores: Tensor, length: int) -> Tensor:
        return scores / float(length**self.length_penalty)


def _without_repeats(logits: Tensor, history: Tensor, size: int) -> Tensor:
    """Logits with -inf for each token that would complete an n-gram for the second time.

    Args:
        logits: (R, vocabulary).
        history: generated tokens, (R, L).
        size: n; 0 for no such rule.
    """
    length = history.shape[1]
    if size == 0 or length < size:
        return logits
    ngrams = history.unfold(1, size, 1)  # (R, L - n + 1, n)
    latest = history[:, length - size + 1 :]  # (R, n - 1)
    rows, places = (ngrams[:, :, :-1] == latest[:, None]).all(dim=-1).nonzero(as_tuple=True)
    return logits.index_put((rows, ngrams[rows, places, -1]), logits.new_tensor(-torch.inf))


def _check(ids: Tensor, mask: Tensor, num_beams: int, no_repeat_ngram_size: int, max_new_tokens: int) -> None:
    least = {"num_beams": (num_beams, 1), "max_new_tokens": (max_new_tokens, 1)}
    least["no_repeat_ngram_size"] = (no_repeat_ngram_size, 0)
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise ValueError(f"{name} is {value}; choose {smallest} or more")
    if ids.shape != mask.shape or ids.dim() != 2 or not ids.numel():
        raise ValueError(f"input_ids {tuple(ids.shape)} and attention_mask {tuple(mask.shape)} are no batch")
    if not bool(mask[:, -1].all()) or bool((mask.long().diff(dim=1) < 0).any()):
        raise ValueError("padding is not on the left: each row of attention_mask must be 0 … 0 1 … 1")
