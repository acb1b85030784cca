"""The records of one family: a scale's folder holds those of all four."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments import records
from experiments.families import FAMILIES
from experiments.records import Found


def find(roots: Sequence[Path], scale: str, family: str) -> Found:
    """What `records.find` finds, without what belongs to other families."""
    return only(records.find(roots, scale), roots, scale, family)


def only(found: Found, roots: Sequence[Path], scale: str, family: str) -> Found:
    """The part of a scale's records that one family has.

    A file that is no record belongs to the family in whose folder it lies, and outside of these to each.
    """
    others = {Path(root) / scale / name for root in roots for name in FAMILIES if name != family}
    return replace(
        found,
        records=[record for record in found.records if record.identity.family == family],
        problems=[problem for problem in found.problems if not others & {*problem.path.parents}],
    )
