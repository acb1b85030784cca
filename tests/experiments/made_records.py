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


def write_all(made: Iterable[RunRecord], root: Path) -> None:
    for each in made:
        records.write(each, root)
