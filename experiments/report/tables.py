"""Tables as files: results/tables/<scale>/table<n>.{md,tex,csv}; table1-last.* for the last epoch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.families import FAMILIES
from experiments.records import Found
from experiments.report import ablation_table, ablations, abstract, rendering, settings_table, table_text
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
    """

    name: str
    scale: str
    parts: list[Table]
    data: str


def of_family(table: PaperTable) -> Sheet:
    """One of Tables 1 to 4: the scores, and the differences where there are some."""
    differences = table_text.differences(table)
    name = FAMILIES[table.family].table + ("-last" if table.cells.epoch == "last" else "")
    parts = [table_text.scores(table), *([differences] if differences.blocks else [])]
    return Sheet(name, table.scale, parts, table_text.data(table))


def of_ablation(found: Found, scale: str, name: str) -> Sheet:
    """Table 5 or 6."""
    built = AblationTable(found, scale, name)
    return Sheet(name, scale, [ablation_table.table(built)], ablation_table.data(built))


def of_settings(found: Found, scale: str, name: str) -> Sheet:
    """One of Tables 7 to 9."""
    built = SettingsTable(found, scale, name)
    return Sheet(name, built.scale, [settings_table.table(built)], settings_table.data(built))


def of_claims(found: Found, scale: str, name: str) -> Sheet:
    """The abstract's claims."""
    verdicts = abstract.verdicts(replace(found, problems=[]), scale)
    return Sheet(name, scale, [abstract.table(scale, verdicts)], abstract.data(scale, verdicts))


OTHERS: dict[str, Callable[[Found, str, str], Sheet]] = {
    **dict.fromkeys(ablations.TABLES, of_ablation),
    **dict.fromkeys(settings_table.FAMILY, of_settings),
    "claims": of_claims,
}
"""What makes each table that is not a family's, from a scale's records, the scale and the table's name."""


def paths(root: Path, scale: str, name: str) -> dict[str, Path]:
    """Where the files of a table lie, by kind."""
    return {kind: root / scale / f"{name}.{kind}" for kind in KINDS}


def texts(sheet: Sheet) -> dict[str, str]:
    """The contents of the files, by kind; the same for the same records."""
    return {
        "md": "\n".join(rendering.markdown(each) for each in sheet.parts),
        "tex": "\n".join(rendering.latex(each) for each in sheet.parts),
        "csv": sheet.data,
    }


def write(root: Path, sheet: Sheet) -> list[Path]:
    """Write the files. Returns their paths."""
    contents = texts(sheet)
    written = paths(root, sheet.scale, sheet.name)
    for kind, path in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[kind], encoding="utf-8")
    return list(written.values())
