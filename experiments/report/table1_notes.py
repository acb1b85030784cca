"""The sentences below Table 1: what a cell is, who published what, and what was left out."""

from experiments.report import published, sameness, summary
from experiments.report.names import MODELS, row_name
from experiments.report.table1 import Table1

MAX_LISTED = 20  # failed runs and unusable files that a table names; the rest is counted
EPOCHS = {
    "best": "Each run counts with its best epoch, as in the paper. It is chosen on the evaluation set "
    "itself, which flatters every method; the option --epoch last shows the last.",
    "last": "Each run counts with its last epoch; the paper's protocol is the best (--epoch best).",
}


def scores(table: Table1) -> list[str]:
    """How to read the scores."""
    notes = [
        f"A cell is the {table.cells.center} over the seeds ± their sample standard deviation (number of "
        "seeds), x100: Matthews correlation for CoLA, Pearson for STS-B, accuracy for the others. Avg. is "
        "the mean of the cells.",
        EPOCHS[table.cells.epoch],
        "Bold: best of a model's rows with the same targets, where all have the same number of seeds; "
        "changed settings do not compete. # Params: stored parameters without the head.",
    ]
    if not table.has_published:
        return [*notes, "Not comparable with the published table: models, data or settings are others."]
    last = "Published ± is the standard deviation that the paper prints; published # Params are in millions."
    return [*notes, *_sources(), last]


def differences(table: Table1) -> str:
    """How to read the differences."""
    return (
        f"Differences of the {table.cells.center}s, x100. Brackets: percentile bootstrap interval over "
        f"the seeds ({summary.NUM_RESAMPLES:,} resamples, fixed draws; each row and task resampled on its "
        f"own, a published number is exact), where every sample has n ≥ {summary.LEAST_FOR_INTERVAL}. It is "
        "coarse with few seeds. Rows without a run are left out."
    )


def trouble(table: Table1) -> list[str]:
    """Runs and files that the table had to leave out, by name."""
    lines = []
    for record in table.unfinished():
        error = record.error or {}
        why = f": {error.get('type')}: {error.get('message')}" if error else ""
        lines.append(f"Left out, {record.status}: {record.run_id}{why:.200}")
    lines += [
        f"Left out, no record: {problem.path}: {problem.message:.200}" for problem in table.found.problems
    ]
    lines += [
        f"Left out: {run.run_id}: unlike {kept.run_id} in {', '.join(sameness.differences(kept, run))}"
        for run, kept in table.left_out
    ]
    rest = len(lines) - MAX_LISTED
    return [*lines[:MAX_LISTED], *([f"Left out besides: {rest} more."] if rest > 0 else [])]


def _sources() -> list[str]:
    by_source: dict[str, list[str]] = {}
    for row in published.rows("table1"):
        name = f"{MODELS[row.model]} {row_name(row.method, row.targets)}"
        by_source.setdefault(published.sources()[row.source], []).append(name)
    return [f"Published by {source}: {'; '.join(names)}." for source, names in by_source.items()]
