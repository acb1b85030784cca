"""What a language model's configuration cannot be, named before anything is loaded."""

from pathlib import Path

import pytest

from experiments.composing import load
from experiments.config import ConfigError

E2E, MATH = ["scale=e2e/tiny", "row=vblora_all"], ["scale=math/tiny", "row=vblora_all"]
GLUE = ["row=vblora_qv", "task=cola"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([*GLUE, "data.num_train=5"], "data.num_train: task cola has no use for it"),
        ([*GLUE, "data.held_out=5"], "data.held_out: task cola has no use for it"),
        ([*GLUE, "data.mmlu_shots=[5]"], "data.mmlu_shots: task cola has no use for it"),
        ([*GLUE, "optim.label_smoothing=0.1"], "optim.label_smoothing: task cola has no use for it"),
        ([*GLUE, "model.quantization=nf4"], "model.quantization: nf4 is offered for language models"),
        (["task=cola", "row=none"], "method: none trains nothing, and task cola has a fresh head"),
        (
            ["task=e2e", "row=vblora_qv"],
            "model: task e2e needs a language model, and tiny_roberta is of kind",
        ),
        (["task=e2e", "row=vblora_qv"], "a scale such as e2e/tiny"),
        ([*E2E, "model=tiny_llama"], "model: e2e's tiny backbone is of kind gpt2, not decoder"),
        ([*E2E, "data.text_form=tokenised"], "data.text_form: source synthetic has no use for it"),
        ([*E2E, "data.source_max_length=16"], "data.source_max_length: task e2e has no use for it"),
        ([*E2E, "generation.num_beams=1"], "generation.num_beams: hu2021 has 2 or more"),
        ([*E2E, "optim.label_smoothing=1.0"], "optim.label_smoothing: 1.0 is outside"),
        (
            [*MATH, "generation.max_new_tokens_of.math=0"],
            "max_new_tokens_of.math: 0 is out of range",
        ),
        ([*MATH, "row=head"], "method: a language model has no head to train alone"),
        ([*MATH, "row=full", "model.quantization=nf4"], "model.quantization: nf4 weights cannot be trained"),
        ([*MATH, "model=tiny_llama_scratch", "model.quantization=int8"], "only loaded weights can be stored"),
        ([*MATH, "generation.merge=false", "generation.engine=vllm"], "vllm runs a plain model"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_problem_is_named(words: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(words)
    assert problem in str(caught.value)


@pytest.mark.parametrize(("held_out", "fits"), [("null", False), ("0", False), ("100", True)])
def test_best_epoch_needs_held_out_examples(held_out: str, fits: bool, tmp_path: Path) -> None:
    """Without them nothing would be compared, and the last epoch would answer under another name."""
    local = ["scale=math/small", f"model.path={tmp_path}", f"data.root={tmp_path}", "row=lora_all"]
    words = [*local, "generation.epoch=best", f"data.held_out={held_out}"]
    if fits:
        assert load(words).generation.epoch == "best"
    else:
        with pytest.raises(ConfigError, match="best is judged by held-out examples"):
            load(words)
