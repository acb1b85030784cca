"""A judgement goes into the record beside the judged answers, and changes nothing else there."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from made_records import record

from experiments import records
from experiments.judging import of_record
from experiments.judging.result import Judgement
from experiments.records import RecordError, RunRecord
from experiments.report import judgements

RUN_ID = "instruct/alpaca/llama2_7b/vblora-all/seed0"


def judged(**changes: Any) -> Judgement:
    found = {"mt_bench": 5.5, "judge_model": "gpt-4", "date": "2026-01-31T00:00:00Z", "num_invalid": 2}
    return cast(Judgement, found | changes)


def unjudged(root: Path) -> tuple[RunRecord, Path]:
    made = record(RUN_ID, scale="paper")
    outcome = {**(made.outcome or {}), "metric": "answered", "scores": {"answered": 1.0}}
    made = replace(made, outcome=outcome)
    return made, records.write(made, root)


def test_record_gets_the_judgement_that_tables_read(tmp_path: Path) -> None:
    made, path = unjudged(tmp_path)
    answers = path.with_suffix(".answers.jsonl")
    assert of_record.path_of(answers) == path
    assert "5.50 by gpt-4" in of_record.write(path, judged())
    again = records.read(path)
    found = judgements.of(again)
    assert found is not None and (found.rating, found.judge, found.num_invalid) == (5.5, "gpt-4", 2)
    assert again.outcome == made.outcome and again.circumstances["total_seconds"] == 36.0


def test_answers_without_a_record_have_none(tmp_path: Path) -> None:
    assert of_record.path_of(tmp_path / "seed0.answers.jsonl") is None
    assert of_record.path_of(tmp_path / "model.jsonl") is None


def test_judgement_without_a_valid_rating_leaves_the_record(tmp_path: Path) -> None:
    _, path = unjudged(tmp_path)
    before = path.read_bytes()
    assert "no rating is valid" in of_record.write(path, judged(mt_bench=None))
    assert path.read_bytes() == before


def test_record_in_another_place_is_refused(tmp_path: Path) -> None:
    _, path = unjudged(tmp_path)
    moved = path.rename(path.with_name("seed1.json"))
    with pytest.raises(RecordError, match="whose place is elsewhere"):
        of_record.write(moved, judged())
