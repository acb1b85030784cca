"""What a run record must hold: one list of rules, used when a record is written and when it is read."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.families import is_generative
from experiments.grading.metrics import TASK_METRICS

SCHEMA_VERSION = 1
STATUSES = ("success", "failed", "cancelled")
KEYS = ("schema_version", "run_id", "scale", "status", "hash", "config", "outcome", "circumstances", "error")
PART = r"[A-Za-z0-9_][A-Za-z0-9_.+=,-]*"
RUN_ID = re.compile(
    rf"(?P<family>{PART})/(?P<task>{PART})/(?P<model>{PART})/"
    r"(?P<method>[A-Za-z0-9_]+)-(?P<targets>[A-Za-z0-9_]+)(?:-(?P<variant>[A-Za-z0-9_.+=,-]+))?/"
    r"seed(?P<seed>0|[1-9][0-9]{0,17})"
)
# What an outcome must hold, by kind. More keys are welcome.
OUTCOME_MAPPINGS = ("scores", "last_scores", "data")
OUTCOME_COUNTS = (
    *("num_steps", "best_epoch", "num_train_examples", "num_eval_examples"),
    *("trainable_params", "adapter_params", "stored_params", "stored_bytes"),
)
OUTCOME_TEXTS = ("metric", "answers_sha256", "model_fingerprint")
OUTCOME_OTHERS = ("history", "task_version", "model_commit")
CONFIG_GROUPS = ("task", "data", "model", "method", "targets", "optim", "scale")
# What circumstances may hold as numbers from 0, where they are there.
MEASURED = (
    *("total_seconds", "train_seconds", "eval_seconds"),
    *("peak_bytes", "model_bytes", "checkpoint_bytes"),
)
LARGEST = 2**63  # no count, second or score is near it; larger integers overflow in arithmetic


def problems_of(content: object) -> list[str]:
    """Say every way in which parsed JSON breaks the schema; nothing for a good record."""
    if not isinstance(content, dict) or "schema_version" not in content:
        return ["no run record: no schema_version"]
    if content["schema_version"] != SCHEMA_VERSION:
        return [f"schema_version {content['schema_version']!r:.40}; this project reads {SCHEMA_VERSION}"]
    missing = [key for key in KEYS if key not in content]
    if missing:
        return [f"lacks {', '.join(missing)}"]
    found = _top_problems(content)
    return found or _part_problems(content) + _outcome_problems(content) + list(_not_finite(content, ""))


def _top_problems(content: dict[str, Any]) -> list[str]:
    found = _not_a(str, "text", content, ("run_id", "scale", "status", "hash"))
    found += _not_a(Mapping, "mapping", content, ("config", "circumstances"))
    if content["status"] not in STATUSES:
        found.append(f"status {content['status']!r:.40}; choose from {', '.join(STATUSES)}")
    if content["status"] == "failed":
        found += _not_a(Mapping, "mapping", content, ("error",))
    if isinstance(content["run_id"], str) and not RUN_ID.fullmatch(content["run_id"]):
        found.append(f"run_id {content['run_id']!r:.200} is malformed")
    return found


def _part_problems(content: dict[str, Any]) -> list[str]:
    """Of the config's groups, and of what was measured."""
    config, about = content["config"], content["circumstances"]
    groups = [key for key in CONFIG_GROUPS if not isinstance(config.get(key), Mapping)]
    numbers = [key for key in MEASURED if key in about and not _is_count(about[key])]
    return [
        *(f"config.{key} is no mapping" for key in groups),
        *(f"circumstances.{key} is no number from 0" for key in numbers),
    ]


def _outcome_problems(content: dict[str, Any]) -> list[str]:
    outcome = content["outcome"]
    if content["status"] != "success":
        return [] if outcome is None else [f"an outcome beside status {content['status']!r:.40}"]
    if not isinstance(outcome, Mapping):
        return ["status is success, but outcome is no mapping"]
    keys = OUTCOME_MAPPINGS + OUTCOME_COUNTS + OUTCOME_TEXTS + OUTCOME_OTHERS
    missing = [key for key in keys if key not in outcome]
    if missing:
        return [f"outcome lacks {', '.join(missing)}"]
    found = _not_a(Mapping, "mapping", outcome, OUTCOME_MAPPINGS, "outcome.")
    found += _not_a(str, "text", outcome, OUTCOME_TEXTS, "outcome.")
    found += [f"outcome.{key} is no number from 0" for key in OUTCOME_COUNTS if not _is_count(outcome[key])]
    family = content["run_id"].split("/")[0]
    return found or _score_problems(outcome, family) + _metric_problems(content["run_id"], outcome["metric"])


def _metric_problems(run_id: str, metric: str) -> list[str]:
    """A GLUE run is of one of the six tasks, and scored by the measure of its task."""
    family, task, *_ = run_id.split("/")
    if family == "glue" and TASK_METRICS.get(task) != metric:
        return [
            f"metric {metric!r:.40} is not that of GLUE's {task:.40}, {TASK_METRICS.get(task, 'unknown')}"
        ]
    return []


def _score_problems(outcome: Mapping[str, Any], family: str) -> list[str]:
    """Text is generated at the end: its `last_scores` are what training measured, which is not graded."""
    found = []
    for key in ("scores", "last_scores"):
        wrong = [name for name, value in outcome[key].items() if not _is_number(value)]
        found += [f"outcome.{key}.{name} is no number" for name in wrong]
        graded = key == "scores" or not is_generative(family)
        if graded and outcome["metric"] not in outcome[key]:
            found.append(f"outcome.{key} lacks the metric, {outcome['metric']!r:.40}")
    return found


def _not_a(
    kind: type, word: str, content: Mapping[str, Any], keys: tuple[str, ...], place: str = ""
) -> list[str]:
    return [f"{place}{key} is no {word}" for key in keys if not isinstance(content[key], kind)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value >= 0


def _not_finite(value: object, place: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is {value}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{place}[{index}]")
