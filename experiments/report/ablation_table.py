"""Tables 5 and 6 to print, and as data: a row's score on CoLA, and how far it is from Table 1's row."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.records import Found
from experiments.report import ablations, cells, finding, grid, sameness, scales, summary, table_notes
from experiments.report.ablations import FAMILY, METHOD, PLAIN, TARGETS, TASK, Row
from experiments.report.cells import Cells, Sample
from experiments.report.grid import RowKey
from experiments.report.names import MODELS
from experiments.report.rendering import Cell, Table
from experiments.report.table_notes import GUIDE
from experiments.report.table_text import GAP, difference_text, params_text

CENTER, DIGITS = "median", 1
HEADS = {
    "table5": ("Training", "Inference"),
    "table6": ("Vector length b", "Vectors h"),
}
TITLES = {"table5": "selection of vectors", "table6": "length of the sub-vectors"}
FIELDS = (
    *("table", "scale", "model", "variant", "seeds", "n", "measured", "std", "stored_params"),
    *("published", "published_std", "compared_with", "difference", "interval_low", "interval_high"),
)


@dataclass(frozen=True)
class Line:
    """A row of a table with its runs.

    Attributes:
        row: which.
        key: whose runs.
        sample: their scores, x100.
        difference: of the centres, from Table 1's row of the same model; None for that row, or without runs.
        params: stored parameters.
    """

    row: Row
    key: RowKey
    sample: Sample
    difference: summary.Difference | None
    params: list[float]


class AblationTable:
    """Table 5 or 6 at one scale.

    Attributes:
        name: "table5" or "table6".
        scale: whose runs.
        by_model: model -> lines in order.
    """

    def __init__(self, found: Found, scale: str, name: str) -> None:
        """Sort the records of a scale into the table."""
        self.name, self.scale = name, scale
        self.wanted = ablations.load(scale, [name])
        own = [r for r in found.records if cells.row_of(r)[1:3] == (METHOD, TARGETS)]
        own = [r for r in own if (r.identity.family, r.identity.task) == (FAMILY, TASK)]
        kept, self.left_out = sameness.separate(replace(found, records=own))
        self.borrowed = finding.Borrowed.among((r for r in kept if self._is_row(cells.row_of(r))), found)
        self.unfinished = [r for r in own if r.outcome is None and self._is_row(cells.row_of(r))]
        self.cells = cells.collect(kept, FAMILY, center=CENTER)
        rows = ablations.rows(name, scale)
        self.by_model = {model: [self._line(model, row) for row in rows] for model in self._models()}

    @property
    def is_measured(self) -> bool:
        """Whether one of the changed settings has a run: Table 1's own row makes no ablation."""
        lines = [line for lines in self.by_model.values() for line in lines]
        return any(line.sample.scores for line in lines if line.row.variant != PLAIN)

    def _is_row(self, key: RowKey) -> bool:
        return key.variant in {row.variant for row in ablations.rows(self.name, self.scale)}

    def _models(self) -> list[str]:
        """Those of the scale, and every other one that has a run of an ablation."""
        found = [key.model for key in self.cells.by_row if key.variant in grid.ABLATIONS]
        return list(dict.fromkeys([*(row.model for row in self.wanted.rows), *sorted(found)]))

    def _line(self, model: str, row: Row) -> Line:
        key = RowKey(model, METHOD, TARGETS, row.variant)
        plain = key._replace(variant=PLAIN)
        difference = None if key == plain else difference_of(self.cells, key, plain)
        return Line(row, key, self.cells.sample(key, TASK), difference, self.cells.params(key))


def difference_of(found: Cells, key: RowKey, other: RowKey) -> summary.Difference | None:
    """How much one row lies above another; None where one has no run."""
    ours, theirs = found.samples(key, [TASK]), found.samples(other, [TASK])
    return summary.difference(ours, theirs, CENTER) if ours and theirs else None


def table(built: AblationTable) -> Table:
    """The table to print; at scale paper published numbers stand beside measured ones."""
    printed = ["Published"] if built.scale == "paper" else []
    title = f"Table {built.name.removeprefix('table')} ({TITLES[built.name]})"
    blocks = [[_cells(built, line) for line in lines] for lines in built.by_model.values()]
    return Table(
        title=f"{title}, scale {built.scale}: {CENTER} of the seeds, CoLA, x100",
        header=["Model", *HEADS[built.name], "# Params", *printed, "Measured", "Minus VB-LoRA qv of Table 1"],
        alignment="ll" + ("l" if built.name == "table5" else "r") + "r" * (3 + len(printed)),
        blocks=[block for block in blocks if block],
        notes=[*_notes(built), *built.borrowed.notes(), *_left_out(built)],
        commands=_missing(built),
        brief=_brief(built),
    )


