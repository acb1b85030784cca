"""What the paper's abstract claims, and what the runs of a scale say to it."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report.comparisons import Paired, paired
from experiments.report.grid import RowKey
from experiments.report.names import MODELS, row_name
from experiments.report.paper_table import AVERAGE, PaperTable
from experiments.report.rendering import Cell, Table

HOLDS, NOT, OPEN, UNMEASURED = "holds", "does not hold", "open", "not measured at this scale"
BETTER = "Better than {} with fewer stored parameters"
NEAR = "Near full fine-tuning"
SMALL = "0.4 % of LoRA's stored parameters"
MARGIN = {"glue": 2.0, "e2e": 2.0, "instruct": 0.5, "math": 2.0}
"""How far below full fine-tuning still counts as near, in the units of the table; chosen before the runs."""
RIVALS = ("vera", "tied_lora")
CLAIMS = (BETTER, NEAR, SMALL)
SHARE = 0.004
SHARED_BY = "instruct"  # the family whose models the share is claimed of


@dataclass(frozen=True)
class Verdict:
    """One claim for one row of VB-LoRA.

    Attributes:
        kind: one of CLAIMS.
        claim: what the abstract says.
        family, row: of whose runs.
        verdict: HOLDS, NOT, OPEN or UNMEASURED.
        evidence: the numbers.
    """

    kind: str
    claim: str
    family: str
    row: RowKey
    verdict: str
    evidence: str


def verdicts(found: Found, scale: str) -> list[Verdict]:
    """Every claim for every row of VB-LoRA that a scale's tables have, claim by claim."""
    built = [PaperTable(found, scale, family) for family in FAMILIES]
    result = [verdict for table in built for row in _rows(table) for verdict in _of_row(table, row)]
    return sorted(result, key=lambda verdict: CLAIMS.index(verdict.kind))


def table(scale: str, found: list[Verdict]) -> Table:
    """The claims to print."""
    blocks: dict[str, list[list[Cell]]] = {}
    for each in found:
        row = f"{MODELS.get(each.row.model, each.row.model)}, {row_name(*each.row[1:])}"
        line = [each.claim, FAMILIES[each.family].title, row, each.verdict, each.evidence]
        cells = [Cell(text, text == HOLDS) for text in line]
        blocks.setdefault(each.kind, []).append(cells)
    return Table(
        title=f"The abstract's claims at scale {scale}",
        header=["Claim", "Tasks", "Row", "Verdict", "Evidence"],
        alignment="lllll",
        blocks=list(blocks.values()),
        notes=_notes(),
        brief=[
            "VB-LoRA minus the other, paired by task and seed: mean, 95 % interval, p of a sign-flip test.",
            "docs/reading-the-tables.md#the-claims says what each verdict needs.",
        ],
    )


def _notes() -> list[str]:
    margins = ", ".join(f"{margin:g} ({FAMILIES[name].title})" for name, margin in MARGIN.items())
    return [
        "Scores: differences VB-LoRA minus the other, paired by task and seed, in the units of the tables: "
        "mean, 95 % bootstrap interval over the seeds, p of a two-sided sign-flip test. GLUE: best epochs, "
        "all tasks alike; other tables: their first score.",
        "Better holds where the interval lies above zero with p at most 0.05 and fewer are stored; "
        "it does not hold where the interval lies below zero with such a p, or more are stored. Near is the "
        f"same against full fine-tuning minus a margin: {margins}. Else it is open; three seeds of one "
        "task cannot decide, as their smallest p is 0.25.",
        f"0.4 %: VB-LoRA's stored parameters over LoRA's, rounded; said of {MODELS['llama2_13b']}, so that "
        "no other scale measures it. At scale paper it is counted from the architecture; the paper's own way "
        "of counting gives 0.44 %.",
    ]


def _rows(table: PaperTable) -> list[RowKey]:
    return [row for row in table.rows if (row.method, row.variant) == ("vblora", "paper") and _is_model(row)]


def _is_model(row: RowKey) -> bool:
    return not row.model.endswith("scratch")


def _of_row(table: PaperTable, row: RowKey) -> Iterator[Verdict]:
    for rival in RIVALS:
        other = row._replace(method=rival, targets=row.targets if table.family == "glue" else "")
        yield from _better(table, row, rival, other)
    yield from _near(table, row)
    if table.family == SHARED_BY:
        yield _small(table, row)


def _better(table: PaperTable, row: RowKey, rival: str, other: RowKey) -> Iterator[Verdict]:
    """Against the rival's row of the same targets; in text tables, which have one of each, against that."""
    others = [each for each in table.rows if each[:2] == other[:2] and each.variant == "paper"]
    for each in [one for one in others if other.targets in ("", one.targets)]:
        found = _compared(table, row, each)
        ours, theirs = table.cells.params(row), table.cells.params(each)
        fewer = max(ours) < min(theirs) if ours and theirs else None
        sizes = f"; {ours[0]:,.0f} for {theirs[0]:,.0f} parameters" if ours and theirs else ""
        verdict = _judged(found, fewer)
        claim = BETTER.format(row_name(*each[1:3]))
        yield Verdict(BETTER, claim, table.family, row, verdict, _evidence(found) + sizes)


def _near(table: PaperTable, row: RowKey) -> Iterator[Verdict]:
    full = RowKey(row.model, "full", "full")
    if full in table.rows:
        found = _compared(table, row, full, -MARGIN[table.family])
        yield Verdict(NEAR, NEAR, table.family, row, _judged(found, True), _evidence(found))


def _small(table: PaperTable, row: RowKey) -> Verdict:
    """Counted at scale paper, from the architecture; elsewhere the claim's model is not there."""
    lora = row._replace(method="lora")
    if table.scale == "paper":
        from experiments.report import params  # builds architectures, which takes seconds

        ours, theirs = (params.count(each.model, each.method, each.targets) for each in (row, lora))
        verdict = HOLDS if round(ours / theirs, 3) <= SHARE else NOT
        return _share(row, verdict, ours, theirs)
    stored = table.cells.params(row), table.cells.params(lora)
    return _share(row, UNMEASURED, stored[0][0], stored[1][0]) if all(stored) else _share(row, UNMEASURED)


def _share(row: RowKey, verdict: str, ours: float = 0, theirs: float = 0) -> Verdict:
    evidence = f"{ours / theirs:.2%}: {ours:,.0f} of {theirs:,.0f}" if theirs else ""
    return Verdict(SMALL, SMALL, SHARED_BY, row, verdict, evidence)


def _compared(table: PaperTable, row: RowKey, other: RowKey, least: float = 0.0) -> Paired | None:
    columns = table.columns[AVERAGE] if AVERAGE in table.columns else list(table.by_key)[:1]
    return paired(table.cells, row, other, columns, least)


def _judged(found: Paired | None, fewer: bool | None) -> str:
    if found is None or found.p is None or found.low is None or fewer is None:
        return UNMEASURED
    if found.above is None:
        return OPEN if fewer else NOT
    return HOLDS if found.above and fewer else NOT


def _evidence(found: Paired | None) -> str:
    return "no runs of equal task and seed for each task" if found is None else str(found)


def data(scale: str, found: list[Verdict]) -> str:
    """CSV: one line a claim and row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("scale", "claim", "family", *RowKey._fields, "verdict", "evidence"))
    for each in found:
        writer.writerow((scale, each.claim, each.family, *each.row, each.verdict, each.evidence))
    return out.getvalue()
