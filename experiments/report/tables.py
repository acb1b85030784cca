"""Tables as files: table<n>.{md,tex,csv}, and table1-last.* for the last epoch.

A user's lie in results/tables/<scale>/, which git ignores; the project's own lie with the records that they
are made of, in results/reference/<scale>/tables/.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from experiments.families import FAMILIES, is_generative
from experiments.records import Found
from experiments.report import (
    ablation_table,
    ablations,
    abstract,
    finding,
    rendering,
    settings_table,
    table_text,
)
from experiments.report.ablation_table import AblationTable
from experiments.report.paper_table import PaperTable
from experiments.report.rendering import Table
from experiments.report.settings_table import SettingsTable

KINDS = ("md", "tex", "csv")


@dataclass(frozen=True)
class Sheet:
    """A table of the paper, ready to be printed and written.

    Attributes:
        name: "table1" to "table9", with "-last" for the last epoch; "claims".
        scale: whose runs it shows.
        parts: what is printed.
        data: the same as CSV, numbers unrounded.
        is_measured: a finished run stands behind one of its numbers at least.
    """

    name: str
    scale: str
    parts: list[Table]
    data: str
    is_measured: bool = True


def of_family(table: PaperTable) -> Sheet:
    """One of Tables 1 to 4: the scores, and the differences where there are some."""
    differences = table_text.differences(table)
    name = FAMILIES[table.family].table + ("-last" if table.cells.epoch == "last" else "")
    parts = [table_text.scores(table), *([differences] if differences.blocks else [])]
    return Sheet(name, table.scale, parts, table_text.data(table))


def family_sheets(found: Found, scale: str, family: str) -> dict[str, Callable[[], Sheet]]:
    """Give a family's tables by name, each with what makes it: GLUE has one of the last epoch too."""
    table = FAMILIES[family].table
    epochs = {table: "best"} if is_generative(family) else {table: "best", f"{table}-last": "last"}
    return {name: partial(_of_epoch, found, scale, family, epoch) for name, epoch in epochs.items()}


def _of_epoch(found: Found, scale: str, family: str, epoch: str) -> Sheet:
    return of_family(PaperTable(found, scale, family, epoch))


def of_ablation(found: Found, scale: str, name: str) -> Sheet:
    """Table 5 or 6."""
    built = AblationTable(found, scale, name)
    return Sheet(name, scale, [ablation_table.table(built)], ablation_table.data(built), built.is_measured)


def of_settings(found: Found, scale: str, name: str) -> Sheet:
    """One of Tables 7 to 9."""
    built = SettingsTable(found, scale, name)
    return Sheet(
        name, built.scale, [settings_table.table(built)], settings_table.data(built), built.is_measured
    )


def of_claims(found: Found, scale: str, name: str) -> Sheet:
    """The abstract's claims."""
    verdicts = abstract.verdicts(replace(found, problems=[]), scale)
    measured = any(verdict.verdict != abstract.UNMEASURED for verdict in verdicts)
    return Sheet(name, scale, [abstract.table(scale, verdicts)], abstract.data(scale, verdicts), measured)


OTHERS: dict[str, Callable[[Found, str, str], Sheet]] = {
    **dict.fromkeys(ablations.TABLES, of_ablation),
    **dict.fromkeys(settings_table.FAMILY, of_settings),
    "claims": of_claims,
}
"""What makes each table that is not a family's, from a scale's records, the scale and the table's name."""


def of_scale(found: Found, roots: Sequence[Path], scale: str) -> Iterator[Sheet]:
    """Make every table of a scale that has a run to show: Tables 1 to 9 and the claims."""
    families = {record.identity.family for record in found.records if record.outcome is not None}
    for family in FAMILIES:
        own = finding.only(found, roots, scale, family)
        yield from (build() for build in family_sheets(own, scale, family).values() if family in families)
    for name, make in OTHERS.items():
        if (sheet := make(found, scale, name)).is_measured:
            yield sheet


def reference_folder(reference: Path, scale: str) -> Path:
    """The folder of the project's own tables of a scale."""
    return reference / scale / "tables"


def paths(folder: Path, name: str) -> dict[str, Path]:
    """The files of a table, by kind."""
    return {kind: folder / f"{name}.{kind}" for kind in KINDS}


def texts(sheet: Sheet) -> dict[str, str]:
    """The contents of the files, by kind; the same for the same records."""
    return {
        "md": "\n".join(rendering.markdown(each) for each in sheet.parts),
        "tex": "\n".join(rendering.latex(each) for each in sheet.parts),
        "csv": sheet.data,
    }


def write(folder: Path, sheet: Sheet) -> list[Path]:
    """Write the files. Returns their paths."""
    contents = texts(sheet)
    written = paths(folder, sheet.name)
    for kind, path in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[kind], encoding="utf-8")
    return list(written.values())
