"""What decides the weights of scale tiny's backbone; `experiments/pretraining.py` makes them.

It stands apart so that a run's hash can hold it without importing torch.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from experiments.data import synthetic

VERSION = 1
"""Raised when the code of `pretraining` makes other weights from the same recipe."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; its hash names the folder.

    Attributes:
        num_layers: of the encoder, of `width` features and `num_heads` heads; 4 x `width` inside.
        init_std: of the normal distribution that weights are drawn from.
        num_pairs: pairs of sentences to draw batches from.
        num_steps: of `batch_size` pairs; `peak_lr` is reached after `warmup_ratio` of them and falls to 0.
        chosen_ratio: share of the tokens that are to be told, 0..1.
        mask_ratio: share of these that are hidden behind <mask>.
        random_ratio: share of these that are replaced by a random word; the rest stays as it is. More than
            RoBERTa's 0.1, so that within few steps the model learns to see what does not fit.
        seed: of text, first weights, batches and masks.
    """

    num_layers: int = 2
    width: int = 96
    num_heads: int = 4
    init_std: float = 0.05
    num_pairs: int = 40_000
    num_steps: int = 2400
    batch_size: int = 32
    peak_lr: float = 2e-3
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    chosen_ratio: float = 0.25
    mask_ratio: float = 0.6
    random_ratio: float = 0.3
    seed: int = 0

    def key(self) -> str:
        """Sixteen digits of the hash over the recipe and the versions of text and code."""
        parts = {"recipe": asdict(self), "code": VERSION, "text": synthetic.VERSION}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
