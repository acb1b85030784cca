"""E2E (Table 2): a restaurant's meaning representation, said in a sentence or two.

    prompt   name : Blue Spice | Type : coffee shop | area : city centre<|endoftext|>
    answer    A coffee shop in the city centre area called Blue Spice.<|endoftext|>

Source: the LoRA authors' GPT-2 experiments (Hu et al. 2021), which this family follows.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from experiments import data as sources
from experiments.config import Config
from experiments.data.examples import Data, Prompted
from experiments.tasks.text import Pieces, TextTask, tokens_of

END_OF_PARAGRAPH = "\n\n"  # the LoRA authors' decoding ends at this token too


@dataclass(frozen=True)
class E2ETask(TextTask):
    """Meaning representations and their descriptions; see `tasks.text.TextTask`."""

    family: ClassVar[str] = "e2e"

    def data(self) -> Data:
        """Examples and their description, from the configured source."""
        return sources.text(self.family, self.config)

    def pieces(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> Pieces:
        """The separator is the end-of-text token; the description starts with a space and ends with it."""
        answer = tokens_of(tokenizer, f" {example.target}")
        return self.prompt(tokenizer, example), [*answer, int(tokenizer.eos_token_id)]

    def prompt(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> list[int]:
        """The linearised meaning and the separator."""
        return [*tokens_of(tokenizer, example.source), int(tokenizer.eos_token_id)]

    def header(self) -> dict[str, Any]:
        """The form of the references: plain, or tokenised as in the LoRA authors' files."""
        return {"text_form": self.config.text_form or "plain"}

    def finish(self, text: str) -> str:
        """One line: the scorer takes a line for a description."""
        return " ".join(super().finish(text).split())


def build(cfg: Config) -> E2ETask:
    """The configured task.

    Raises:
        ValueError: there is none of that name.
    """
    if cfg.task.name != "e2e":
        raise ValueError(f"no E2E task {cfg.task.name!r}; choose e2e")
    stops = (END_OF_PARAGRAPH,) if cfg.generation.beam_search == "hu2021" else ()
    return E2ETask(cfg.task.name, cfg.data, cfg.optim.label_smoothing or 0.0, "bleu", stops)