def data(built: AblationTable) -> str:
    """CSV: one line a row, numbers unrounded."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for lines in built.by_model.values():
        writer.writerows(_data(built, line) for line in lines)
    return out.getvalue()


def _cells(built: AblationTable, line: Line) -> list[Cell]:
    best = _best(built.by_model[line.key.model])
    texts = [MODELS.get(line.key.model, line.key.model), *line.row.names]
    published = [Cell(_around(line.row.printed))] if built.scale == "paper" else []
    runs = tuple(grid.run_id(FAMILY, line.key, TASK, seed) for seed in sorted(line.sample.scores))
    measured = Cell(_measured(line.sample) + built.borrowed.mark(runs), line.row.variant in best, runs)
    params = Cell(params_text(line.params) or GAP)
    return [*map(Cell, texts), params, *published, measured, Cell(difference_text(line.difference, DIGITS))]


def _best(lines: list[Line]) -> set[str]:
    """The variants with the highest measured number, where all have the same number of seeds."""
    done = {line.row.variant: line.sample.values for line in lines if line.sample.values}
    if len(done) < 2 or len({len(values) for values in done.values()}) > 1:
        return set()
    centers = {name: round(summary.CENTERS[CENTER](values), DIGITS) for name, values in done.items()}
    return {name for name, value in centers.items() if value == max(centers.values())}


def _around(printed: tuple[float, float] | None) -> str:
    return GAP if printed is None else f"{printed[0]:.{DIGITS}f} ± {printed[1]:.{DIGITS}f}"


def _measured(sample: Sample) -> str:
    values, spread = sample.values, summary.spread(sample.values)
    if not values:
        return GAP
    around = "" if spread is None else f" ± {spread:.{DIGITS}f}"
    return f"{summary.CENTERS[CENTER](values):.{DIGITS}f}{around} ({len(values)})"


def _notes(built: AblationTable) -> list[str]:
    notes = [
        "A cell is the median over the seeds ± their sample standard deviation (number of seeds): Matthews "
        "correlation, x100, of each run's best epoch. Every row has the learning rates of VB-LoRA's row in "
        "Table 1; none was tuned for its own.",
        table_notes.intervals(CENTER, "x100", "task"),
    ]
    if built.scale == "paper":
        return [*notes, "Published: the VB-LoRA paper, with the standard deviation that it prints."]
    return [*notes, table_notes.NOT_COMPARABLE]


def _brief(built: AblationTable) -> list[str]:
    scale = scales.find(FAMILY, built.scale)
    return [
        f"Measured: median of the seeds ± standard deviation (seeds), CoLA's Matthews, x100. {GUIDE}",
        "Every row has the learning rates of Table 1's row; none was searched for its own.",
        *([] if built.scale == "paper" else [table_notes.NOT_COMPARABLE]),
        *built.borrowed.notes(),
        *_left_out(built),
        *table_notes.gaps(_missing(built), scales.make("reproduce", scale, "ablations")),
    ]


def _left_out(built: AblationTable) -> list[str]:
    command = scales.make("status", scales.find(FAMILY, built.scale), "ablations")
    return table_notes.left_out(built.unfinished, built.left_out, command)


def _missing(built: AblationTable) -> list[tuple[str, str]]:
    """What has no run, by model and seeds, and the command that makes it."""
    rows: dict[tuple[str, tuple[int, ...], bool], list[Line]] = defaultdict(list)
    for line in (line for lines in built.by_model.values() for line in lines):
        seeds = tuple(seed for seed in built.wanted.seeds if seed not in line.sample.scores)
        if seeds:
            rows[line.key.model, seeds, line.row.variant == PLAIN].append(line)
    return [_command(built.scale, lines, seeds) for (_, seeds, _), lines in rows.items()]


def _command(scale: str, lines: list[Line], seeds: Sequence[int]) -> tuple[str, str]:
    """One command for rows of one model that lack the same seeds."""
    names = ",".join(line.row.variant for line in lines)
    command = grid.command(FAMILY, scale, lines[0].key, [TASK], seeds)
    own = f"ablation={lines[0].row.variant}"
    return "; ".join(" to ".join(line.row.names) for line in lines), command.replace(own, f"ablation={names}")


def _data(built: AblationTable, line: Line) -> dict[str, object]:
    done, printed = line.sample.values, line.row.printed if built.scale == "paper" else None
    difference = line.difference
    return {
        "table": built.name,
        "scale": built.scale,
        "model": line.key.model,
        "variant": line.row.variant,
        "seeds": " ".join(map(str, sorted(line.sample.scores))),
        "n": len(done),
        "measured": summary.CENTERS[CENTER](done) if done else None,
        "std": summary.spread(done),
        "stored_params": params_text(line.params).replace(",", ""),
        **dict(zip(("published", "published_std"), printed or (None, None), strict=True)),
        "compared_with": "VB-LoRA qv" if difference else "",
        "difference": difference.value if difference else None,
        "interval_low": difference.low if difference else None,
        "interval_high": difference.high if difference else None,
    }
