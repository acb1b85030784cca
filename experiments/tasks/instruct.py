"""Instruction tuning (Table 3): Alpaca learned, MT-Bench and MMLU answered.

    prompt   <s>Below is an instruction … ### Instruction: … ### Response:␣
    answer   …</s>

Source: the released instruction code, which is QLoRA's (Dettmers et al. 2023): prompt and answer are
tokenised apart, and cut to `source_max_length` and `target_max_length` tokens.
"""

from dataclasses import dataclass
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from experiments import alpaca_prompts
from experiments import data as sources
from experiments.config import Config
from experiments.data.examples import Data, Prompted
from experiments.grading import mmlu
from experiments.tasks.text import Pieces, TextTask, start_tokens, tokens_of


@dataclass(frozen=True)
class InstructTask(TextTask):
    """Instructions and answers; see `tasks.text.TextTask`."""

    family: ClassVar[str] = "instruct"

    def data(self) -> Data:
        """Examples and their description, from the configured source."""
        return sources.text(self.family, self.config)

    def pieces(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> Pieces:
        """The prompt with its beginning-of-text token, and the answer with its end, each cut on its own."""
        answer = [*tokens_of(tokenizer, example.target), int(tokenizer.eos_token_id)]
        prompt = self.prompt(tokenizer, example)
        return prompt[: self.config.source_max_length], answer[: self.config.target_max_length]

    def prompt(self, tokenizer: PreTrainedTokenizerBase, example: Prompted) -> list[int]:
        """The Alpaca prompt, whole; a question of MMLU stands alone."""
        asked = example.source if example.group.startswith(mmlu.GROUP) else alpaca_prompts.prompt(example)
        return [*start_tokens(tokenizer), *tokens_of(tokenizer, asked)]

    def follow_up(
        self, tokenizer: PreTrainedTokenizerBase, example: Prompted, answer: str
    ) -> list[int] | None:
        """MT-Bench's second turn, if two are asked for and the question has it."""
        question = example.facts.get("turn_2") if self.config.num_turns == 2 else None
        if question is None:
            return None
        end = str(tokenizer.eos_token)
        asked = alpaca_prompts.second_turn(example, answer, end, question)
        return [*start_tokens(tokenizer), *tokens_of(tokenizer, asked)]


def build(cfg: Config) -> InstructTask:
    """The configured task.

    Raises:
        ValueError: there is none of that name.
    """
    if cfg.task.name != "alpaca":
        raise ValueError(f"no instruction task {cfg.task.name!r}; choose alpaca")
    main = "mt_bench" if cfg.data.source == "synthetic" else "answered"
    return InstructTask(cfg.task.name, cfg.data, cfg.optim.label_smoothing or 0.0, main)
