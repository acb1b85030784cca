"""Checks of results: records fit the schema, and each cell of a table traces to records."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments import records
from experiments.grading import answers as grading
from experiments.records import Found, RecordError, RunRecord
from experiments.report import cells, grid, sameness, tables
from experiments.report.table1 import Table1


def scales(roots: Sequence[Path], table_root: Path) -> list[str]:
    """Every scale that has records or tables."""
    folders = [path for root in (*roots, table_root) if root.is_dir() for path in root.iterdir()]
    return sorted({path.name for path in folders if path.is_dir()})


def problems(roots: Sequence[Path], table_root: Path, scale: str) -> list[str]:
    """Everything that is wrong with the results of one scale, a sentence each."""
    found = records.find(roots, scale)
    return [
        *(f"{problem.path}: {problem.message}" for problem in found.problems),
        *(line for record in found.records for line in _score_problems(record)),
        *(line for record in found.records for line in _answer_problems(record, roots)),
        *_mixed_cells(found),
        *_stale_tables(found, table_root, scale),
    ]


def _score_problems(record: RunRecord) -> Iterator[str]:
    """GLUE's scores are fractions: correlations from -1, accuracy from 0, to 1."""
    if record.outcome is None or record.identity.family != grid.FAMILY:
        return
    for kind in cells.EPOCHS.values():
        for name, value in record.outcome[kind].items():
            if not -1 <= value <= 1:
                yield f"{record.run_id}: {kind}.{name} is {value}, no fraction"


def _answer_problems(record: RunRecord, roots: Sequence[Path]) -> Iterator[str]:
    """Answers beside a record must be those that it was graded from."""
    for root in roots:
        path = records.path_of(root, record.scale, record.run_id)
        answers = path.with_suffix(".answers.jsonl")
        if record.outcome is None or not answers.is_file() or not _holds(path, record):
            continue
        if hashlib.sha256(answers.read_bytes()).hexdigest() != record.outcome["answers_sha256"]:
            yield f"{answers}: not the answers that the record was graded from"
        elif (again := grading.grade(grading.read(answers))) != record.outcome["scores"]:
            yield f"{answers}: graded again it gives {again}, the record says {record.outcome['scores']}"


def _holds(path: Path, record: RunRecord) -> bool:
    """Whether the file is this record, and not another of the same run; `find` names a damaged one."""
    try:
        return records.read(path) == record
    except RecordError:
        return False


def _mixed_cells(found: Found) -> Iterator[str]:
    """Seeds of one cell that were run with different settings, data or backbone make no median.

    The user's runs may differ from the project's, as on another machine: the table then leaves the project's
    out and says so.
    """
    own = [record for record in found.records if record.run_id in found.from_first_root]
    others = [record for record in found.records if record.run_id not in found.from_first_root]
    for records_of_one in (own, others):
        for (row, task), members in cells.by_cell(records_of_one).items():
            apart = {name: None for member in members for name in sameness.differences(members[0], member)}
            if apart:
                yield f"{'/'.join(row)}, {task}: its seeds differ in {', '.join(apart)}"


def _stale_tables(found: Found, table_root: Path, scale: str) -> Iterator[str]:
    """Every table on disk must be what the records give now, to the letter."""
    for epoch in cells.EPOCHS:
        paths = tables.paths(table_root, scale, epoch)
        there = {kind: path for kind, path in paths.items() if path.is_file()}
        texts = tables.texts(Table1(found, scale, epoch)) if there else {}
        for kind, path in there.items():
            if path.read_text(encoding="utf-8") != texts[kind]:
                yield f"{path}: not what the records give; make tables SCALE={scale}"
