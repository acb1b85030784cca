"""The records that a table, a figure or the page shows.

Two folders hold records: the user's runs and the project's own. A cell (a row and a task) shows one of the
two, never a mixture: the user's where one of them has finished, else the project's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments import records
from experiments.families import FAMILIES
from experiments.records import Found, RunRecord

MARK = "°"


def find(roots: Sequence[Path], scale: str, family: str) -> Found:
    """Find the records of one family: a scale's folder holds those of all four."""
    return only(every(roots, scale), roots, scale, family)


def every(roots: Sequence[Path], scale: str) -> Found:
    """Find a scale's records; project runs of a cell that the user has run are left out.

    Args:
        roots: the user's folder, then the project's.
        scale: name of the scale's folder.
    """
    found = records.find(roots, scale)
    own = found.from_first_root
    covered = {_cell(record.run_id) for record in found.records if record.run_id in own and record.outcome}
    kept = [record for record in found.records if record.run_id in own or _cell(record.run_id) not in covered]
    return replace(found, records=kept)


def only(found: Found, roots: Sequence[Path], scale: str, family: str) -> Found:
    """Keep the part of a scale's records that one family has.

    A file that is no record belongs to the family in whose folder it lies, and outside of these to each.
    """
    others = {Path(root) / scale / name for root in roots for name in FAMILIES if name != family}
    return replace(
        found,
        records=[record for record in found.records if record.identity.family == family],
        problems=[problem for problem in found.problems if not others & {*problem.path.parents}],
    )


@dataclass(frozen=True)
class Borrowed:
    """The project's runs among those of a table.

    Attributes:
        run_ids: theirs.
        is_all: the user has no run of the table.
    """

    run_ids: frozenset[str]
    is_all: bool

    @classmethod
    def among(cls, kept: Iterable[RunRecord], found: Found) -> "Borrowed":
        """Find the finished runs of a table that are not the user's.

        Args:
            kept: the table's runs.
            found: what they were chosen from; it knows whose each run is.
        """
        finished = {record.run_id for record in kept if record.outcome is not None}
        return cls(frozenset(finished - found.from_first_root), finished.isdisjoint(found.from_first_root))

    def mark(self, run_ids: Iterable[str]) -> str:
        """Mark a cell of the project's runs, where another cell has the user's."""
        return "" if self.is_all or self.run_ids.isdisjoint(run_ids) else MARK

    def notes(self) -> list[str]:
        """Say in one line which cells are the project's, or nothing."""
        if not self.run_ids:
            return []
        which = "All" if self.is_all else MARK
        return [f"{which}: the project's own runs (results/reference); you have none of these."]


def _cell(run_id: str) -> str:
    """The run_id without its seed."""
    return run_id.rpartition("/")[0]
