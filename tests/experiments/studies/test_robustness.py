"""The robustness study: what counts as chance and as near, and that its page is what its scores give."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.studies import robustness
from experiments.studies.robustness import SHIPPED, USUAL, Score

FULL = Score(USUAL, SHIPPED, "glue", "mrpc", "Full fine-tuning", 0, "accuracy", 0.9)
TEXT = Score(USUAL, SHIPPED, "math", "gsm8k", "Full fine-tuning", 0, "gsm8k", 0.9)


def test_near_is_nine_tenths_of_the_full_score_of_the_same_backbone_and_seed() -> None:
    ours = replace(FULL, row="VB-LoRA qv")
    found = [
        FULL,
        replace(FULL, seed=1, score=0.7),
        replace(ours, score=0.81),
        replace(ours, seed=1, score=0.62),
    ]
    told = robustness.verdict(found)
    assert (told.num_runs, told.at_chance, told.near) == (2, 0, 1)
    assert told.rows["VB-LoRA qv"] == pytest.approx((0.715, 0.62, 0.81))


@pytest.mark.parametrize(
    ("metric", "score", "at_chance"),
    [("accuracy", 0.57, 1), ("accuracy", 0.58, 0), ("matthews", 0.14, 1), ("pearson", 0.16, 0)],
)
def test_a_class_is_at_chance_within_three_standard_errors_of_guessing(
    metric: str, score: float, at_chance: int
) -> None:
    found = [replace(FULL, metric=metric), replace(FULL, metric=metric, row="LoRA qv", score=score)]
    assert robustness.verdict(found).at_chance == at_chance


def test_text_is_at_chance_where_hardly_better_than_untuned() -> None:
    untuned, ours = replace(TEXT, row="Not tuned", score=0.1), replace(TEXT, row="LoRA all")
    scratch = replace(TEXT, row="Not pretrained, VB-LoRA all", score=0.0)
    found = [TEXT, untuned, scratch, replace(ours, score=0.17), replace(ours, seed=1, score=0.2)]
    told = robustness.verdict([*found, replace(TEXT, seed=1)])
    assert (told.num_runs, told.at_chance, told.near) == (2, 1, 0)


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    robustness.write(tmp_path / "of" / "scores.csv", [FULL, TEXT])
    assert robustness.read(tmp_path / "of" / "scores.csv") == [FULL, TEXT]


def test_what_a_call_leaves_alone_stays_in_the_table(tmp_path: Path) -> None:
    other = replace(TEXT, condition="float64")
    robustness.write(tmp_path / "scores.csv", [FULL, TEXT, other])
    args = argparse.Namespace(
        table=tmp_path / "scores.csv", families=["math"], conditions=[USUAL], backbones=5
    )
    assert list(robustness._others(args)) == [FULL, other]
    assert list(robustness._others(argparse.Namespace(**{**vars(args), "table": tmp_path / "none"}))) == []


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="has no lines <!-- robustness -->"):
        robustness.filled("A page.", [FULL])


def test_conditions_stand_beside_each_other_on_the_seeds_that_all_have() -> None:
    other = replace(FULL, condition="float64", score=0.85)
    text = robustness.markdown([FULL, replace(FULL, seed=1, score=0.88), other])
    assert "| GLUE | Full fine-tuning | 90.0 | 85.0 | 2.0 |" in text


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    if not robustness.TABLE.is_file():
        pytest.skip("the study has not run yet")
    return robustness.read(robustness.TABLE)


def test_the_page_is_what_the_scores_give(scores: list[Score]) -> None:
    page = robustness.PAGE.read_text(encoding="utf-8")
    assert robustness.filled(page, scores) == page


def of_tasks(scores: list[Score]) -> dict[tuple[str, str], list[Score]]:
    usual = [score for score in scores if score.condition == USUAL]
    places = dict.fromkeys((score.family, score.task) for score in usual)
    return {place: [s for s in usual if (s.family, s.task) == place] for place in places}


def test_every_task_ran_on_five_backbones_with_three_seeds(scores: list[Score]) -> None:
    for found in of_tasks(scores).values():
        full = {(score.backbone, score.seed) for score in found if score.row == "Full fine-tuning"}
        assert full == {(backbone, seed) for backbone in range(5) for seed in range(3)}


def test_no_adapter_is_at_chance_and_nearly_all_are_near_full_fine_tuning(scores: list[Score]) -> None:
    told = [robustness.verdict(found) for found in of_tasks(scores).values()]
    assert sum(verdict.at_chance for verdict in told) == 0
    assert sum(verdict.near for verdict in told) >= 0.95 * sum(verdict.num_runs for verdict in told)
