"""A paper table as files: results/tables/<scale>/table<n>.{md,tex,csv}; table1-last.* for the last epoch."""

from pathlib import Path

from experiments.families import FAMILIES
from experiments.report import rendering, table_text
from experiments.report.paper_table import PaperTable
from experiments.report.rendering import Table


def paths(root: Path, scale: str, family: str = "glue", epoch: str = "best") -> dict[str, Path]:
    """Where the files of a family's table lie, by kind."""
    table = FAMILIES[family].table
    name = table if epoch == "best" else f"{table}-{epoch}"
    return {kind: root / scale / f"{name}.{kind}" for kind in ("md", "tex", "csv")}


def parts(table: PaperTable) -> list[Table]:
    """What is printed: the scores, and the differences where there are some."""
    differences = table_text.differences(table)
    return [table_text.scores(table), *([differences] if differences.blocks else [])]


def texts(table: PaperTable) -> dict[str, str]:
    """The contents of the files, by kind; the same for the same records."""
    shown = parts(table)
    return {
        "md": "\n".join(rendering.markdown(each) for each in shown),
        "tex": "\n".join(rendering.latex(each) for each in shown),
        "csv": table_text.data(table),
    }


def write(root: Path, table: PaperTable) -> list[Path]:
    """Write the files. Returns their paths."""
    contents = texts(table)
    written = paths(root, table.scale, table.family, table.cells.epoch)
    for kind, path in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[kind], encoding="utf-8")
    return list(written.values())
