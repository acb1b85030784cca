"""Which runs a figure is drawn of: records of a scale, and the footprints beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import records
from experiments.records import Found, RunRecord
from experiments.report import cells, scales
from experiments.report.grid import RowKey
from vblora import footprint_file
from vblora.footprint import Footprint


@dataclass(frozen=True)
class Run:
    """A finished run with its footprint."""

    record: RunRecord
    footprint: Footprint

    @property
    def about(self) -> str:
        """What a caption says of it: its run_id, and the sizes of its adapter."""
        found = self.footprint
        h, b = found.vectors.shape
        return (
            f"{self.record.run_id}: {len(found.first):,} sub-vectors of length {b} over a bank of {h:,}, "
            f"k = {found.last.shape[1]}, {found.num_steps:,} steps"
        )


@dataclass(frozen=True)
class Sources:
    """A scale's runs.

    Attributes:
        scale: its name.
        found: its records.
        roots: where records and footprints lie; the first that has one wins.
    """

    scale: str
    found: Found
    roots: Sequence[Path]

    def model(self, family: str = "glue") -> str:
        """The model of the scale's CoLA runs: the scale's own, at scale paper RoBERTa-large."""
        return "roberta_large" if self.scale == "paper" else scales.find(family, self.scale).model

    def run(self, family: str, task: str, row: RowKey) -> Run | None:
        """The run of a row with the lowest seed that has a footprint; None where no run has one.

        Raises:
            AdapterFileError: a footprint cannot be read.
        """
        members = cells.by_task(self.found.records).get((row, family, task), [])
        for record in sorted(members, key=lambda each: each.identity.seed):
            path = self._path(record)
            if path is not None:
                return Run(record, footprint_file.load(path))
        return None

    def _path(self, record: RunRecord) -> Path | None:
        """The footprint of a record: its digest stands there, so that another run's is not taken for it."""
        for root in self.roots:
            path = records.path_of(root, record.scale, record.run_id)
            beside = path.with_suffix(".footprint.safetensors")
            if beside.is_file() and path.is_file() and records.read(path) == record:
                return beside
        return None
