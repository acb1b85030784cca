"""What decides the weights of scale tiny's backbones; `pretraining` and `decoder_pretraining` make them.

It stands apart so that a run's hash can hold it without importing torch.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from experiments.data import synthetic
from experiments.data.synthetic import worlds

VERSION = 2
"""Raised when the code of `pretraining` makes other weights from the same recipe."""
DECODER_VERSION = 1
"""The same for `decoder_pretraining`."""


@dataclass(frozen=True)
class Plan:
    """How a backbone is trained: AdamW, clipped at `max_grad_norm`.

    Attributes:
        num_steps: of `batch_size` texts; `peak_lr` is reached after `warmup_ratio` of them and falls to 0.
        init_std: of the normal distribution that weights are drawn from.
        seed: of text, first weights and batches.
    """

    num_steps: int = 8000
    batch_size: int = 32
    peak_lr: float = 2e-3
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    init_std: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Recipe(Plan):
    """All that decides the encoder's weights; its hash names the folder.

    Attributes:
        num_layers: of the encoder, of `width` features and `num_heads` heads; 4 x `width` inside.
        num_pairs: pairs of sentences to draw batches from.
        chosen_ratio: share of the tokens that are to be told, 0..1.
        mask_ratio: share of these that are hidden behind <mask>.
        random_ratio: share of these that are replaced by another word; the rest stays as it is. More than
            RoBERTa's 0.1, as there is something to learn from each.
        alike_ratio: share of the replacements that are a word of the same kind and number.
        detection_weight: of telling replaced words from others, beside telling the chosen ones.
    """

    num_layers: int = 3
    width: int = 64
    num_heads: int = 4
    num_pairs: int = 40_000
    chosen_ratio: float = 0.25
    mask_ratio: float = 0.6
    random_ratio: float = 0.3
    alike_ratio: float = 0.7
    detection_weight: float = 3.0

    def key(self) -> str:
        """Sixteen digits of the hash over the recipe and the versions of text and code."""
        return _key(recipe=asdict(self), code=VERSION, text=synthetic.VERSION)


@dataclass(frozen=True)
class Sizes(Plan):
    """A decoder and its training.

    Attributes:
        architecture: "gpt2" or "llama".
        num_layers: of `width` features and `num_heads` heads; 4 x `width` inside.
        max_tokens: positions of the model.
    """

    architecture: str = "llama"
    num_layers: int = 2
    width: int = 128
    num_heads: int = 4
    max_tokens: int = 256


@dataclass(frozen=True)
class DecoderRecipe(Sizes):
    """All that decides a tiny decoder's weights.

    Attributes:
        world: whose text it reads, a key of `worlds.WORLDS`.
        num_texts: texts to draw batches from.
    """

    world: str = ""
    num_texts: int = 40_000

    def key(self) -> str:
        """Sixteen digits of the hash over the recipe and the versions of text and code."""
        text = worlds.load(self.world).VERSION
        return _key(recipe=asdict(self), code=DECODER_VERSION, text=text)


DECODERS = {
    "e2e": DecoderRecipe(world="e2e", architecture="gpt2", width=64, num_steps=3000, peak_lr=4e-3),
    "instruct": DecoderRecipe(world="instruct", width=64, num_layers=3, num_steps=2000, peak_lr=4e-3),
    "math": DecoderRecipe(world="math", width=64, num_layers=3, num_steps=2800, peak_lr=4e-3),
}
"""The decoder of each generative family, by the world that it reads of."""


def _key(**parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
