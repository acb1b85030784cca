"""A judgement in the record of the run whose answers were judged: `circumstances.judgement`.

A judge's ratings depend on when it is asked and on what serves it, so they are no outcome of the run. The
report reads them there (`experiments.report.judgements`).
"""

from dataclasses import replace
from pathlib import Path

from experiments import records
from experiments.judging.result import Judgement
from experiments.records import RecordError

KEY = "judgement"
ANSWERS = ".answers.jsonl"  # what a file of answers ends in; its record lies beside it


def path_of(answers: Path) -> Path | None:
    """The record beside a run's file of answers; None where there is none."""
    record = answers.with_name(f"{answers.name.removesuffix(ANSWERS)}.json")
    return record if answers.name.endswith(ANSWERS) and record.is_file() else None


def write(path: Path, found: Judgement) -> str:
    """Put the judgement into the record; says what was done, or why nothing was.

    Raises:
        RecordError: the file is no record.
    """
    if found["mt_bench"] is None:
        return f"{path}: not changed, as no rating is valid"
    record = records.read(path)
    root = path.parents[len(record.run_id.split("/"))]
    if path != records.path_of(root, record.scale, record.run_id):
        raise RecordError(f"{path}: holds the run {record.run_id}, whose place is elsewhere")
    about = {**record.circumstances, KEY: dict(found)}
    records.write(replace(record, circumstances=about), root)
    return f"{path}: {record.run_id} has {found['mt_bench']:.2f} by {found['judge_model']}"
