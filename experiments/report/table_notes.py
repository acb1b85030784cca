"""The sentences below a paper table: what a cell is, who published what, and what was left out."""

from collections import defaultdict
from collections.abc import Sequence

from experiments.families import FAMILIES
from experiments.records import Problem, RunRecord
from experiments.report import family_notes, published, sameness, summary
from experiments.report.names import MODELS, row_name
from experiments.report.paper_table import BY_TARGETS, PaperTable

MAX_LISTED = 20  # failed runs and unusable files that a table names; the rest is counted
EPOCHS = {
    "best": "Each run counts with its best epoch, as in the paper. It is chosen on the evaluation set "
    "itself, which flatters every method; the option --epoch last shows the last.",
    "last": "Each run counts with its last epoch; the paper's protocol is the best (--epoch best).",
}
STD = "Published ± is the standard deviation that the paper prints; published"


def scores(table: PaperTable) -> list[str]:
    """How to read the scores."""
    glue = table.family == "glue"
    rows = "rows with the same targets" if table.family in BY_TARGETS else "rows"
    head = " without the head" if glue else ""
    notes = [
        f"A cell is the {table.cells.center} over the seeds ± their sample standard deviation (number of "
        f"seeds){family_notes.CELLS[table.family]}",
        EPOCHS[table.cells.epoch] if glue else "Each run's text is generated and graded once, at its end.",
        f"Bold: best of a model's {rows}, where all have the same number of seeds; "
        f"changed settings do not compete. # Params: stored parameters{head}.",
        *family_notes.of(table),
    ]
    if not table.has_published:
        return [*notes, "Not comparable with the published table: models, data or settings are others."]
    last = f"{STD if glue else 'Published'} # Params are in millions."
    return [*notes, *_sources(table.family), last]


def differences(table: PaperTable) -> str:
    """How to read the differences."""
    unit, one = ("x100", "task") if table.family == "glue" else ("in the units above", "score")
    return intervals(table.cells.center, unit, one)


def intervals(center: str, unit: str, one: str) -> str:
    """How to read differences with their intervals.

    Args:
        center: over the seeds.
        unit: of the differences.
        one: what is resampled on its own beside a row.
    """
    return (
        f"Differences of the {center}s, {unit}. Brackets: percentile bootstrap interval over "
        f"the seeds ({summary.NUM_RESAMPLES:,} resamples, fixed draws; each row and {one} resampled on its "
        f"own, a published number is exact), where every sample has n ≥ {summary.LEAST_FOR_INTERVAL}. It is "
        "coarse with few seeds. Rows without a run are left out."
    )


def trouble(table: PaperTable) -> list[str]:
    """Runs and files that the table had to leave out, by name."""
    return left_out(table.unfinished(), table.left_out, table.found.problems)


def left_out(
    unfinished: Sequence[RunRecord],
    unlike: Sequence[tuple[RunRecord, RunRecord]],
    problems: Sequence[Problem] = (),
) -> list[str]:
    """What a table had to leave out: unfinished runs, runs unlike others, files that are no records."""
    lines = []
    for record in unfinished:
        error = record.error or {}
        why = f": {error.get('type')}: {error.get('message')}" if error else ""
        lines.append(f"Left out, {record.status}: {record.run_id}{why:.200}")
    lines += [f"Left out, no record: {problem.path}: {problem.message:.200}" for problem in problems]
    lines += [
        f"Left out: {run.run_id}: unlike {kept.run_id} in {', '.join(sameness.differences(kept, run))}"
        for run, kept in unlike
    ]
    rest = len(lines) - MAX_LISTED
    return [*lines[:MAX_LISTED], *([f"Left out besides: {rest} more."] if rest > 0 else [])]


def _sources(family: str) -> list[str]:
    by_source: dict[str, list[str]] = defaultdict(list)
    for row in published.rows(FAMILIES[family].table):
        name = f"{MODELS[row.model]} {row_name(row.method, row.targets)}"
        by_source[published.sources()[row.source]].append(name)
    return [f"Published by {source}: {'; '.join(names)}." for source, names in by_source.items()]
