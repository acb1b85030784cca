"""Records made up for tests: no run stands behind them."""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import records
from experiments.record_schema import CONFIG_GROUPS
from experiments.records import RunRecord

RUN_ID = "glue/cola/tiny_roberta/vblora-qv/seed3"
METRICS = {"cola": "matthews", "stsb": "pearson"}
TASKS = ("sst2", "mrpc", "cola", "qnli", "rte", "stsb")
# Families of generated text: their task, the score that sums up a run, all scores, and the tiny model.
TEXT: dict[str, tuple[str, str, dict[str, float], str]] = {
    "e2e": (
        "e2e",
        "bleu",
        {"bleu": 0.68, "nist": 8.6, "nist_perl": 8.7, "meteor": 0.46, "rouge_l": 0.7, "cider": 2.4},
        "tiny_gpt2",
    ),
    "instruct": ("alpaca", "answered", {"answered": 1.0}, "tiny_llama"),
    "math": (
        "metamath",
        "gsm8k",
        {
            **{"gsm8k": 0.5, "math": 0.125, "gsm8k_released": 0.55, "math_released": 0.25},
            **{"gsm8k_exact": 0.45, "math_exact": 0.0625},
        },
        "tiny_llama",
    ),
}


def outcome(metric: str = "matthews", best: float = 0.5, last: float = 0.4) -> dict[str, Any]:
    return {
        "scores": {metric: best},
        "metric": metric,
        "best_epoch": 2,
        "last_scores": {metric: last},
        "history": [{"epoch": 1, "step": 10, "scores": {metric: 0.1}}],
        "num_steps": 20,
        "trainable_params": 700,
        "adapter_params": 600,
        "stored_params": 23_904,
        "stored_bytes": 95_616,
        "num_train_examples": 100,
        "num_eval_examples": 50,
        "answers_sha256": "a" * 64,
        "data": {"source": "synthetic", "version": 1, "sha256": "b" * 64},
        "task_version": 1,
        "model_fingerprint": "c" * 64,
        "model_commit": None,
    }


def record(run_id: str = RUN_ID, **changes: Any) -> RunRecord:
    config = {**dict.fromkeys(CONFIG_GROUPS, {}), "seed": 3}
    found = outcome(METRICS.get(run_id.split("/")[1], "accuracy"))
    made = RunRecord(run_id, "tiny", "success", "0123abcd", config, found, {"total_seconds": 36.0})
    return replace(made, **changes)


def failed(run_id: str, scale: str = "tiny", message: str = "loss is NaN") -> RunRecord:
    error = {"type": "ValueError", "message": message, "traceback": ""}
    return record(run_id, scale=scale, status="failed", outcome=None, error=error)


def cell(
    row: str, task: str, scores: Iterable[float], scale: str = "tiny", model: str = "tiny_roberta"
) -> list[RunRecord]:
    """One finished run for each score, with seeds from 0; `row` is as in run_ids: vblora-qv."""
    metric = METRICS.get(task, "accuracy")
    return [
        record(
            f"glue/{task}/{model}/{row}/seed{seed}", scale=scale, outcome=outcome(metric, score, score / 2)
        )
        for seed, score in enumerate(scores)
    ]


def whole_row(row: str, level: float, seeds: int = 5, **place: str) -> list[RunRecord]:
    """All six tasks, scores near `level`, the same at each call."""
    draw = random.Random(row)
    noise = [[round(draw.gauss(0, 0.01), 4) for _ in range(seeds)] for _ in TASKS]
    made = [
        cell(row, task, [level + x for x in line], **place) for task, line in zip(TASKS, noise, strict=True)
    ]
    return [each for group in made for each in group]


def text_run(
    family: str, row: str, seed: int = 0, scale: str = "tiny", model: str = "", **scores: float | None
) -> RunRecord:
    """One finished run of generated text; scores of `TEXT` change or, as None, are lacking."""
    task, metric, usual, tiny = TEXT[family]
    found = {name: value for name, value in {**usual, **scores}.items() if value is not None}
    made = outcome(metric) | {"scores": found, "last_scores": {"log_likelihood": -1.5}}
    run_id = f"{family}/{task}/{model or tiny}/{row}/seed{seed}"
    return record(run_id, scale=scale, outcome=made)


def judged(run: RunRecord, rating: float | None, judge: str = "gpt-4", **changes: Any) -> RunRecord:
    """The run after a judge model rated its answers."""
    judgement = {"mt_bench": rating, "judge_model": judge, "date": "2026-01-31T09:00:00Z", "num_invalid": 0}
    return replace(run, circumstances={**run.circumstances, "judgement": judgement | changes})


def write_all(made: Iterable[RunRecord], root: Path) -> None:
    for each in made:
        records.write(each, root)
