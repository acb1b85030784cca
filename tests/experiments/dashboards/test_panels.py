"""Tests that dashboards show what runs log: every key and pattern is held against real offline runs."""

import re
from pathlib import Path

import pytest

from experiments.dashboards import panels
from experiments.families import FAMILIES
from experiments.grading.metrics import TASK_METRICS
from experiments.tasks.text import VALIDATION_METRIC

from .conftest import logged


@pytest.mark.parametrize("family", [*FAMILIES])
def test_every_key_of_a_panel_is_one_that_runs_log(
    family: str, cache: Path, request: pytest.FixtureRequest
) -> None:
    where = cache if family == "glue" else request.getfixturevalue("text_cache")
    known = logged(where, family)
    shown = [panel for section in panels.sections(family).values() for panel in section]
    keys, patterns = panels.keys(shown)
    images = {key for key in keys if f"{key}/path" in known}
    assert keys - known - images == set() and images == {"footprint/selected"}
    assert len(patterns) == 2
    for pattern in patterns:
        assert len([key for key in known if re.fullmatch(pattern, key)]) >= 2, pattern


@pytest.mark.parametrize("family", [*FAMILIES])
def test_each_task_is_compared_by_its_own_scores(family: str) -> None:
    for task in FAMILIES[family].tasks:
        keys, _ = panels.keys(panels.compare(family, [task]))
        best = {key.removeprefix("best/") for key in keys if key.startswith("best/")}
        watched = {key for key in keys if key.startswith("eval/")}
        if family == "glue":
            assert best == {TASK_METRICS[task]} and watched == {f"eval/{TASK_METRICS[task]}"}
        else:
            assert best and watched == {f"eval/{VALIDATION_METRIC}"}


def test_learning_rate_pattern_takes_no_other_rate() -> None:
    _, patterns = panels.keys(panels.TRAINING)
    others = ("train/learning_rate", "train/grad_norm")
    assert not any(re.fullmatch(pattern, key) for pattern in patterns for key in others)
