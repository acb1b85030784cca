"""MMLU through lm-evaluation-harness: an optional second way to the letters of `experiments.mmlu`.

    pip install lm-eval

The prompts become a task of the harness that is made on the fly from a local file, without a hub. The harness
compares the log-likelihoods of four continuations, each of one token here, so its letters are those of the
largest logit. Two things differ:

- The harness tokenises a prompt together with its continuation. `delimiter` finds the text between the two
  that gives the tokens of `experiments.mmlu.letter_tokens`: a space for Llama's tokenizer, nothing for a
  byte-level one, where the harness's own MMLU task has a space too. So aligned, both agree.
- The harness cuts a question that is too long alone at its start, the beginning-of-text token included, which
  `experiments.mmlu` keeps; such questions can get another letter. Exemplars are dropped before, as there.

Source: https://github.com/EleutherAI/lm-evaluation-harness.
"""

import importlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from experiments.grading.mmlu import LETTERS
from experiments.mmlu import MAX_LENGTH, MmluError, letter_tokens, shortened

TASK = "local_mmlu"


def letters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    batch_size: int = 8,
    max_length: int = MAX_LENGTH,
) -> list[str]:
    """The answer to each prompt, in their order, as the harness finds it.

    Raises:
        MmluError: the harness is not installed, or the tokenizer does not suit.
    """
    harness, wrapper, manager = _harness()
    spaced = delimiter(tokenizer)
    fitting = [shortened(tokenizer, prompt, max_length) for prompt in prompts]
    wrapped = wrapper(
        pretrained=model,
        tokenizer=tokenizer,
        batch_size=batch_size,
        max_length=max_length,
        add_bos_token=tokenizer.bos_token_id is not None,
    )
    with tempfile.TemporaryDirectory() as folder:
        found = harness(
            model=wrapped,
            tasks=[_task(Path(folder), fitting, spaced)],
            task_manager=manager(include_defaults=False),  # reading all its own tasks takes ten seconds
            log_samples=True,
            bootstrap_iters=0,  # no error bars, which would take longer than the answers
        )
    samples = sorted(found["samples"][TASK], key=lambda sample: sample["doc_id"])
    return [_best([float(likelihood) for likelihood, _ in s["filtered_resps"]]) for s in samples]


def delimiter(tokenizer: PreTrainedTokenizerBase) -> str:
    """What must stand between "Answer:" and a letter so that its token is that of the letter alone.

    Raises:
        MmluError: neither a space nor nothing does that.
    """
    prompt, wanted = "Answer:", letter_tokens(tokenizer)
    before = _tokens(tokenizer, prompt)
    for text in (" ", ""):
        whole = [_tokens(tokenizer, f"{prompt}{text}{letter}") for letter in LETTERS]
        if whole == [[*before, token] for token in wanted]:
            return text
    raise MmluError(
        "the tokenizer writes a letter behind 'Answer:' with other tokens than alone, with a space or not; "
        "use experiments.mmlu, which does not tokenise them together"
    )


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _task(folder: Path, prompts: Sequence[str], spaced: str) -> dict[str, Any]:
    """A task of the harness in which every answer is scored as if "A" were right: only the letters matter."""
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts), encoding="utf-8")
    return {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": lambda row: row["prompt"],
        "doc_to_choice": list(LETTERS),
        "doc_to_target": lambda row: 0,
        "target_delimiter": spaced,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


def _best(likelihoods: Sequence[float]) -> str:
    return LETTERS[likelihoods.index(max(likelihoods))]


def _harness() -> tuple[Any, Any, Any]:
    try:
        modules = [
            importlib.import_module(f"lm_eval{name}") for name in ("", ".models.huggingface", ".tasks")
        ]
    except ImportError as error:
        raise MmluError(
            f"lm-evaluation-harness cannot be imported ({error}); pip install lm-eval or use experiments.mmlu"
        ) from error
    return modules[0].simple_evaluate, modules[1].HFLM, modules[2].TaskManager
