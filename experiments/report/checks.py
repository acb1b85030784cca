"""Checks of results: records fit the schema, and each cell of a table traces to records."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments import records
from experiments.families import FAMILIES
from experiments.grading import answers as grading
from experiments.records import Found, RecordError, RunRecord
from experiments.report import cells, columns, finding, judgements, sameness, scales, tables
from experiments.report.tables import Sheet

REFRESH = "python -m experiments.report refresh"
"""Writes the project's own tables."""


def all_scales(roots: Sequence[Path], table_root: Path) -> list[str]:
    """Every scale that has records or tables."""
    folders = [path for root in (*roots, table_root) if root.is_dir() for path in root.iterdir()]
    return sorted({path.name for path in folders if path.is_dir()})


def problems(roots: Sequence[Path], scale: str, families: Sequence[str] = tuple(FAMILIES)) -> list[str]:
    """List everything that is wrong with the records of some families at one scale, a sentence each."""
    found = records.find(roots, scale)
    others = set(FAMILIES) - set(families)
    asked = [record for record in found.records if record.identity.family not in others]
    return [
        *(f"{problem.path}: {problem.message}" for problem in found.problems),
        *(line for record in asked for line in _place_problems(record)),
        *(line for record in asked for line in _score_problems(record)),
        *(f"{record.run_id}: {line}" for record in asked for line in judgements.problems(record)),
        *(line for record in asked for line in _answer_problems(record, roots)),
        *(line for record in asked for line in _footprint_problems(record, roots)),
        *_mixed_cells(asked, found.from_first_root),
    ]


def stale_tables(
    roots: Sequence[Path], folder: Path, scale: str, families: Sequence[str] = tuple(FAMILIES)
) -> list[str]:
    """List the table files of some families that are not what the records give now, to the letter.

    Args:
        roots: the records that the tables are made of.
        folder: the table files.
        scale: whose tables these are.
        families: whose tables are checked.
    """
    found = finding.every(roots, scale)
    command = REFRESH if len(roots) == 1 else ""
    return [
        line for family in families for line in _stale_tables(found, roots, folder, scale, family, command)
    ]


def _place_problems(record: RunRecord) -> Iterator[str]:
    """A run that no table has a column for would be seen by nobody."""
    family, task = record.identity.family, record.identity.task
    if family not in FAMILIES:
        yield f"{record.run_id}: no family {family}; it is one of {', '.join(FAMILIES)}"
    elif task not in FAMILIES[family].tasks:
        yield f"{record.run_id}: {family} has no task {task}; it has {', '.join(FAMILIES[family].tasks)}"


def _score_problems(record: RunRecord) -> Iterator[str]:
    """Scores lie where their measure can: shares from 0, correlations from -1, to 1; ratings from 1 to 10."""
    for kind in columns.EPOCHS.values() if record.outcome else ():
        for name, value in (record.outcome or {})[kind].items():
            measure = columns.MEASURES.get(name)
            if measure and not measure.holds(value):
                where = f"{measure.low:g} to {measure.high:g}"
                yield f"{record.run_id}: {kind}.{name} is {value}, outside {where}"


def _answer_problems(record: RunRecord, roots: Sequence[Path]) -> Iterator[str]:
    """Answers beside a record must be those that it was graded from."""
    for root in roots:
        path = records.path_of(root, record.scale, record.run_id)
        answers = path.with_suffix(".answers.jsonl")
        if record.outcome is None or not answers.is_file() or not _holds(path, record):
            continue
        if hashlib.sha256(answers.read_bytes()).hexdigest() != record.outcome["answers_sha256"]:
            yield f"{answers}: not the answers that the record was graded from"
            continue
        again, kept = grading.grade(grading.read(answers)), record.outcome["scores"]
        if not _same(_comparable(again, kept), _comparable(kept, again)):
            yield f"{answers}: graded again it gives {again}, the record says {kept}"


def _footprint_problems(record: RunRecord, roots: Sequence[Path]) -> Iterator[str]:
    """A footprint beside a record must be the one that its run recorded."""
    for root in roots:
        path = records.path_of(root, record.scale, record.run_id)
        footprint = path.with_suffix(".footprint.safetensors")
        if footprint.is_file() and _holds(path, record):
            digest = hashlib.sha256(footprint.read_bytes()).hexdigest()
            if digest != record.circumstances.get("footprint_sha256"):
                yield f"{footprint}: not the footprint that the record's run recorded"


def _comparable(scores: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Scores without those that only some machines can give, unless the others have them too."""
    return {name: score for name, score in scores.items() if name in others or name not in columns.OPTIONAL}


def _same(scores: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether scores are equal but for their last digits: processors add up in other orders."""
    return scores.keys() == others.keys() and all(
        math.isclose(score, others[name], rel_tol=1e-9, abs_tol=1e-12) for name, score in scores.items()
    )


def _holds(path: Path, record: RunRecord) -> bool:
    """Whether the file is this record, and not another of the same run; `find` names a damaged one."""
    try:
        return records.read(path) == record
    except RecordError:
        return False


def _mixed_cells(found: Sequence[RunRecord], from_first_root: frozenset[str]) -> Iterator[str]:
    """Seeds of one cell that were run with different settings, data or backbone make no median.

    The user's runs may differ from the project's, as on another machine: no cell of a table holds both.
    """
    own = [record for record in found if record.run_id in from_first_root]
    others = [record for record in found if record.run_id not in from_first_root]
    for records_of_one in (own, others):
        for (row, _, task), members in cells.by_task(records_of_one).items():
            if apart := sameness.mixture(members):
                yield f"{'/'.join(row)}, {task}: its seeds differ in {', '.join(apart)}"


def _stale_tables(
    found: Found, roots: Sequence[Path], folder: Path, scale: str, family: str, refresh: str
) -> Iterator[str]:
    known, own = scales.find(family, scale), finding.only(found, roots, scale, family)
    command = refresh or scales.make("tables", known)
    for name, build in tables.family_sheets(own, scale, family).items():
        yield from _stale(tables.paths(folder, name), build, command)
    for name, make in tables.OTHERS.items() if family == scales.PLAIN_FAMILY else ():
        which = f"tables --table {name[5:]}" if name.startswith("table") else name
        command = refresh or f"python -m experiments.report {which} --scale {scale}"
        yield from _stale(tables.paths(folder, name), partial(make, found, scale, name), command)


def _stale(paths: Mapping[str, Path], build: Callable[[], Sheet], command: str) -> Iterator[str]:
    there = {kind: path for kind, path in paths.items() if path.is_file()}
    texts = tables.texts(build()) if there else {}
    for kind, path in there.items():
        if path.read_text(encoding="utf-8") != texts[kind]:
            yield f"{path}: not what the records give; {command}"
