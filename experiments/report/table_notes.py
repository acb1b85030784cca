"""The sentences below a paper table: what a cell is, who published what, and what was left out."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from experiments.families import FAMILIES
from experiments.records import Problem, RunRecord
from experiments.report import family_notes, published, scales, summary
from experiments.report.names import MODELS, row_name
from experiments.report.paper_table import BY_TARGETS, PaperTable

GUIDE = "The rest: docs/reading-the-tables.md"
NOT_COMPARABLE = "Not comparable with the published table: models, data or settings are others."
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
        *table.borrowed.notes(),
    ]
    if not table.has_published:
        return [*notes, NOT_COMPARABLE]
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


def brief(table: PaperTable) -> list[str]:
    """What a terminal shows below the scores: how to read a cell, what is missing, and what lists it."""
    return [
        f"A cell: {table.cells.center} of the seeds ± standard deviation (seeds). {GUIDE}",
        family_notes.brief(table),
        *([] if table.has_published else [NOT_COMPARABLE]),
        *table.borrowed.notes(),
        *trouble(table),
        *gaps(table.missing(), scales.make("reproduce", scales.find(table.family, table.scale))),
    ]


def gaps(missing: Sequence[tuple[str, str]], command: str) -> list[str]:
    """One line on the rows that lack runs, or none."""
    rows = "1 row lacks" if len(missing) == 1 else f"{len(missing)} rows lack"
    return [f"{rows} runs: {command} makes them."] if missing else []


def trouble(table: PaperTable) -> list[str]:
    """One line on the runs and files that the table leaves out, or none."""
    command = scales.make("status", scales.find(table.family, table.scale))
    return left_out(table.unfinished(), table.left_out, command, table.found.problems)


def left_out(
    unfinished: Sequence[RunRecord],
    unlike: Sequence[tuple[RunRecord, RunRecord]],
    command: str,
    problems: Sequence[Problem] = (),
) -> list[str]:
    """One line on what a table leaves out, or none.

    Args:
        unfinished: failed and cancelled runs.
        unlike: finished runs, each beside the one of its cell that it differs from.
        command: what lists them.
        problems: files that are no records.
    """
    states = Counter(record.status for record in unfinished)
    counts = [(count, f"{status} run", f"{status} runs") for status, count in sorted(states.items())]
    counts += [(len(unlike), "run unlike the others of its cell", "runs unlike the others of their cells")]
    counts += [(len(problems), "file that is no record", "files that are no records")]
    told = [f"{count} {one if count == 1 else several}" for count, one, several in counts if count]
    return [f"Left out: {', '.join(told)}; {command} lists them."] if told else []


def _sources(family: str) -> list[str]:
    by_source: dict[str, list[str]] = defaultdict(list)
    for row in published.rows(FAMILIES[family].table):
        name = f"{MODELS[row.model]} {row_name(row.method, row.targets)}"
        by_source[published.sources()[row.source]].append(name)
    return [f"Published by {source}: {'; '.join(names)}." for source, names in by_source.items()]
