"""The numbers that papers print, from results/published.yaml: rows of Tables 1 to 4, and training times."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published.yaml"
HOURS = {"h": 1.0, "m": 1 / 60}


@dataclass(frozen=True)
class PublishedRow:
    """One row of a table as printed.

    Attributes:
        table: "table1" to "table4".
        model, method, targets: keys as in run_ids.
        params: "# Params" in millions, as printed; empty where the paper prints none.
        source: key of the paper that measured the row.
        scores: by column, as printed.
        std: the printed ± by column; empty where none is printed.
        average: the printed average, if any.
    """

    table: str
    model: str
    method: str
    targets: str
    params: str
    source: str
    scores: dict[str, float]
    std: dict[str, float]
    average: float | None


@cache
def load() -> dict[str, Any]:
    """The whole file as plain data."""
    with open(PUBLISHED, encoding="utf-8") as file:
        content: dict[str, Any] = yaml.safe_load(file)
    return content


def columns(table: str) -> list[str]:
    """The columns of scores of a table, in printed order."""
    return list(load()[table]["columns"])


def rows(table: str) -> list[PublishedRow]:
    """The rows of a table in printed order."""
    groups = load()[table]["groups"]
    return [_row(table, model, entry) for model, entries in groups.items() for entry in entries]


def sources() -> dict[str, str]:
    """What each source key stands for."""
    return dict(load()["sources"])


def run_hours(family: str, model: str, key: str, task: str) -> float | None:
    """Published hours of one run (Tables 7 to 9), or None where the paper prints none.

    Family, model and task are as in run_ids; `key` is the targets of VB-LoRA (GLUE, E2E) or the method
    (instruction tuning).
    """
    printed = load()["times"].get(family, {}).get(model, {}).get(key, {}).get(task)
    return None if printed is None else float(printed[:-1]) * HOURS[printed[-1]]


def _row(table: str, model: str, entry: dict[str, Any]) -> PublishedRow:
    names = columns(table)
    return PublishedRow(
        table=table,
        model=model,
        method=entry["method"],
        targets=entry["targets"],
        params=entry.get("params", ""),
        source=entry["source"],
        scores=dict(zip(names, entry["scores"], strict=True)),
        std=dict(zip(names, entry["std"], strict=True)) if "std" in entry else {},
        average=entry.get("average"),
    )
