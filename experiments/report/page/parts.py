"""A scale's part of the page: what is measured as tables and figures, and what is not in a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import ablations, finding, grid, scales, settings_table, tables
from experiments.report.figures import gallery
from experiments.report.figures.gallery import Drawing
from experiments.report.figures.sources import Sources
from experiments.report.grid import Grid
from experiments.report.page.views import View, views
from experiments.report.paper_table import PaperTable

ABOUT = {
    "paper": "The paper's models, data and settings.",
    "minilm": "A real encoder, all-MiniLM-L6-v2, on real GLUE data; both are smaller than the paper's.",
    "e2e-small": "The E2E data, and a small GPT-2 that was pretrained here.",
    "math-small": "GSM8K and MATH, and a small Llama that was pretrained here.",
    "tiny": "Synthetic tasks, and backbones of a few layers that ship with the code. They show whether the "
    "methods work and how they compare; the paper's numbers are of other models and data.",
}


@dataclass(frozen=True)
class Part:
    """A scale's part of the page.

    Attributes:
        scale, about: its name, and what it is; "" for a user's own.
        found: its records.
        measured: whether a run of it is finished.
        gaps: what its grids have and the records have not, a phrase a grid.
        command: what runs it.
        views: its tables, in order.
        drawings: its figures, in order.
    """

    scale: str
    about: str
    found: Found
    measured: bool
    gaps: list[str]
    command: str
    views: list[View]
    drawings: list[Drawing]


def part(roots: Sequence[Path], scale: str) -> Part:
    """Read a scale's records, and make what the page shows of them; of scale paper also what is published."""
    found = finding.every(roots, scale)
    done = {record.identity.family for record in found.records if record.outcome is not None}
    shown = [family for family in FAMILIES if family in done or scale == "paper"]
    built = [PaperTable(finding.only(found, roots, scale, family), scale, family) for family in shown]
    others = [*(["claims"] if done else []), *(ablations.TABLES if "glue" in shown else [])]
    others += [name for name, family in settings_table.FAMILY.items() if family in done]
    sheets = [tables.of_family(table) for table in built]
    sheets += [tables.OTHERS[name](found, scale, name) for name in others]
    drawings = gallery.draw_all(Sources(scale, found, roots)) if "glue" in shown else []
    all_views = [view for sheet in sheets for view in views(sheet)]
    return Part(scale, ABOUT.get(scale, ""), found, bool(done), *_gaps(found, scale), all_views, drawings)


def _gaps(found: Found, scale: str) -> tuple[list[str], str]:
    """The runs that a scale's grids have and the records have not, a phrase a grid; and what runs them."""
    grids = {family: grid.load(scale, family) for family in FAMILIES} | {"ablations": ablations.load(scale)}
    phrases = {family: phrase for family, wanted in grids.items() if (phrase := _gap(found, wanted))}
    targets = ",".join(phrases)
    targets = f"{{{targets}}}" if len(phrases) > 1 else targets
    short = scales.find(next(iter(phrases), scales.PLAIN_FAMILY), scale).short
    return list(phrases.values()), f"make reproduce-{targets} SCALE={short}"


def _gap(found: Found, wanted: Grid) -> str:
    """What of a grid has no finished run, in words."""
    states = {record.run_id: record.status for record in found.records}
    ids = [
        grid.run_id(wanted.family, row, task, seed)
        for row in wanted.rows
        for task in wanted.tasks
        for seed in wanted.seeds
    ]
    left = [run_id for run_id in ids if states.get(run_id) != "success"]
    failed = sum(states.get(run_id) == "failed" for run_id in left)
    count = f"{len(left)} of {len(ids)}" if len(left) < len(ids) else f"all {len(ids)}"
    return (
        f"{count} runs of {wanted.title}" + (f", {failed} of which failed" if failed else "") if left else ""
    )
