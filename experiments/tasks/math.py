"""Mathematical reasoning (Table 4): MetaMathQA learned, GSM8K and MATH answered.

    prompt   Below is an instruction … ### Instruction: How many …? ### Response:[ Let's think step by step.]
    answer   … The answer is: 72</s>

Source: the released math code, which is that of LoRA-XS (Bałazy et al. 2024).
"""

from dataclasses import dataclass
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from experiments import data as sources
from experiments import prompts
from experiments.config import Config
from experiments.data.examples import Data, Prompted
from experiments.tasks.text import Pieces, TextTask


@dataclass(frozen=True)
class MathTask(TextTask):
    """Questions and worked answers; see `tasks.text.TextTask`."""

    family: ClassVar[str] = "math"

    def data(self) -> Data:
        """Examples and their description, from the configured source."""
        return sources.text(self.family, self.config)

    def pieces(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> Pieces:
        """Prompt and answer are tokenised together, as published: a word may cross their border."""
        prompt = prompts.math_training_prompt(example.source)
        whole = list(tokenizer(prompt + example.target)["input_ids"])
        cut = len(tokenizer(prompt)["input_ids"])
        return whole[:cut], [*whole[cut:], int(tokenizer.eos_token_id)]

    def prompt(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> list[int]:
        """The evaluation's prompt, which asks for steps."""
        return list(tokenizer(prompts.math_evaluation_prompt(example.source))["input_ids"])


def build(cfg: Config) -> MathTask:
    """The configured task.

    Raises:
        ValueError: there is none of that name.
    """
    if cfg.task.name != "metamath":
        raise ValueError(f"no math task {cfg.task.name!r}; choose metamath")
    smoothing = cfg.optim.label_smoothing or 0.0
    return MathTask(cfg.task.name, cfg.data, smoothing, "gsm8k", prompts.MATH_STOPS)
